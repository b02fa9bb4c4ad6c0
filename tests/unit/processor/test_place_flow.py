"""Flow of a placed order: confirmed once, or rejected with a reason, for any sequence of messages."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from order_processor.handlers import make_handler
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.messages import ProcessingRequested
from order_shared.domain.order.models import MAX_ATTEMPTS, Order, OrderStatus, Parking, ReasonCode
from order_shared.messaging.delivery import Deferred, Delivery, LeaseLost, Unprocessable
from order_shared.storage.orders import reference_record
from tests.factories import make_order, make_product
from tests.fakes import MemoryInventoryRepository
from tests.unit.processor.conftest import World, delivery_with


def delivery_of(order: Order, *, receive_count: int = 1, held: float = 30.0) -> Delivery:
    return delivery_with(ProcessingRequested.of(order).to_json(), receive_count=receive_count, held=held)


def order_of(*lines: tuple[str, int], shards: int = 1, reference: str | None = None) -> Order:
    return make_order(
        lines=[(make_product(sku=sku, stock_shards=shards), quantity) for sku, quantity in lines],
        reference=reference,
    )


async def deliver(world: World, delivery: Delivery) -> None:
    await make_handler(world.work)(delivery)


async def test_an_order_is_confirmed_and_its_stock_taken(world: World) -> None:
    await world.stock("TEA", 10)
    order = await world.accept(order_of(("TEA", 3)))
    await deliver(world, delivery_of(order))
    stored = await world.stored(order)
    assert stored.status is OrderStatus.CONFIRMED
    assert [entry.status for entry in stored.timeline] == [OrderStatus.PENDING, OrderStatus.CONFIRMED]
    assert (stored.version, await world.available("TEA")) == (2, 7)
    assert [ended.order_id for ended in world.ended] == [order.order_id]


@pytest.mark.parametrize("receive_counts", [(1, 1), (1, 2), (2, 1), (3, 2, 1, 1)])
async def test_however_often_it_is_told_it_takes_effect_once(world: World, receive_counts: tuple[int, ...]) -> None:
    await world.stock("TEA", 10)
    order = await world.accept(order_of(("TEA", 3)))
    for receive_count in receive_counts:
        await deliver(world, delivery_of(order, receive_count=receive_count))
    assert await world.available("TEA") == 7
    assert len(world.ended) == 1


async def test_an_order_with_too_little_in_stock_is_rejected_naming_the_sku(world: World) -> None:
    await world.stock("TEA", 10)
    await world.stock("CUP", 1)
    order = await world.accept(order_of(("TEA", 3), ("CUP", 2)))
    await deliver(world, delivery_of(order))
    stored = await world.stored(order)
    assert stored.status is OrderStatus.REJECTED
    assert stored.reason is not None
    assert (stored.reason.code, stored.reason.sku) == (ReasonCode.OUT_OF_STOCK, "CUP")
    assert (await world.available("TEA"), await world.available("CUP")) == (10, 1)


async def test_a_product_that_has_gone_is_out_of_stock(world: World) -> None:
    order = await world.accept(order_of(("GONE", 1)))
    await deliver(world, delivery_of(order))
    assert (await world.stored(order)).status is OrderStatus.REJECTED


async def test_a_rejected_order_frees_its_reference(world: World) -> None:
    order = await world.accept(order_of(("GONE", 1), reference="PO-7"))
    await deliver(world, delivery_of(order))
    assert await world.orders.find_record(reference_record(order).key) is None


async def test_stock_that_is_spread_over_shards_is_brought_together(world: World) -> None:
    await world.stock("TEA", 16, shards=8)
    order = await world.accept(order_of(("TEA", 15), shards=8))
    await deliver(world, delivery_of(order))
    assert (await world.stored(order)).status is OrderStatus.CONFIRMED
    assert await world.available("TEA") == 1


async def test_more_than_all_shards_hold_is_rejected(world: World) -> None:
    await world.stock("TEA", 16, shards=8)
    order = await world.accept(order_of(("TEA", 17), shards=8))
    await deliver(world, delivery_of(order))
    assert (await world.stored(order)).status is OrderStatus.REJECTED
    assert await world.available("TEA") == 16


async def test_nothing_is_done_once_the_message_may_be_somebody_elses(world: World) -> None:
    await world.stock("TEA", 10)
    order = await world.accept(order_of(("TEA", 3)))
    with pytest.raises(LeaseLost):
        await deliver(world, delivery_of(order, held=-1.0))
    assert (await world.stored(order)).status is OrderStatus.PENDING
    assert await world.available("TEA") == 10


async def test_a_message_about_no_order_cannot_be_processed(world: World) -> None:
    with pytest.raises(Unprocessable) as caught:
        await deliver(world, delivery_of(order_of(("TEA", 1))))
    assert caught.value.reason == "order_not_found"


def _renamed(body: str) -> str:
    return body.replace("order.processing_requested.v1", "order.unheard-of.v1")


def _without_lines(body: str) -> str:
    return body.replace('"lines"', '"rows"')


def _impossible_id(body: str) -> str:
    return body.replace('"subject":"ord_', '"subject":"x_')


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda _: "{", "not_an_event"),
        (lambda _: "[]", "not_an_event"),
        (lambda _: "", "not_an_event"),
        (_renamed, "unknown_type"),
        (_without_lines, "invalid_event"),
        (_impossible_id, "invalid_event"),
    ],
)
async def test_an_unreadable_message_cannot_be_processed(
    world: World, spoil: Callable[[str], str], reason: str
) -> None:
    body = ProcessingRequested.of(order_of(("TEA", 1))).to_json()
    with pytest.raises(Unprocessable) as caught:
        await deliver(world, delivery_with(spoil(body)))
    assert caught.value.reason == reason


class BrokenInventory(MemoryInventoryRepository):
    async def consolidate_stock(self, tenant: str, sku: str, *, shard: int, quantity: int) -> bool:  # noqa: ARG002 - the protocol's
        raise ZeroDivisionError("a bug")


async def test_an_order_that_always_fails_is_parked_and_then_left_alone(world: World) -> None:
    order = await world.accept(order_of(("TEA", 1)))
    world.work = replace(world.work, inventory=BrokenInventory(world.store))
    for _ in range(MAX_ATTEMPTS):
        assert (await world.stored(order)).parking.parked is None
        with pytest.raises(ZeroDivisionError):
            await deliver(world, delivery_of(order, receive_count=2))
    stored = await world.stored(order)
    assert stored.parking.parked is not None
    assert (stored.parking.parked.reason, stored.parking.attempts) == ("unexpected_errors", MAX_ATTEMPTS)
    assert stored.status is order.status
    await deliver(world, delivery_of(order, receive_count=2))
    assert await world.stored(order) == stored


async def test_a_message_that_was_received_often_was_not_tried_often(world: World) -> None:
    order = await world.accept(order_of(("TEA", 1)))
    world.work = replace(world.work, inventory=BrokenInventory(world.store))
    with pytest.raises(Deferred):
        await deliver(world, delivery_of(order, receive_count=MAX_ATTEMPTS * 4))
    stored = await world.stored(order)
    error = stored.parking.last_error
    assert stored.parking == Parking(attempts=1, last_error=error)
    assert error is not None
    assert (error.type, error.text) == ("ZeroDivisionError", "a bug")


async def test_an_outage_is_no_attempt(world: World) -> None:
    class Unreachable(MemoryInventoryRepository):
        async def consolidate_stock(self, tenant: str, sku: str, *, shard: int, quantity: int) -> bool:  # noqa: ARG002 - as above
            raise StorageUnavailable("DynamoDB: timeout")

    order = await world.accept(order_of(("TEA", 1)))
    world.work = replace(world.work, inventory=Unreachable(world.store))
    for _ in range(MAX_ATTEMPTS * 2):
        with pytest.raises(StorageUnavailable):
            await deliver(world, delivery_of(order, receive_count=2))
    assert (await world.stored(order)).parking.attempts == 0
