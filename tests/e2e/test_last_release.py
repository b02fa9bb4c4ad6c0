"""Releases over one set of tables and one queue: each ends what the other has stored and sent, wherever it rests.

This release runs in both of its forms: it stores new orders with a history, or with a timeline as the last release.
Every release runs from its own sources in processes of its own: API, processor, and the program that stores orders.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from devstack.stack import TABLE_PREFIX, Stack, running_infrastructure
from order_shared.domain.order.models import OrderStatus
from order_shared.naming import ORDER_API, ORDER_PROCESSOR, Service
from order_shared.storage.order_items import MUTABLE
from order_shared.storage.outbox import DEFAULT_SHARDS
from order_shared.tables import DEFAULT_OPEN_SHARDS, OPEN_SHARDS, order_queue
from tests import engines, last_release
from tests.e2e import resting_orders
from tests.e2e.conftest import QUICK, Shop, open_shop
from tests.e2e.resting_orders import BACKEND, KEYS_IN_USE, OF_THIS_RELEASE, PRICE, SKU, STATES
from tests.e2e.test_payments import money_held
from tests.waiting import eventually

UNITS = 1000
MESSAGES_ONLY = {"ORDER_SWEEP_INTERVAL_SECONDS": "3600"}
"""Settings of a processor that does not sweep."""

CANCELLED = {state for state in (*STATES, *KEYS_IN_USE) if "cancel requested" in state} | {"cancelled"}
REJECTED = {state for state in STATES if state.startswith("declined")} | {"rejected"}
PARKED = {state for state in STATES if state.endswith("parked")}
FIRST_MESSAGE_ENDS = "placed, parked"
"""The first delivery of an unpaid order is tried without a read, so it ends such an order."""
LEASED = {state for state in STATES if state.endswith("lease held")}


def end_of(state: str) -> str:
    return "cancelled" if state in CANCELLED else "rejected" if state in REJECTED else "confirmed"


@dataclass(frozen=True)
class Release:
    """A release whose processes run over one stack."""

    stack: Stack
    sources: str
    """The folder that it runs from."""
    pythonpath: str
    python: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {**self.stack.environment, "PYTHONPATH": self.pythonpath, **self.settings}

    def run(self, *arguments: str) -> str:
        """Run the program that stores orders; return its output."""
        command = [self.python, resting_orders.__file__, *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout


@dataclass(frozen=True, kw_only=True)
class Stored:
    state: str
    has_message: bool
    """Its message was sent."""
    id: str
    status: str

    @property
    def is_charged(self) -> bool:
        return self.state.startswith(("paid", "undo")) and end_of(self.state) == "confirmed"

    def waits_for(self, *, reads_as_last: bool) -> str:
        """What brings the order to its end: its message, a sweep, or an operator.

        The last release does not see that an order was parked before its first message arrives.
        """
        if self.state in PARKED and not (reads_as_last and self.has_message and self.state == FIRST_MESSAGE_ENDS):
            return "operator"
        return "message" if self.has_message and self.state not in LEASED else "sweep"


@dataclass(frozen=True, kw_only=True)
class Releases:
    last: Release
    expanding: Release
    """This release while tasks of the last one run: it stores no history."""
    this: Release


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Releases]:
    folder = tmp_path_factory.mktemp("releases")
    last = last_release.extract(folder / "last")
    this = last_release.pythonpath(last_release.ROOT)
    with running_infrastructure(folder / "stack") as stack:
        stack.start_payments()
        of_this = Release(stack, sources=str(last_release.ROOT), pythonpath=this, python=sys.executable)
        yield Releases(
            this=of_this,
            expanding=replace(
                of_this, settings={"ORDER_STORES_HISTORY": "false", "ORDER_FORMER_MESSAGE_TYPES": "true"}
            ),
            last=Release(stack, sources=str(folder), pythonpath=last, python=str(last_release.PYTHON)),
        )


@asynccontextmanager
async def running(
    release: Release, service: Service, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Stack]:
    """Run a service of a release while the block runs; yield the stack with it."""
    environment = {**release.environment, **(settings or {})}
    stack = replace(release.stack, environment=environment, children={}, services={}, python=release.python)
    await asyncio.to_thread(stack.start, service)
    try:
        yield stack
    finally:
        assert await asyncio.to_thread(stack.children[service.name].stop) == 0


@asynccontextmanager
async def served(release: Release, tenant: str | None = None) -> AsyncIterator[Shop]:
    """Run a release's API while the block runs; yield a shop that uses it."""
    async with running(release, ORDER_API) as stack, open_shop(stack) as shop:
        yield shop if tenant is None else replace(shop, tenant=tenant)


async def statuses(shop: Shop, orders: list[Stored]) -> dict[str, str]:
    """Return the status of each order by its id, as the API answers."""
    answers = [(await shop.get(order.id)).raise_for_status().json() for order in orders]
    return {answer["id"]: answer["status"] for answer in answers}


async def ended(shop: Shop, orders: list[Stored]) -> None:
    """Wait until each of the orders is at the end of its state."""
    expected = {order.id: end_of(order.state) for order in orders}

    async def are() -> bool:
        return await statuses(shop, orders) == expected

    try:
        await eventually(are, "the ends", pause=0.2)
    except AssertionError as error:
        found = await statuses(shop, orders)
        late = [(order, found[order.id]) for order in orders if found[order.id] != expected[order.id]]
        raise AssertionError(f"not at their ends: {late}") from error


async def all_sold(shop: Shop, orders: list[Stored]) -> None:
    """Check the stock after all orders have ended."""
    assert await shop.available(SKU) == UNITS - sum(end_of(order.state) == "confirmed" for order in orders)


@pytest.mark.parametrize(
    ("writing", "reading", "open_shards"),
    [
        ("last", "expanding", DEFAULT_OPEN_SHARDS),
        ("expanding", "last", OPEN_SHARDS),
        ("last", "this", DEFAULT_OPEN_SHARDS),
        ("expanding", "this", DEFAULT_OPEN_SHARDS),
        ("this", "expanding", DEFAULT_OPEN_SHARDS),
    ],
)
async def test_what_one_release_stores_the_other_ends(
    releases: Releases, writing: str, reading: str, open_shards: int
) -> None:
    """With 128 keys written by this release, the last one ends them once they were moved, as before a rollback."""
    writer, reader = (
        replace(each, settings={**each.settings, "ORDER_OPEN_SHARDS": str(open_shards)})
        for each in (getattr(releases, writing), getattr(releases, reading))
    )
    reads_as_last, writes_as_last = reading == "last", writing == "last"
    async with served(reader) as shop:
        await shop.stock(SKU, UNITS)
        form = "history" if writing == "this" else "timeline"
        output = json.loads(await asyncio.to_thread(writer.run, "store", shop.tenant, form))
        assert all(path.startswith(writer.sources) for path in output["sources"]), output["sources"]
        stored = [Stored(**order) for order in output["orders"]]
        left = OF_THIS_RELEASE.keys() | KEYS_IN_USE.keys() if reads_as_last else set[str]()
        deferred = [order for order in stored if order.state in left]
        orders = [order for order in stored if order not in deferred]
        known = STATES.keys() | KEYS_IN_USE.keys() | (set() if writes_as_last else OF_THIS_RELEASE.keys())
        assert {order.state for order in orders} == known - left
        assert {order.status for order in orders} == set(OrderStatus)
        assert writes_as_last or attributes(writer.stack, shop.tenant) >= MUTABLE.keys(), (
            "some state has each attribute"
        )
        assert forms(writer.stack, shop.tenant) == (
            {form} if form == "history" or writes_as_last else {form, "history"}
        )
        assert await statuses(shop, orders) == {order.id: order.status for order in orders}
        if reads_as_last and open_shards != DEFAULT_OPEN_SHARDS:
            hidden = outbox_keys(writer.stack, shop.tenant) & DEFAULT_SHARDS.keys()
            assert {key.startswith("parked#") for key in hidden} == {False, True}, "the last release does not see them"
            printed = await asyncio.to_thread(move_keys, releases.this.stack)
            assert "none is left under other keys" in printed
            assert not outbox_keys(writer.stack, shop.tenant) & DEFAULT_SHARDS.keys()
        awaited = {order.id: order.waits_for(reads_as_last=reads_as_last) for order in orders}
        async with running(reader, ORDER_PROCESSOR, MESSAGES_ONLY):
            await ended(shop, [order for order in orders if awaited[order.id] == "message"])
        async with running(reader, ORDER_PROCESSOR, QUICK):
            await ended(shop, [order for order in orders if awaited[order.id] == "sweep"])
            parked = [order for order in orders if awaited[order.id] == "operator"]
            assert await statuses(shop, parked) == {order.id: order.status for order in parked}
            seen = json.loads(await asyncio.to_thread(reader.run, "parked", shop.tenant))
            assert sorted(seen) == sorted(order.id for order in parked)
            await asyncio.to_thread(reader.run, "retry", shop.tenant, *(order.id for order in parked))
            await ended(shop, parked)
        if not deferred:
            await all_sold(shop, stored)
    if deferred:
        async with served(releases.this, shop.tenant) as shop:
            assert await statuses(shop, deferred) == {order.id: order.status for order in deferred}, (
                "the last release left them"
            )
            async with running(releases.this, ORDER_PROCESSOR, QUICK):
                await ended(shop, deferred)
            await all_sold(shop, stored)
    charged = {order.id: PRICE if order.is_charged else 0 for order in stored}
    assert await money_held(releases.this.stack, list(charged)) == charged
    assert dead_letters(releases.this.stack) == 0
    placed_by = [item.get("placed_by") for item in stored_items(releases.this.stack, shop.tenant)]
    assert placed_by == [None if writes_as_last else {"S": BACKEND}] * len(stored)


def stored_items(stack: Stack, tenant: str) -> list[dict[str, Any]]:
    """Return a tenant's orders as they are stored."""
    query = {
        "KeyConditionExpression": "customer_key = :key",
        "ExpressionAttributeValues": {":key": {"S": f"{tenant}#ada"}},
    }
    found = engines.client("dynamodb", stack.aws).query(TableName=f"{TABLE_PREFIX}orders", **query)
    items: list[dict[str, Any]] = found["Items"]
    return items


def attributes(stack: Stack, tenant: str) -> set[str]:
    """Return the names of all attributes that a tenant's stored orders have."""
    return {name for item in stored_items(stack, tenant) for name in item}


def forms(stack: Stack, tenant: str) -> set[str]:
    """Return which of `history` and `timeline` a tenant's stored orders have; each order has one of them."""
    found = [item.keys() & {"history", "timeline"} for item in stored_items(stack, tenant)]
    assert {len(names) for names in found} == {1}
    return set().union(*found)


def outbox_keys(stack: Stack, tenant: str) -> set[str]:
    """Return the keys of the outbox that hold a tenant's orders."""
    return {item["open_shard"]["S"] for item in stored_items(stack, tenant) if "open_shard" in item}


def move_keys(stack: Stack) -> str:
    """Move all open orders to the keys of the last release, as an operator does; return what the command prints."""
    environment = {**os.environ, **stack.environment}
    command = [sys.executable, "-m", "orderctl.main", "migrate-keys", "--reason", "roll back", "--yes"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def dead_letters(stack: Stack) -> int:
    sqs = engines.client("sqs", stack.aws)
    url = sqs.get_queue_url(QueueName=order_queue(TABLE_PREFIX).dead_letter_name)["QueueUrl"]
    found: dict[str, Any] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(found["Attributes"]["ApproximateNumberOfMessages"])
