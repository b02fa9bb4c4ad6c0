"""Classify Stripe's errors: caused by the customer or not, and saved under the idempotency key or not.

An allow list names the errors caused by the customer. Any other error is caused by us or by Stripe, and rejects no
order. Stripe's messages may contain the payment token, so they never leave this package: our messages contain the kind,
the status, the code and the request id.
"""

from http import HTTPStatus

import stripe

from order_processor.payments.gateway import FailureReason, PaymentUnavailable

CUSTOMER_CODES = frozenset(
    {
        "amount_too_large",
        "amount_too_small",
        "authentication_required",
        "payment_intent_action_required",
        "payment_intent_authentication_failure",
        "payment_intent_incompatible_payment_method",
        "payment_intent_payment_attempt_expired",
        "payment_intent_payment_attempt_failed",
        "payment_method_bank_account_blocked",
        "payment_method_billing_details_address_missing",
        "payment_method_currency_mismatch",
        "payment_method_customer_decline",
        "payment_method_invalid_parameter",
        "payment_method_invalid_parameter_testmode",
        "payment_method_provider_decline",
        "payment_method_restricted",
        "payment_method_unexpected_state",
        "payment_method_unsupported_type",
    }
)
"""Codes of request errors caused by the customer's payment method or by the amount. All errors of type `card_error`
count as caused by the customer. Source: https://docs.stripe.com/error-codes"""

CARD_ERROR = "card_error"
PAYMENT_METHOD_CODES = frozenset({"payment_intent_invalid_parameter", "resource_missing"})
"""Codes that are caused by the customer if they are about the parameter `payment_method`: a payment method of a type
that is not allowed, and one that does not exist."""
METHOD_UNKNOWN = "payment_method_unknown"
"""Our code for Stripe's `resource_missing`, which does not name what is missing."""
NOT_SAVED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})
"""Errors that Stripe returns before it processes the request: the same key works once the cause is fixed."""

OUTAGES = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
"""Statuses below 500 that affect the calls for every order."""


def declined_code(error: stripe.StripeError) -> str | None:
    """Return the code of an error caused by the customer; None for any other error."""
    if isinstance(error, stripe.CardError):
        return error.code or CARD_ERROR
    if not isinstance(error, stripe.InvalidRequestError):
        return None
    return customers_code(None, error.code, error.param)


def customers_code(kind: str | None, code: str | None, param: str | None) -> str | None:
    """Return the code for the customer who caused an error of this type, code and parameter; None for any other error.

    An unknown payment method is caused by the customer. An unknown payment is not: the API key may belong to another
    account.
    """
    is_about_method = code in PAYMENT_METHOD_CODES and param == "payment_method"
    if not (kind == CARD_ERROR or code in CUSTOMER_CODES or is_about_method):
        return None
    return METHOD_UNKNOWN if code == "resource_missing" else code or kind


def is_saved(error: stripe.StripeError) -> bool:
    """Return whether Stripe may replay this error under the idempotency key. A false positive costs one new key."""
    return (
        error.http_status is not None
        and error.http_status >= HTTPStatus.BAD_REQUEST
        and (error.http_status not in NOT_SAVED)
    )


def failure_reason(error: stripe.StripeError) -> FailureReason:
    status = error.http_status
    if isinstance(error, stripe.IdempotencyError):
        return FailureReason.KEY_REUSED
    if status is None or status < HTTPStatus.BAD_REQUEST:
        return FailureReason.NO_RESPONSE
    if status in {HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}:
        return FailureReason.THROTTLED
    return FailureReason.PROVIDER_ERROR if status >= HTTPStatus.INTERNAL_SERVER_ERROR else FailureReason.REFUSED


def is_outage(error: stripe.StripeError) -> bool:
    """Return whether the calls for every order fail, because Stripe is down or refuses all requests."""
    status = error.http_status
    return failure_reason(error) in {FailureReason.NO_RESPONSE, FailureReason.PROVIDER_ERROR} or status in OUTAGES


def unavailable(error: stripe.StripeError) -> PaymentUnavailable:
    return PaymentUnavailable(describe(error), failure_reason(error), is_outage=is_outage(error))


def describe(error: stripe.StripeError) -> str:
    parts = [type(error).__name__, error.http_status, error.code, error.request_id]
    return " ".join(str(part) for part in parts if part is not None)
