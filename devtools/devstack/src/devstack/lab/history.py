"""Checker of the platform's promise: the answers that customers received against the stored orders and payments.

The Lab and the chaos runs use it. It is independent of the platform's code for processing: it compares the records of
customers with the tables, the payments of the provider and the queues, and names each contradiction.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, auto

from order_shared.domain.order.models import Order, OrderStatus


class Verb(StrEnum):
    PLACE = auto()
    CANCEL = auto()


class Outcome(StrEnum):
    """Outcome of a request as its customer knows it. UNKNOWN: it may have an effect, now or later, or none."""

    INVOKED = auto()
    OK = auto()
    FAILED = auto()
    UNKNOWN = auto()


@dataclass(frozen=True)
class Purchase:
    """Intended order of one customer, placed `wanted` times. All orders of a customer come from one purchase."""

    customer: str
    quantities: Mapping[str, int]
    is_paid: bool
    wanted: int = 1


Told = dict[tuple[str, Verb, Outcome], list[str | None]]


@dataclass
class History:
    """Purchases of all customers, and the answers that they received: order ids by customer, verb and outcome."""

    purchases: dict[str, Purchase] = field(default_factory=dict)
    told: Told = field(default_factory=lambda: defaultdict(list))

    def record(self, customer: str, verb: Verb, outcome: Outcome, order_id: str | None = None) -> None:
        self.told[customer, verb, outcome].append(order_id)

    def ids(self, customer: str, verb: Verb, outcome: Outcome) -> list[str | None]:
        """Return the order id of each event of this kind."""
        return self.told.get((customer, verb, outcome), [])

    def copy_of_told(self) -> Told:
        """Return the answers so far. Later ones do not change the copy."""
        return {key: list(ids) for key, ids in self.told.items()}

    def count(self, verb: Verb, outcome: Outcome) -> int:
        """Return the number of events of this kind, of all customers."""
        return sum(len(self.ids(customer, verb, outcome)) for customer in self.purchases)


@dataclass(frozen=True, kw_only=True)
class Payment:
    """A payment at the provider; amounts in minor units."""

    order_id: str
    received: int
    refunded: int


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """State of orders, stock by SKU, payments and queues. `letters` is the number of dead letters."""

    orders: list[Order]
    stock_before: Mapping[str, int]
    stock_after: Mapping[str, int]
    payments: list[Payment]
    messages: int = 0
    letters: int = 0
    regressions: list[str] = field(default_factory=list)
    """Orders whose version, fence or history went back."""


class Fault(StrEnum):
    """Kinds of faults. The number of each must be 0."""

    LOST = "lost"
    DUPLICATED = "duplicated"
    STOCK = "stock error"
    MONEY = "double charges"
    STUCK = "stuck"
    OTHER = "other"


@dataclass
class Verdict:
    faults: Counter[Fault] = field(default_factory=Counter)
    details: list[str] = field(default_factory=list)

    def add(self, fault: Fault, detail: str, count: int = 1) -> None:
        self.faults[fault] += count
        self.details.append(f"{fault}: {detail}")

    @property
    def holds(self) -> bool:
        return not self.details


def judge(history: History, evidence: Evidence, *, is_settled: bool = True) -> Verdict:
    """Return the contradictions between the history and the evidence.

    While orders are in progress (not `is_settled`), an open order may be charged but not yet confirmed, and its stock
    may be reserved. Then only those faults are named that no later step can resolve.
    """
    verdict = Verdict()
    by_customer: dict[str, list[Order]] = defaultdict(list)
    for order in evidence.orders:
        by_customer[order.customer.id].append(order)
    for customer in by_customer.keys() - history.purchases.keys():
        verdict.add(Fault.DUPLICATED, f"{customer} never wanted anything, and has an order")
    for purchase in history.purchases.values():
        _judge_purchase(purchase, history, by_customer[purchase.customer], verdict)
    _judge_payments(history, evidence, verdict, is_settled=is_settled)
    if is_settled:
        _judge_stock(evidence, verdict)
        _judge_rest(evidence, verdict)
    for regression in evidence.regressions:
        verdict.add(Fault.OTHER, regression)
    return verdict


def _judge_rest(evidence: Evidence, verdict: Verdict) -> None:
    """Name the orders and messages that were left."""
    for order in evidence.orders:
        if order.is_open:
            verdict.add(Fault.STUCK, f"{order.order_id} is {order.status} and open, parked: {order.parking.parked}")
    if evidence.messages or evidence.letters:
        verdict.add(
            Fault.STUCK, f"{evidence.messages} messages, {evidence.letters} dead", evidence.messages + evidence.letters
        )


def _judge_purchase(purchase: Purchase, history: History, orders: list[Order], verdict: Verdict) -> None:
    customer = purchase.customer
    acknowledged = set(history.ids(customer, Verb.PLACE, Outcome.OK))
    stored = {order.order_id for order in orders}
    for order_id in acknowledged - stored:
        verdict.add(Fault.LOST, f"{customer} received the id {order_id}, which is not stored")
    if len(acknowledged) > purchase.wanted or len(orders) > purchase.wanted:
        wanted = f"{purchase.wanted} order(s)"
        verdict.add(Fault.DUPLICATED, f"{customer} wanted {wanted}, received the ids {acknowledged}, has {stored}")
    if orders and history.ids(customer, Verb.PLACE, Outcome.FAILED):
        verdict.add(Fault.DUPLICATED, f"{customer} was refused, and has {stored}")
    for order in orders:
        if {line.sku: line.quantity for line in order.lines} != dict(purchase.quantities):
            verdict.add(Fault.OTHER, f"{order.order_id} is not what {customer} wanted")
        if history.ids(customer, Verb.CANCEL, Outcome.OK) and order.status is not OrderStatus.CANCELLED:
            verdict.add(
                Fault.LOST, f"the cancellation of {order.order_id} was confirmed to {customer}; it is {order.status}"
            )
        if history.ids(customer, Verb.CANCEL, Outcome.FAILED) and order.status is not OrderStatus.REJECTED:
            verdict.add(Fault.OTHER, f"{order.order_id} was not to be cancelled, and is {order.status}")
        if order.status is OrderStatus.CANCELLED and not history.ids(customer, Verb.CANCEL, Outcome.INVOKED):
            verdict.add(Fault.OTHER, f"{order.order_id} is cancelled without a request of {customer}")


def _judge_stock(evidence: Evidence, verdict: Verdict) -> None:
    sold = _units(order for order in evidence.orders if order.status is OrderStatus.CONFIRMED)
    for sku, before in evidence.stock_before.items():
        after = evidence.stock_after.get(sku, 0)
        missing = before - sold[sku] - after
        if missing or after < 0:
            verdict.add(Fault.STOCK, f"{sku}: {before} before, {sold[sku]} sold, {after} left", abs(missing) or 1)


def _units(orders: Iterable[Order]) -> Counter[str]:
    units: Counter[str] = Counter()
    for order in orders:
        for line in order.lines:
            units[line.sku] += line.quantity
    return units


def _judge_payments(history: History, evidence: Evidence, verdict: Verdict, *, is_settled: bool) -> None:
    payments: dict[str, list[Payment]] = defaultdict(list)
    for payment in evidence.payments:
        payments[payment.order_id].append(payment)
    for order in evidence.orders:
        made = payments.pop(order.order_id, [])
        purchase = history.purchases.get(order.customer.id)
        due = order.total if purchase and purchase.is_paid and order.status is OrderStatus.CONFIRMED else 0
        received = [payment.received for payment in made if payment.received]
        kept = sum(payment.received - payment.refunded for payment in made)
        is_final = is_settled or not order.is_open
        if len(received) > 1 or (is_final and kept != due):
            verdict.add(
                Fault.MONEY, f"{order.order_id} is {order.status}, {due} are due, {received} charged, {kept} kept"
            )
        summary = order.payment_summary
        shown = (summary.captured, summary.refunded) if summary else (0, 0)
        moved = (sum(received), sum(payment.refunded for payment in made))
        if is_final and shown != tuple(order.total if amount else 0 for amount in moved):
            detail = f"{order.order_id} shows {shown} as charged and refunded; the provider has {moved}"
            verdict.add(Fault.MONEY, detail)
    for order_id, made in payments.items():
        if any(payment.received for payment in made):
            verdict.add(Fault.MONEY, f"money was taken for {order_id}, which is not there")
