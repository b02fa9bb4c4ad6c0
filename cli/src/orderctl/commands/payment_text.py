"""Text form of an order's payment, for customers and operators."""

from order_client import Payment
from order_shared.domain.money.currencies import format_amount
from order_shared.domain.order.payment_summary import PaymentSummary


def payment_text(payment: Payment | PaymentSummary | None, currency: str) -> str:
    """Return the state of a payment and its amounts, or `-` for an order with nothing to pay."""
    if payment is None:
        return "-"
    captured, refunded = (format_amount(amount, currency) for amount in (payment.captured, payment.refunded))
    return f"{payment.status} (captured {captured}, refunded {refunded})"
