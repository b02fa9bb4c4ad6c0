"""The order and its state machine. Pure: no I/O, no clock; callers pass the time.

        ┌──────────► rejected ◄──┐
        │                        │
    pending ──► reserved ──► (compensation)
        │          │
        │          ▼
        ├──────► confirmed ──► cancelled
        └────────────────────────▲

Each transition returns a new order with `version` and `fence` incremented. The repository writes the new order only if
the stored order has not changed since it was read.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, Self

from order_shared.domain.clock import to_millis
from order_shared.domain.identity import decode_subject, encode_subject
from order_shared.domain.inventory.models import Product
from order_shared.domain.money.charges import provider_amount
from order_shared.domain.order.exceptions import CurrencyMismatch, InvalidTransition
from order_shared.domain.order.history import HistoryEntry, OrderChange, changes_of, includes
from order_shared.domain.order.ids import OrderId, new_order_id
from order_shared.domain.order.payment_summary import PaymentSummary, summarize_payment
from order_shared.domain.order.payments import NO_PAYMENT, Charge, PaymentCall, PaymentState, Undo

MAX_ATTEMPTS = 10
"""Unexpected errors allowed before an order is parked. Outages, throttling and timeouts do not count."""

MAX_ERROR_LENGTH = 500

MAX_LINES = 50
MAX_QUANTITY = 1000
MAX_REFERENCE_LENGTH = 100


def normal_reference(reference: str) -> str:
    """Return the form in which a reference is stored: Unicode NFC, without blanks at its ends."""
    return unicodedata.normalize("NFC", reference).strip()


LEASE_GRACE_MS = 5000
"""Milliseconds from the end of a lease to the due time of its order, so that no sweep competes with the owner."""


class OrderStatus(StrEnum):
    PENDING = "pending"
    RESERVED = "reserved"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


TRANSITIONS: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.PENDING: frozenset(
        {OrderStatus.RESERVED, OrderStatus.CONFIRMED, OrderStatus.REJECTED, OrderStatus.CANCELLED}
    ),
    OrderStatus.RESERVED: frozenset({OrderStatus.CONFIRMED, OrderStatus.REJECTED, OrderStatus.CANCELLED}),
    OrderStatus.CONFIRMED: frozenset({OrderStatus.CANCELLED}),
    OrderStatus.REJECTED: frozenset(),
    OrderStatus.CANCELLED: frozenset(),
}

ENDED = frozenset({OrderStatus.CONFIRMED, OrderStatus.REJECTED, OrderStatus.CANCELLED})
HOLDS_STOCK = frozenset({OrderStatus.RESERVED, OrderStatus.CONFIRMED})
FREES_REFERENCE = frozenset({OrderStatus.REJECTED, OrderStatus.CANCELLED})

STATUS_AFTER: Mapping[OrderChange, OrderStatus] = {
    OrderChange.PLACED: OrderStatus.PENDING,
    OrderChange.RESERVED: OrderStatus.RESERVED,
    OrderChange.CONFIRMED: OrderStatus.CONFIRMED,
    OrderChange.REJECTED: OrderStatus.REJECTED,
    OrderChange.CANCELLED: OrderStatus.CANCELLED,
}
"""Status that each change of the status leads to. The other changes leave the status as it is."""

CHANGE_TO: Mapping[OrderStatus, OrderChange] = {status: change for change, status in STATUS_AFTER.items()}


class ReasonCode(StrEnum):
    OUT_OF_STOCK = "out_of_stock"
    PAYMENT_DECLINED = "payment_declined"
    REJECTED_BY_OPERATOR = "rejected_by_operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Owner of an order. The tenant comes from the verified token, and so does `id`, the customer's subject.

    A caller with the scope `orders:act` names another customer of its tenant.
    """

    tenant: str
    id: str

    @classmethod
    def of_stored(cls, tenant: str, stored_id: str) -> Self:
        return cls(tenant=tenant, id=decode_subject(stored_id))

    @property
    def stored_id(self) -> str:
        """Return the form of `id` in stored keys and in messages."""
        return encode_subject(self.id)

    @property
    def key(self) -> str:
        return f"{self.tenant}#{self.stored_id}"

    def __str__(self) -> str:
        """Return the tenant and the subject, for people."""
        return f"{self.tenant}#{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """Quantity of one product in an order. `unit_price` is the price when the order was placed.

    The stock is taken from the stock shard `shard`.
    """

    sku: str
    name: str
    quantity: int
    unit_price: int
    shard: int

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the line with these values, by field name. Values that are not fields are ignored."""
        return cls(**{name: values[name] for name in LINE_FIELDS})

    @property
    def amount(self) -> int:
        return self.quantity * self.unit_price

    def values(self) -> dict[str, Any]:
        """Return the values by field name: the form of a line in messages and stored items."""
        return dict(zip(LINE_FIELDS, _line_values(self), strict=True))


LINE_FIELDS = tuple(field.name for field in fields(OrderLine))
"""Names of a line's fields. Stored items and messages contain exactly these fields of a line."""

_line_values = attrgetter(*LINE_FIELDS)


@dataclass(frozen=True, slots=True)
class Reason:
    """Reason why an order was rejected."""

    code: ReasonCode
    detail: str
    sku: str | None = None


@dataclass(frozen=True, slots=True)
class Parked:
    """Mark of an order that the platform no longer retries, until an operator decides. Status and stock are kept."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LastError:
    """Last unexpected error of an open order, for operators. `type` is the name of its class."""

    type: str
    text: str
    at: datetime

    @classmethod
    def of(cls, error: Exception, at: datetime, *, secrets: Iterable[str] = ()) -> Self:
        """Return the error with at most MAX_ERROR_LENGTH characters of its text, without the given secrets."""
        text = str(error)
        for secret in secrets:
            text = text.replace(secret, "•••")
        return cls(type=type(error).__name__, text=text[:MAX_ERROR_LENGTH], at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parking:
    """Number of attempts that ended with an unexpected error, the last such error, and the mark of a parked order.

    `retried_at` is the time when an operator last retried the parked order.
    """

    attempts: int = 0
    last_error: LastError | None = None
    parked: Parked | None = None
    retried_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Exclusive right of `owner` to work on the order until `until` (epoch milliseconds; 0 once released)."""

    owner: str
    until: int

    def excludes(self, owner: str, at: datetime) -> bool:
        """Return whether an owner other than `owner` may be working on the order at `at`."""
        return self.owner != owner and self.until >= to_millis(at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Due time of an open order (epoch milliseconds), and the number of times that it was swept."""

    due_at: int | None = None
    sweeps: int = 0


NOT_DUE = Schedule()
NOT_PARKED = Parking()


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    status: OrderStatus
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The current state of an order. Amounts are in minor units.

    `version` counts the changes that the customer can see; it is the ETag. `fence` is incremented by each transition
    and each change of owner: the condition of a write contains the fence that its writer read, so the write of a former
    owner fails. `metadata` is data of the customer, which the platform keeps and never uses. `placed_by` is the subject
    that placed the order for the customer; None if the customer placed it. `traceparent` is the trace of the request
    that placed the order. `schedule`, `lease` and `parking` are reset when the order ends.

    `history` has one entry per version. It is stored if `stores_history`; otherwise only the timeline is stored, from
    which the history is derived.
    """

    customer: Customer
    order_id: OrderId
    created_at: datetime
    updated_at: datetime
    status: OrderStatus
    version: int
    fence: int
    lines: tuple[OrderLine, ...]
    currency: str
    reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    placed_by: str | None = None
    traceparent: str | None = None
    reason: Reason | None = None
    history: tuple[HistoryEntry, ...]
    stores_history: bool = True
    schedule: Schedule = NOT_DUE
    lease: Lease | None = None
    payment: PaymentState = NO_PAYMENT
    parking: Parking = NOT_PARKED
    cancel_requested_at: datetime | None = None

    @classmethod
    def place(
        cls,
        customer: Customer,
        lines: Iterable[tuple[Product, int]],
        *,
        at: datetime,
        due_at: int,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        placed_by: str | None = None,
        payment_token: str | None = None,
        traceparent: str | None = None,
        stores_history: bool = True,
    ) -> "Order":
        """Return a new pending order. `lines` are `(product, quantity)` pairs, one per product, at current prices.

        Raises CurrencyMismatch, and AmountNotChargeable for an order that has to be paid.
        """
        lines = tuple(lines)
        currencies = sorted({product.currency for product, _ in lines})
        if len(currencies) != 1:
            raise CurrencyMismatch({product.sku: product.currency for product, _ in lines})
        order_id = new_order_id(at)
        order = cls(
            customer=customer,
            order_id=order_id,
            created_at=at,
            updated_at=at,
            status=OrderStatus.PENDING,
            version=1,
            fence=0,
            lines=tuple(
                OrderLine(
                    sku=product.sku,
                    name=product.name,
                    quantity=quantity,
                    unit_price=product.unit_price,
                    shard=product.shard_for(order_id),
                )
                for product, quantity in lines
            ),
            currency=currencies[0],
            reference=None if reference is None else normal_reference(reference),
            metadata=metadata or {},
            placed_by=placed_by,
            traceparent=traceparent,
            history=(HistoryEntry((OrderChange.PLACED,), at),),
            stores_history=stores_history,
            schedule=Schedule(due_at=due_at),
            payment=NO_PAYMENT if payment_token is None else PaymentState(token=payment_token),
        )
        if not order.must_be_paid:
            return order
        provider_amount(order.total, order.currency)
        return order._change_payment(required=True)

    @property
    def total(self) -> int:
        return sum(line.amount for line in self.lines)

    @property
    def is_open(self) -> bool:
        """True if the order has not ended, or a requested cancellation is not done. The outbox contains open orders."""
        return self.status not in ENDED or (
            self.cancel_requested_at is not None and self.status is not OrderStatus.CANCELLED
        )

    @property
    def must_be_paid(self) -> bool:
        return self.payment.token is not None and self.total > 0

    @property
    def timeline(self) -> tuple[TimelineEntry, ...]:
        """Return the changes of the status."""
        changes = changes_of(self.history)
        return tuple(TimelineEntry(STATUS_AFTER[change], at) for change, at in changes if change in STATUS_AFTER)

    @property
    def payment_summary(self) -> PaymentSummary | None:
        """Return the payment as the customer sees it, or None for an order with nothing to pay."""
        if not self.payment.required:
            return None
        is_declined = self.reason is not None and self.reason.code is ReasonCode.PAYMENT_DECLINED
        return summarize_payment(self.history, total=self.total, is_open=self.is_open, is_declined=is_declined)

    @property
    def holds_stock(self) -> bool:
        return self.status in HOLDS_STOCK

    @property
    def open_since(self) -> datetime:
        """Time since which the order is open: its placement, request to cancel or last retry, whichever is latest."""
        return max(filter(None, (self.created_at, self.cancel_requested_at, self.parking.retried_at)))

    def reserve(self, at: datetime, *, owner: str, lease_until: datetime) -> "Order":
        """Return the order as reserved: it holds stock, and only `owner` may continue until the lease expires."""
        return self._transition(OrderStatus.RESERVED, at, **self._lease_changes(owner, lease_until))

    def take_over(self, *, owner: str, lease_until: datetime) -> "Order":
        """Return the order with a new owner. The old owner's writes fail from now on. Customers see no change."""
        return replace(self, fence=self.fence + 1, **self._lease_changes(owner, lease_until))

    def release(self) -> "Order":
        """Return the order with its lease released, so that another owner need not wait until the lease expires."""
        return self if self.lease is None else replace(self, lease=replace(self.lease, until=0))

    def reschedule(self, due_at: int, *, sweeps: int | None = None) -> "Order":
        """Return the order with its lease released and a new due time, in epoch milliseconds.

        `sweeps` replaces the number of sweeps if given.
        """
        sweeps = self.schedule.sweeps if sweeps is None else sweeps
        return replace(self.release(), schedule=Schedule(due_at=due_at, sweeps=sweeps))

    def failed(self, at: datetime, error: Exception) -> "Order":
        """Return the order with one more unexpected error. The MAX_ATTEMPTS-th error parks the order."""
        secrets = filter(None, [self.payment.token])
        last_error = LastError.of(error, at, secrets=secrets)
        order = replace(self, parking=replace(self.parking, attempts=self.parking.attempts + 1, last_error=last_error))
        return order.park(at, "unexpected_errors") if order.parking.attempts >= MAX_ATTEMPTS else order

    def park(self, at: datetime, reason: str) -> "Order":
        return replace(self, parking=replace(self.parking, parked=Parked(at, reason)))

    def unpark(self, at: datetime, *, due_at: int) -> "Order":
        """Return the order without its parked mark, with attempts reset to 0 and the given due time (epoch ms)."""
        parking = Parking(last_error=self.parking.last_error, retried_at=at)
        return replace(self, parking=parking, schedule=Schedule(due_at=due_at))

    @property
    def charge(self) -> Charge:
        return Charge(
            order_id=self.order_id,
            amount=self.total,
            currency=self.currency,
            payment_id=self.payment.id,
            attempts=self.payment.attempts,
        )

    def with_payment(self, payment_id: str) -> "Order":
        return self._change_payment(id=payment_id)

    def without_payment(self) -> "Order":
        """Return the order after its payment was cancelled. The next payment is created with a new idempotency key."""
        return self._change_payment(attempts=self.payment.attempts.raised(PaymentCall.CREATE), id=None, undo=None)

    def with_next_attempt(self, call: PaymentCall) -> "Order":
        """Return the order with the next attempt number for this provider call, and so with a new idempotency key.

        This is needed because the provider repeats its saved response to the old key.
        """
        return self._change_payment(attempts=self.payment.attempts.raised(call))

    def begin_undo(self, undo: Undo) -> "Order":
        """Return the order with the decision to undo its payment. It can no longer be confirmed."""
        return self._change_payment(undo=undo)

    def request_cancel(self, at: datetime, *, due_at: int) -> "Order":
        """Return the order with a request to cancel. The order is in the outbox until the processor has cancelled it.

        Raises InvalidTransition if the order holds no stock or already has a request.
        """
        if self.cancel_requested_at is not None or not self.holds_stock:
            raise InvalidTransition(self.order_id, self.status, OrderStatus.CANCELLED)
        at = max(at, self.updated_at)
        return replace(
            self,
            version=self.version + 1,
            updated_at=at,
            history=(*self.history, HistoryEntry((OrderChange.CANCEL_REQUESTED,), at)),
            cancel_requested_at=at,
            schedule=Schedule(due_at=due_at),
            parking=replace(self.parking, parked=None),
        )

    def confirm(self, at: datetime) -> "Order":
        if self.cancel_requested_at is not None or self.payment.undo is not None:
            raise InvalidTransition(self.order_id, self.status, OrderStatus.CONFIRMED)
        charged = () if self.payment.id is None else (OrderChange.CHARGED,)
        return self._transition(OrderStatus.CONFIRMED, at, *charged)

    def reject(self, at: datetime, reason: Reason, *, refunded: bool = False) -> "Order":
        """Return the order as rejected. `refunded` means that its payment had taken the money and was refunded."""
        return self._transition(OrderStatus.REJECTED, at, *self._refund(refunded=refunded), reason=reason)

    def cancel(self, at: datetime, *, refunded: bool = False) -> "Order":
        """Return the order as cancelled. `refunded` means that its payment had taken the money and was refunded."""
        return self._transition(OrderStatus.CANCELLED, at, *self._refund(refunded=refunded))

    def _refund(self, *, refunded: bool) -> tuple[OrderChange, ...]:
        """Return the changes of a refund. It includes the charge if no earlier version has it."""
        if not refunded:
            return ()
        charged = includes(self.history, OrderChange.CHARGED)
        return (OrderChange.REFUNDED,) if charged else (OrderChange.CHARGED, OrderChange.REFUNDED)

    def _lease_changes(self, owner: str, lease_until: datetime) -> dict[str, Any]:
        """Return the changes that give the lease to `owner` and set a due time after the end of the lease."""
        until = to_millis(lease_until)
        schedule = replace(self.schedule, due_at=until + LEASE_GRACE_MS)
        return {"lease": Lease(owner=owner, until=until), "schedule": schedule}

    def _change_payment(self, **changes: Any) -> "Order":
        return replace(self, payment=replace(self.payment, **changes))

    def _transition(self, status: OrderStatus, at: datetime, *payments: OrderChange, **changes: Any) -> "Order":
        """Return the order in another status. `payments` are the movements of money of the same write."""
        if status not in TRANSITIONS[self.status]:
            raise InvalidTransition(self.order_id, self.status, status)
        if status in ENDED:
            changes |= {"schedule": NOT_DUE, "lease": None, "parking": NOT_PARKED, "payment": self.payment.ended()}
        at = max(at, self.updated_at)  # another machine's clock may be behind; a timeline never runs backwards
        return replace(
            self,
            status=status,
            version=self.version + 1,
            fence=self.fence + 1,
            updated_at=at,
            history=(*self.history, HistoryEntry((*payments, CHANGE_TO[status]), at)),
            **changes,
        )
