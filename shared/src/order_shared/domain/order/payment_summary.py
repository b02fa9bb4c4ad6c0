"""Payment of an order as its customer sees it: derived from the history of the order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from order_shared.domain.order.history import HistoryEntry, OrderChange, changes_of, includes


class PaymentSummaryStatus(StrEnum):
    PENDING = "pending"
    """The order is open and not charged yet."""
    CAPTURED = "captured"
    REFUNDED = "refunded"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    """The order ended without a charge."""


class MovementType(StrEnum):
    CHARGED = "charged"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class Movement:
    """Charge or refund. `amount` is in minor units of the order's currency."""

    type: MovementType
    amount: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentSummary:
    """State of a payment, the amounts charged and refunded so far in minor units, and each movement of money."""

    status: PaymentSummaryStatus
    captured: int
    refunded: int
    history: tuple[Movement, ...]


_MOVEMENTS = {OrderChange.CHARGED: MovementType.CHARGED, OrderChange.REFUNDED: MovementType.REFUNDED}


def summarize_payment(
    history: Sequence[HistoryEntry], *, total: int, is_open: bool, is_declined: bool
) -> PaymentSummary:
    """Return the summary of the payment of `total`, in minor units."""
    movements = tuple(
        Movement(_MOVEMENTS[change], total, at) for change, at in changes_of(history) if change in _MOVEMENTS
    )
    return PaymentSummary(
        status=_status(history, is_open=is_open, is_declined=is_declined),
        captured=sum(movement.amount for movement in movements if movement.type is MovementType.CHARGED),
        refunded=sum(movement.amount for movement in movements if movement.type is MovementType.REFUNDED),
        history=movements,
    )


def _status(history: Sequence[HistoryEntry], *, is_open: bool, is_declined: bool) -> PaymentSummaryStatus:
    if includes(history, OrderChange.REFUNDED):
        return PaymentSummaryStatus.REFUNDED
    if includes(history, OrderChange.CHARGED):
        return PaymentSummaryStatus.CAPTURED
    if is_open:
        return PaymentSummaryStatus.PENDING
    return PaymentSummaryStatus.DECLINED if is_declined else PaymentSummaryStatus.CANCELLED
