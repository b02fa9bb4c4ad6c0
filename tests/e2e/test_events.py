"""Events of orders by the running stack: from a change, through the notifier and the log, to feed and stream."""

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

from devstack.issuer import ALL_SCOPES
from order_client import OrderClient, TenantEvent
from tests.e2e.conftest import Shop
from tests.waiting import eventually

SOON = 60.0


def client_of(shop: Shop, customer: str = "ada", scope: str = ALL_SCOPES) -> OrderClient:
    return OrderClient(str(shop.http.base_url), shop.issuer.token(shop.tenant, customer, scope))


async def messages(shop: Shop, **headers: str) -> AsyncGenerator[dict[str, str]]:
    """Yield the messages of a stream as they are on the wire."""
    fields: dict[str, str] = {}
    async with shop.http.stream("GET", "/v1/events/stream", headers=shop.headers() | headers) as response:
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
            elif fields:
                yield fields
                fields = {}


async def test_an_order_is_followed_by_feed_and_stream(shop: Shop) -> None:
    await shop.stock("TEA", 10)
    (order_id,) = await shop.accepted(1)
    order = await shop.ended(order_id)
    found: list[dict[str, Any]] = []

    async def is_complete() -> bool:
        page = (await shop.http.get("/v1/events", headers=shop.headers())).raise_for_status().json()
        found[:] = page["items"]
        return bool(found) and found[-1]["type"] == "order.confirmed.v1"

    await eventually(is_complete, "the events of an order")
    assert found[0]["type"] == "order.placed.v1"
    assert {event["subject"] for event in found} == {order_id}
    assert all(event["data"] == order for event in found), "the order as it is now"
    seen: list[dict[str, str]] = []
    async with asyncio.timeout(SOON), aclosing(messages(shop)) as stream:
        async for message in stream:
            seen += [message] if "data" in message else []
            if len(seen) == len(found):
                break
    assert [json.loads(message["data"]) for message in seen] == found
    assert [message["event"] for message in seen] == [event["type"] for event in found]
    async with asyncio.timeout(SOON), aclosing(messages(shop, **{"Last-Event-ID": seen[0]["id"]})) as stream:
        async for message in stream:
            if "data" in message:
                assert json.loads(message["data"]) == found[1]
                break


async def trade(shop: Shop, dice: random.Random) -> int:
    """Place 30 orders of three customers, cancel some, and return the number of orders."""
    for number in range(30):
        customer = f"customer-{number % 3}"
        placed = (await shop.post(customer=customer)).raise_for_status().json()
        if dice.random() < 0.3:
            await shop.ended(placed["id"], customer=customer)
            await shop.http.post(f"/v1/orders/{placed['id']}/cancel", headers=shop.headers(customer))
    return 30


class Journal:
    """Events that a reader has handled, and the position that it has stored."""

    def __init__(self, trading: asyncio.Task[int]) -> None:
        self.events: list[TenantEvent] = []
        self.position: str | None = None
        self._trading = trading

    @property
    def is_complete(self) -> bool:
        """Return whether every order has ended, and its last event was handled."""
        last = {event.order_id: event for event in self.events}
        return self._trading.done() and len(last) == self._trading.result() and all(map(_is_last, last.values()))

    async def poll(self, client: OrderClient, dice: random.Random) -> None:
        """Read some pages of the feed."""
        async for page in client.tenant_event_pages(after=self.position, page_size=dice.randrange(1, 9)):
            self.events += page.items
            self.position = page.next
            if dice.random() < 0.3:
                break
        await asyncio.sleep(0.05)

    async def listen(self, client: OrderClient, dice: random.Random) -> None:
        """Read the stream until the reader is killed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(dice.random() * 1.5):
                async for event in client.stream_tenant_events(after=self.position):
                    self.events.append(event)
                    self.position = event.position


def _is_last(event: TenantEvent) -> bool:
    """Return whether an event is the last one of its order."""
    assert event.order is not None
    has_ended = event.order.status in {"confirmed", "cancelled"} and not event.order.is_being_cancelled
    return has_ended and event.type == f"order.{event.order.status}.v1"


async def test_readers_that_are_killed_and_resume_see_every_event_once_in_order(shop: Shop) -> None:
    """One polls the feed of the tenant, one reads its stream, while customers place and cancel orders."""
    await shop.stock("TEA", 1000)
    dice = random.Random(11)  # noqa: S311 - a fixed order
    trading = asyncio.create_task(trade(shop, dice))
    polled, heard = Journal(trading), Journal(trading)

    async def run(journal: Journal, read: Callable[[OrderClient, random.Random], Awaitable[None]]) -> None:
        while not journal.is_complete:
            async with client_of(shop, "staff", "orders:admin") as client:  # a process that starts again
                await read(client, dice)

    async with asyncio.timeout(2 * SOON), asyncio.TaskGroup() as group:
        group.create_task(run(polled, polled.poll))
        group.create_task(run(heard, heard.listen))
    for journal in (polled, heard):
        assert len({event.id for event in journal.events}) == len(journal.events), "once"
        versions: dict[str, list[int]] = defaultdict(list)
        for event in journal.events:
            versions[event.order_id].append(int(event.id.split(".")[1]))
        for each in versions.values():
            assert each == sorted(each)
            assert {*each} == {*range(1, max(each) + 1)}, "none is missing"
    assert [event.id for event in polled.events] == [event.id for event in heard.events]


async def test_each_customer_sees_its_own_events_and_the_shop_all(shop: Shop) -> None:
    await shop.stock("TEA", 10)
    orders = {customer: (await shop.accepted(1, customer=customer))[0] for customer in ("ada", "bob")}
    async with client_of(shop, "staff", "orders:admin") as client, asyncio.timeout(SOON):
        seen: list[str] = []
        async for event in client.stream_tenant_events():
            assert event.order is not None
            assert orders[event.order.customer] == event.order_id
            seen.append(event.order_id)
            if {*seen} == {*orders.values()}:
                break
    async with client_of(shop, "ada") as client:
        assert {event.order_id async for event in client.events()} == {orders["ada"]}
