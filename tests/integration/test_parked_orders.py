"""An operator's actions on parked orders, over every storage, and their audit trail."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from devstack.stack import local_session
from order_operations.parked_orders import NotParked, list_parked, reject, retry
from order_shared.domain.order.messages import CancellationRequested, ProcessingRequested, parse_message
from order_shared.domain.order.models import Customer, Order, OrderStatus, Parking, ReasonCode
from order_shared.storage.audit_trail import DynamoAuditTrail, Operation
from tests.factories import NOON, make_order, make_product, make_record, make_stock_record, make_tenant
from tests.fakes import MemoryAuditTrail, MemoryQueue, make_adapters
from tests.integration.conftest import PREFIX, Storage

LATER = timedelta(hours=25)


class Desk:
    """An operator's desk over one storage."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.queue = MemoryQueue()
        self.audit = MemoryAuditTrail()
        self.adapters = make_adapters(
            storage.dynamo, storage.tables, queue=self.queue, orders=storage.orders, inventory=storage.inventory
        )

    async def parked(self, *, reserved: bool = False) -> Order:
        customer = Customer(tenant=self.storage.tenant, id="ada")
        product = make_product(tenant=customer.tenant)
        order = make_order(customer=customer, lines=[(product, 2)], payment_token="pm_card_visa")
        await self.storage.orders.add(order, make_record(order, at=self.storage.clock()))
        if reserved:
            await self.storage.inventory.put(product)
            await self.storage.inventory.adjust(
                customer.tenant, product.sku, 5, make_stock_record(customer.tenant, product.sku)
            )
            held = order.reserve(order.created_at, owner="gone", lease_until=order.created_at)
            await self.storage.orders.move(order, held)
            order = held
        parked = order.park(order.created_at + LATER, "overdue")
        await self.storage.orders.move(order, parked)
        return parked

    async def stored(self, order: Order) -> Order:
        return await self.storage.orders.get(order.customer, order.order_id)


@pytest.fixture
def desk(storage: Storage) -> Desk:
    return Desk(storage)


async def test_parked_orders_are_listed(desk: Desk) -> None:
    order = await desk.parked()
    listed = await list_parked(desk.adapters, 10_000)
    assert [each for each in listed if each.customer == order.customer] == [order]


async def test_a_retried_order_is_open_with_its_attempts_reset(desk: Desk) -> None:
    order = await desk.parked()
    assert await retry(desk.adapters, desk.audit, order, actor="op", reason="fixed", at=order.created_at + LATER)
    stored = await desk.stored(order)
    assert (stored.parking, stored.schedule.sweeps) == (Parking(retried_at=order.created_at + LATER), 0)
    assert stored.status is OrderStatus.PENDING
    assert isinstance(parse_message(desk.queue.messages[0].message.body), ProcessingRequested)
    (operation,) = desk.audit.of(order.order_id)
    assert (operation.verb, operation.actor, operation.reason) == ("orders.retry", "op", "fixed")


async def test_a_retry_sends_the_type_of_the_last_release_while_it_runs(desk: Desk) -> None:
    order = await desk.parked()
    adapters = replace(desk.adapters, former_message_types=True)
    assert await retry(adapters, desk.audit, order, actor="op", reason="fixed", at=order.created_at + LATER)
    assert json.loads(desk.queue.messages[0].message.body)["type"] == "order.placed.v1"


async def test_with_sqs_down_a_retry_is_left_to_the_sweeper(desk: Desk) -> None:
    order = await desk.parked()
    desk.queue.down = True
    assert not await retry(desk.adapters, desk.audit, order, actor="op", reason="fixed", at=order.created_at + LATER)
    assert (await desk.stored(order)).schedule.due_at is not None


async def test_a_pending_order_ends_when_it_is_rejected(desk: Desk) -> None:
    order = await desk.parked()
    await reject(desk.adapters, desk.audit, order, actor="op", reason="hopeless", at=order.created_at + LATER)
    stored = await desk.stored(order)
    assert stored.status is OrderStatus.REJECTED
    assert stored.reason is not None
    assert stored.reason.code is ReasonCode.REJECTED_BY_OPERATOR


async def test_an_order_that_holds_stock_is_cancelled_by_the_processor(desk: Desk) -> None:
    order = await desk.parked(reserved=True)
    after = await reject(desk.adapters, desk.audit, order, actor="op", reason="hopeless", at=order.created_at + LATER)
    stored = await desk.stored(order)
    assert after == stored
    assert (stored.status, stored.parking.parked, stored.is_open) == (OrderStatus.RESERVED, None, True)
    assert stored.cancel_requested_at is not None
    assert isinstance(parse_message(desk.queue.messages[0].message.body), CancellationRequested)


async def test_an_order_that_is_not_parked_is_refused(desk: Desk) -> None:
    order = await desk.parked()
    await retry(desk.adapters, desk.audit, order, actor="op", reason="fixed", at=order.created_at + LATER)
    stored = await desk.stored(order)
    for verb in (retry, reject):
        with pytest.raises(NotParked):
            await verb(desk.adapters, desk.audit, stored, actor="op", reason="again", at=order.created_at + LATER)
    assert await desk.stored(order) == stored
    assert len(desk.audit.operations) == 1


def test_the_audit_trail_has_every_operation_in_order(emulator_endpoint: str) -> None:
    subject = make_tenant()
    operations = [
        Operation(subject=subject, at=NOON, actor="op", verb="orders.retry", reason=reason)
        for reason in ("a", "b", "c")
    ]
    trail = DynamoAuditTrail(local_session().client("dynamodb", endpoint_url=emulator_endpoint), f"{PREFIX}operations")
    for operation in operations:
        trail.record(operation)
    recorded = trail.of(subject)
    assert [operation.reason for operation in recorded] == ["a", "b", "c"]
    assert recorded[0] == operations[0]
    assert trail.of(subject, 2, newest_first=True) == recorded[:0:-1]
    assert len({operation.at for operation in recorded}) == 3, "none overwrites another of the same microsecond"
