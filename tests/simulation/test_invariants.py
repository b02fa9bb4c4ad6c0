"""The checker of writes can fail: each invariant is broken once by hand."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from order_shared.aws.encoding import attributes
from order_shared.domain.order.models import Order
from order_shared.storage.order_items import to_item
from order_shared.tables import INVENTORY, ORDERS
from tests.factories import NOON, make_order, make_product
from tests.memory_dynamo import Change, ItemKey, Json
from tests.simulation.clock import START
from tests.simulation.history import History
from tests.simulation.invariants import Watch
from tests.simulation.provider import Provider, ProviderRules

LATER = NOON + timedelta(seconds=1)
ORDER = make_order(at=NOON, payment_token="pm_card_visa", lines=[(make_product(), 2)])
RESERVED = ORDER.reserve(LATER, owner="owner", lease_until=LATER)
PAID = RESERVED.with_payment("pi_1")


@pytest.fixture
def provider() -> Provider:
    return Provider(ProviderRules(), History(lambda: 0.0), lambda: 0.0)


@pytest.fixture
def watch(provider: Provider) -> Watch:
    return Watch(provider)


def written(before: Order | None, after: Order, **changed: Json) -> Change:
    """Return the write of an order, with attributes that differ from those of `after`."""
    key = ItemKey(ORDERS.name, after.customer.key, "at")
    old = None if before is None else attributes(to_item(before))
    return Change(key, old, {**attributes(to_item(after)), **changed})


def stock(before: int, after: int) -> Change:
    old, new = ({"available": {"N": str(units)}} for units in (before, after))
    return Change(ItemKey(INVENTORY.name, "acme#TEA", "stock#00"), old, new)


def test_a_right_life_has_no_violations(watch: Watch, provider: Provider) -> None:
    watch.check([written(None, ORDER)])
    watch.check([written(ORDER, RESERVED), stock(5, 3)])
    watch.check([written(RESERVED, PAID)])
    provider.charged[ORDER.order_id] = ORDER.total
    watch.check([written(PAID, PAID.confirm(LATER))])
    assert list(watch.violations) == []


def test_an_order_is_confirmed_since_the_time_that_it_says(watch: Watch) -> None:
    """Its write may be later by the time of several requests; a customer may cancel for a while after that time."""
    watch._now = lambda: 9.0
    watch.check([written(PAID, PAID.confirm(START + timedelta(seconds=5)))])
    assert not watch.says_confirmed_before(ORDER.order_id, 4.0)
    assert watch.says_confirmed_before(ORDER.order_id, 5.0)
    assert not watch.was_confirmed_before(ORDER.order_id, 5.0)


Make = Callable[[], list[Change]]
BROKEN: dict[str, Make] = {
    "changed stock": lambda: [written(ORDER, RESERVED), stock(5, 4)],
    "by what its order does not hold": lambda: [written(ORDER, RESERVED)],
    "holds -1": lambda: [written(ORDER, RESERVED), stock(1, -1)],
    "with 0 kept": lambda: [written(PAID, PAID.confirm(LATER))],
    "went back": lambda: [written(PAID, replace(PAID, version=1, history=PAID.history[:1]))],
    "another past": lambda: [written(PAID, replace(PAID, history=PAID.history[::-1]))],
    "version": lambda: [written(PAID, replace(PAID, version=9))],
    "its entry in the outbox": lambda: [written(PAID, PAID, open_shard={"S": "1"}, due_at={"NULL": True})],
    "became another order": lambda: [written(PAID, PAID, order_id={"S": "other"})],
    "different keys of the outbox": lambda: [written(PAID, PAID, open_shard={"S": "parked#01"})],
    "forgot a request": lambda: [written(PAID.request_cancel(LATER, due_at=1), PAID)],
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_wrong_write_is_a_violation(watch: Watch, text: str) -> None:
    changes = BROKEN[text]()
    if text == "its entry in the outbox":
        changes = [
            change._replace(after={k: v for k, v in (change.after or {}).items() if k != "due_at"})
            for change in changes
        ]
    watch.check(changes)
    assert any(text in violation for violation in watch.violations), watch.violations
