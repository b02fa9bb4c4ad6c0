"""A small part of `make chaos-events` and `make chaos-webhooks`, and the judgement that the latter ends with."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from devstack.stack import running_infrastructure
from order_shared.domain.order.events import OrderEvent, OrderEvents
from order_shared.domain.webhook.secret_box import FernetBox
from order_shared.domain.webhook.signing import new_secret
from tests.chaos.events import PROCESSES
from tests.chaos.receivers import Habit, Receiver
from tests.chaos.webhooks import new_keys, run_webhooks, settings_of
from tests.chaos.world import open_world
from tests.factories import make_order

QUICK = (Habit.STEADY, Habit.ERRORS, Habit.REDIRECTS, Habit.VANISHES)


async def test_every_change_is_one_event_and_reaches_every_receiver_while_processes_are_killed(tmp_path: Path) -> None:
    keys = new_keys()
    with running_infrastructure(tmp_path / "chaos") as stack:
        async with open_world(stack, "webhooks-", PROCESSES, settings=settings_of(keys)) as world:
            outcome = await run_webhooks(world, "seed 1", 40, box=FernetBox([keys]), habits=QUICK, seconds=8)
    assert outcome.faults == []
    assert outcome.orders >= 30
    assert outcome.events >= 2 * outcome.orders
    assert outcome.kills.total() >= 2


@pytest.fixture
def events() -> list[OrderEvent]:
    orders = [order.cancel(order.created_at) for order in (make_order(), make_order())]
    return [event for order in orders for event in OrderEvents.of(order)]


def judged(events: Sequence[OrderEvent], accepted: Sequence[str]) -> list[str]:
    receiver = Receiver(Habit.STEADY, new_secret(), Random(1))  # noqa: S311 - a test
    receiver.accepted += accepted
    return receiver.judge(events)


def test_repeated_events_are_no_fault(events: list[OrderEvent]) -> None:
    ids = [event.id for event in events]
    assert judged(events, [*ids, *ids]) == []


def test_a_missing_a_strange_and_a_misplaced_event_are_faults(events: list[OrderEvent]) -> None:
    ids = [event.id for event in events]
    assert judged(events, ids[1:]) == [f"steady: {ids[0]} is missing"]
    assert judged(events, [*ids, "ord_1.1.placed"])[0] == "steady: ord_1.1.placed is not in the log"
    assert judged(events, [ids[1], ids[0], *ids[2:]]) == [f"steady: {events[0].order_id} came as {ids[1]}, {ids[0]}"]
