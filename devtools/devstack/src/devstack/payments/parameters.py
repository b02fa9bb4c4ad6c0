"""Parameters of Stripe's API that the sandbox supports. Any other parameter is refused, as Stripe does.

Names are those of the request, without the index of a list and the key of `metadata`: `allowed_payment_method_types[]`.
"""

import re
from collections.abc import Iterable

CREATE = frozenset(
    {
        "allowed_payment_method_types[]",
        "amount",
        "automatic_payment_methods[allow_redirects]",
        "automatic_payment_methods[enabled]",
        "currency",
        "metadata[]",
    }
)
RETRIEVE: frozenset[str] = frozenset()
CONFIRM = frozenset({"off_session", "payment_method"})
CANCEL = frozenset({"cancellation_reason"})
LIST = frozenset({"created[gte]", "created[lt]", "limit", "starting_after"})
REFUND = frozenset({"amount", "payment_intent"})
LIST_REFUNDS = frozenset({"limit", "payment_intent"})

REMOVED = "payment_method_types[]"
"""Parameter that Stripe has removed in API version 2026-09-30; it is refused with a code of its own."""


def unsupported(names: Iterable[str], supported: frozenset[str]) -> str | None:
    """Return the first parameter that is not supported, as it is written in the request."""
    return next((name for name in names if general_name(name) not in supported), None)


def general_name(name: str) -> str:
    """Return a parameter's name without the index of a list and the key of `metadata`."""
    return re.sub(r"\[\d*\]$|(?<=^metadata)\[.*\]$", "[]", name)
