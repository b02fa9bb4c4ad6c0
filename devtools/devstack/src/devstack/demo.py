"""Demonstration: place real orders over HTTP and check the result of each."""

import asyncio
import statistics
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from devstack.issuer import Issuer
from devstack.receiver import Receiver, serve_receiver
from order_client import Order, OrderClient, OrderClientError
from order_shared.domain.money.currencies import format_amount

TENANT = "acme"
CUSTOMER = "ada"
NORMAL_SKU = "TEA-GREEN-100"
SCARCE_SKU = "TIN-LIMITED-2026"
BURST_SKU = "TEA-ADVENT-24"
CARD = "pm_card_visa"
DECLINED_CARD = "pm_card_chargeDeclined"
"""Payment method tokens of the sandbox, equal to those of Stripe's test mode."""

SINGLE_ORDERS = 5
BURST_CONNECTIONS = 32
END_EVENTS = frozenset({"order.confirmed.v1", "order.rejected.v1"})
CONFIRMED = "order.confirmed.v1"
DEADLINE_SECONDS = 120.0

T = TypeVar("T")


class DemoFailed(Exception):
    """A check of the demonstration failed."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Row of the result table. `seconds` is the time from acceptance to the end, by the order's timeline."""

    what: str
    order: str
    status: str
    remark: str
    seconds: float | None = None

    @classmethod
    def of(cls, what: str, order: Order, remark: str) -> "Row":
        seconds = seconds_to_end(order)
        return cls(what=what, order=order.id, status=order.status, remark=remark, seconds=seconds)


async def run_demo(api: str, issuer: Issuer, burst: int, on_progress: Callable[[str, int, int], None]) -> list[Row]:
    """Return the rows of the result table. Raises DemoFailed at the first failed check.

    `on_progress(step, done, total)` reports the progress.
    """
    rows: list[Row] = []
    try:
        async with OrderClient(api, issuer.token(TENANT, CUSTOMER)) as shop:
            position = await _end_of_events(shop)
            for step in (_normal_and_replayed, _out_of_stock, _paid, _declined, _cancelled):
                on_progress("single orders", len(rows), 6)
                rows += await step(shop)
            on_progress("single orders", len(rows), 6)
            rows += await _burst(shop, burst, on_progress)
            rows.append(await _events(shop, position, SINGLE_ORDERS + burst, on_progress))
            async with OrderClient(api, issuer.token(TENANT, "shop", "webhooks:write")) as owner:
                rows.append(await _webhook(shop, owner))
    except OrderClientError as error:
        raise DemoFailed(f"unexpected response of the API: {error}") from error
    return rows


async def _normal_and_replayed(shop: OrderClient) -> list[Row]:
    before = await _available(shop, NORMAL_SKU)
    key = str(uuid.uuid4())
    placed = await shop.place_order({NORMAL_SKU: 2, "CUP-PORCELAIN-6": 1}, idempotency_key=key)
    again = await shop.place_order({NORMAL_SKU: 2, "CUP-PORCELAIN-6": 1}, idempotency_key=key)
    expect(again.replayed and again.id == placed.id, "the repeated request returned another order")
    order = await _ended(shop, placed)
    expect(order.status == "confirmed", f"the single order became {order.status}")
    after = await _available(shop, NORMAL_SKU)
    expect(after == before - 2, f"stock of {NORMAL_SKU} went from {before} to {after} for 2 units")
    price = format_amount(order.total, order.currency)
    return [
        Row.of("single order", order, f"{price}, stock {before} to {after}"),
        Row(what="repeated", order=again.id, status=order.status, remark="replayed: same key, same order"),
    ]


async def _out_of_stock(shop: OrderClient) -> list[Row]:
    before = await _available(shop, SCARCE_SKU)
    order = await _ended(shop, await shop.place_order({SCARCE_SKU: before + 1}))
    reason = order.reason
    expect(
        reason is not None and (order.status, reason.code, reason.sku) == ("rejected", "out_of_stock", SCARCE_SKU),
        f"an order above the available stock became {order.status}",
    )
    expect(await _available(shop, SCARCE_SKU) == before, "a rejected order changed the stock")
    return [Row.of("out of stock", order, f"out_of_stock: {SCARCE_SKU}")]


async def _paid(shop: OrderClient) -> list[Row]:
    order = await _ended(shop, await shop.place_order({NORMAL_SKU: 1}, payment_token=CARD))
    expect(order.status == "confirmed", f"a paid order became {order.status}: {order.reason}")
    return [Row.of("paid", order, "stock reserved, card charged")]


async def _declined(shop: OrderClient) -> list[Row]:
    before = await _available(shop, NORMAL_SKU)
    order = await _ended(shop, await shop.place_order({NORMAL_SKU: 1}, payment_token=DECLINED_CARD))
    code = order.reason.code if order.reason else None
    expect((order.status, code) == ("rejected", "payment_declined"), f"a declined order became {order.status}")
    expect(await _available(shop, NORMAL_SKU) == before, "the stock of a declined order was not returned")
    return [Row.of("declined", order, "payment_declined, stock returned")]


async def _cancelled(shop: OrderClient) -> list[Row]:
    before = await _available(shop, NORMAL_SKU)
    order = await _ended(shop, await shop.place_order({NORMAL_SKU: 1}, payment_token=CARD))
    await shop.cancel_order(order.id)
    order = await shop.wait_for_end(order.id, timeout=DEADLINE_SECONDS, until={"cancelled"})
    expect(await _available(shop, NORMAL_SKU) == before, "the stock of a cancelled order was not returned")
    return [Row.of("cancelled", order, "refunded, stock returned")]


async def _webhook(shop: OrderClient, owner: OrderClient) -> Row:
    """Receive the end of an order as a signed webhook."""
    async with serve_receiver(Receiver()) as receiver:
        endpoint = await owner.create_webhook_endpoint(receiver.url, types=[CONFIRMED], description="demonstration")
        expect(endpoint.state == "active", f"the webhook endpoint is {endpoint.state}: {endpoint.verification}")
        receiver.secrets = [str(endpoint.secret)]
        placed = await shop.place_order({NORMAL_SKU: 1})
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                found = await receiver.event_of(placed.id)
        except TimeoutError:
            raise DemoFailed(f"no webhook of {placed.id} arrived within {DEADLINE_SECONDS:.0f} s") from None
        finally:
            await owner.delete_webhook_endpoint(endpoint.id)
    return Row(what="webhook", order=placed.id, status="confirmed", remark=f"{CONFIRMED}, {found.verdict}")


async def _burst(shop: OrderClient, size: int, on_progress: Callable[[str, int, int], None]) -> list[Row]:
    before = await _available(shop, BURST_SKU)
    done = {"posted": 0, "confirmed": 0}
    slots = asyncio.Semaphore(BURST_CONNECTIONS)

    async def counted(step: str, call: Callable[[], Awaitable[T]]) -> T:
        async with slots:
            result = await call()
        done[step] += 1
        on_progress(step, done[step], size)
        return result

    posted = await asyncio.gather(*(counted("posted", partial(shop.place_order, {BURST_SKU: 1})) for _ in range(size)))
    expect(len({order.id for order in posted}) == size, "two orders got the same id")
    ended = await asyncio.gather(*(counted("confirmed", partial(_ended, shop, order)) for order in posted))
    statuses = {str(order.status) for order in ended}
    expect(statuses == {"confirmed"}, f"not all orders of the burst were confirmed: {statuses}")
    after = await _available(shop, BURST_SKU)
    expect(after == before - size, f"stock of {BURST_SKU} went from {before} to {after} for {size} units")
    latencies = sorted(seconds_to_end(order) for order in ended)
    figures = [
        ("burst", "median", statistics.median(latencies)),
        ("", "p99", latencies[int(0.99 * (size - 1))]),
    ]
    order, remark = f"{size} of {size}", f"stock {before} to {after}"
    return [
        Row(what=what, order=f"{order}, {name}", status="confirmed", remark=remark, seconds=seconds)
        for what, name, seconds in figures
    ]


async def _end_of_events(shop: OrderClient) -> str:
    """Return the position at the end of the customer's events."""
    async for page in shop.event_pages(after="latest"):
        return page.next
    raise DemoFailed("the feed of events has no page")


async def _events(shop: OrderClient, position: str, orders: int, on_progress: Callable[[str, int, int], None]) -> Row:
    """Receive the events of the orders from the stream, until so many orders have ended and one is cancelled."""
    ids: set[str] = set()
    versions: dict[str, int] = {}
    ended: set[str] = set()
    is_cancelled = False
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            async for event in shop.stream_events(after=position):
                version = int(event.id.split(".")[1])
                expect(event.id not in ids, f"the event {event.id} came twice")
                is_first = event.order_id not in versions
                expect(is_first == (event.type == "order.placed.v1"), f"{event.type} came before the order was placed")
                expect(version >= versions.get(event.order_id, 0), f"{event.id} came after a later version")
                ids.add(event.id)
                versions[event.order_id] = version
                is_cancelled |= event.type == "order.cancelled.v1"
                if event.type in END_EVENTS:
                    ended.add(event.order_id)
                    on_progress("followed", len(ended), orders)
                if len(ended) == orders and is_cancelled:
                    break
    except TimeoutError:
        raise DemoFailed(f"the events of {orders - len(ended)} orders did not come") from None
    return Row(what="events", order=f"{len(ids)} of {orders} orders", status="received", remark="each once, in order")


async def _ended(shop: OrderClient, order: Order) -> Order:
    return await shop.wait_for_end(order.id, timeout=DEADLINE_SECONDS)


async def _available(shop: OrderClient, sku: str) -> int:
    return (await shop.get_product(sku)).available


def seconds_to_end(order: Order) -> float:
    """Return the seconds from acceptance to the end, by the order's timeline."""
    return (order.timeline[-1].at - order.timeline[0].at).total_seconds()


def expect(condition: object, message: str) -> None:
    """Raise DemoFailed with the message unless the condition is true."""
    if not condition:
        raise DemoFailed(message)
