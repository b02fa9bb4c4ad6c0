"""What must hold once all is quiet: promises to customers, records, dead letters, logs, and how long all took."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from devstack.lab.history import Evidence, Outcome, Payment, Verb, judge
from devstack.lab.history import History as Told
from devstack.payments.bank import Token
from order_shared.domain.idempotency import RecordKind, record_key
from order_shared.domain.order.models import FREES_REFERENCE, Order, OrderStatus
from order_shared.storage.orders import reference_key
from order_shared.tables import IDEMPOTENCY
from tests.memory_dynamo import ItemKey
from tests.simulation.customers import TENANT
from tests.simulation.happenings import Happenings
from tests.simulation.invariants import Watch
from tests.simulation.letters import Letters
from tests.simulation.logbook import Logbook
from tests.simulation.plans import EventKind, Plan
from tests.simulation.settling import SettlingCheck
from tests.simulation.shoppers import KEY
from tests.simulation.world import World


@dataclass(frozen=True, kw_only=True)
class Rest:
    """A run at rest. `rejected` are the orders that operators wanted to reject."""

    plan: Plan
    world: World
    watch: Watch
    book: Logbook
    told: Told
    letters: Letters
    happenings: Happenings
    settling: SettlingCheck
    rejected: list[str]
    calm_at: float


def faults_at_rest(rest: Rest) -> Iterator[str]:
    orders = list(rest.world.store.orders.values())
    yield from rest.book.unexpected
    yield from _judged(rest, orders)
    yield from _wrong_ends(rest, orders)
    yield from _wrong_records(rest, orders)
    in_outage = any(event.kind is EventKind.TABLES_DOWN for event in rest.plan.events)
    yield from rest.letters.faults(once=not rest.plan.rates, in_outage=in_outage)


def _judged(rest: Rest, orders: list[Order]) -> Iterator[str]:
    """Return what the checker of `make chaos` finds."""
    for order_id in rest.rejected:  # the operator is a customer who cancels
        order = next(each for each in orders if each.order_id == order_id)
        rest.told.record(order.customer.id, Verb.CANCEL, Outcome.INVOKED)
    provider, queue = rest.world.provider, rest.world.queue
    evidence = Evidence(
        orders=orders,
        stock_before=rest.happenings.stock,
        stock_after={sku: sum(rest.world.store.stock(TENANT, sku)) for sku in rest.plan.stock},
        payments=[
            Payment(order_id=order_id, received=charged, refunded=provider.refunded.get(order_id, 0))
            for order_id, charged in provider.charged.items()
        ],
        messages=queue.visible + queue.in_flight,
    )
    yield from judge(rest.told, evidence).details
    added = Counter[str]()
    for payment in provider.payments.values():
        added[payment.order_id] += payment.added
    for order in orders:
        if provider.charged.get(order.order_id, 0) > order.total + added[order.order_id]:
            yield f"{order.order_id} was charged twice"


def _wrong_ends(rest: Rest, orders: list[Order]) -> Iterator[str]:
    """Check that each order ended as its customer's wishes and its payment say."""
    plans = {plan.customer: plan for plan in rest.plan.orders}
    plentiful = plentiful_skus(orders, rest.happenings.least_stock)
    for order in orders:
        plan = plans.get(order.customer.id)
        if plan is None or order.order_id in rest.rejected:
            continue
        status, reason = order.status, order.reason
        if status is OrderStatus.CONFIRMED and plan.token == Token.DECLINED:
            yield f"{order.order_id} was confirmed, although its payment is declined"
        if status is not OrderStatus.REJECTED or reason is None:
            continue
        if reason.code == "payment_declined" and plan.token != Token.DECLINED:
            yield f"{order.order_id} was rejected, although nobody declines its payment"
        if reason.code == "out_of_stock" and reason.sku in plentiful:
            yield f"{order.order_id} was rejected, although there is enough {reason.sku} for all orders"


def plentiful_skus(orders: Iterable[Order], least_stock: Mapping[str, int]) -> set[str]:
    """Return the SKUs of which the least stock is enough for all orders together, whatever becomes of them."""
    ordered = Counter[str]()
    for line in (line for order in orders for line in order.lines):
        ordered[line.sku] += line.quantity
    return {sku for sku, units in least_stock.items() if ordered[sku] <= units}


def _wrong_records(rest: Rest, orders: list[Order]) -> Iterator[str]:
    """Check the records of keys and references: each order has its own, until it is rejected or cancelled."""
    items = rest.world.store.tables.items
    wanted = {customer: purchase.wanted for customer, purchase in rest.told.purchases.items()}
    for order in orders:
        if wanted.get(order.customer.id) == 1:
            record = items.get(ItemKey(IDEMPOTENCY.name, record_key(order.customer, RecordKind.ORDER, KEY)))
            if record is None or record["subject"]["S"] != order.order_id or "expires_at" not in record:
                yield f"{order.order_id} is not under its customer's key: {record}"
        if order.reference is not None:
            record = items.get(ItemKey(IDEMPOTENCY.name, reference_key(order.customer, order.reference)))
            owner = None if record is None else record["subject"]["S"]
            if (owner == order.order_id) is (order.status in FREES_REFERENCE):
                yield f"{order.order_id} is {order.status}, and its reference belongs to {owner}"
