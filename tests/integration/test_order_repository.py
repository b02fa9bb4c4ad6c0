"""Contract of the order repositories: the fake, the emulator and, if installed, DynamoDB Local."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiodynamo.errors import AIODynamoError, TransactionCanceled

from order_shared.domain.clock import UniqueClock, to_millis
from order_shared.domain.idempotency import KEY_LIFETIME, RecordTaken
from order_shared.domain.order.exceptions import (
    OrderInstantTaken,
    OrderNotFound,
    OutOfStock,
    ReferenceTaken,
    StaleOrder,
)
from order_shared.domain.order.models import Customer, Lease, Order, OrderStatus, Reason, ReasonCode, Schedule
from order_shared.domain.order.payments import Undo, UndoKind
from order_shared.storage.orders import MAX_DUE_AT, OpenOrder, Window, reference_record
from order_shared.storage.outbox import open_shard_of
from tests.factories import NOON, make_order, make_product, make_record, make_stock_record
from tests.integration.conftest import Storage

MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)


async def stock(storage: Storage, sku: str, units: int, shards: int = 1) -> None:
    await storage.inventory.put(make_product(tenant=storage.tenant, sku=sku, stock_shards=shards))
    await storage.inventory.adjust(storage.tenant, sku, units, make_stock_record(storage.tenant, sku))


async def available(storage: Storage, sku: str) -> int:
    return (await storage.inventory.get(storage.tenant, sku)).available


def order_of(storage: Storage, *skus: str, quantity: int = 1, reference: str | None = None) -> Order:
    return make_order(
        customer=Customer(tenant=storage.tenant, id="ada"),
        lines=[(make_product(tenant=storage.tenant, sku=sku), quantity) for sku in skus or ("TEA",)],
        reference=reference,
    )


async def added(storage: Storage, order: Order) -> Order:
    await storage.orders.add(order, make_record(order, at=storage.clock()))
    return order


class TestAdd:
    async def test_an_added_order_is_read_back_unchanged(self, storage: Storage) -> None:
        order = await added(storage, order_of(storage, "TEA", "CUP", quantity=3, reference="PO-7"))
        assert await storage.orders.get(order.customer, order.order_id) == order

    async def test_a_claim_is_taken_once(self, storage: Storage) -> None:
        first, second = order_of(storage), order_of(storage)
        await storage.orders.add(first, make_record(first, "key", at=storage.clock()))
        with pytest.raises(RecordTaken):
            await storage.orders.add(second, make_record(second, "key", at=storage.clock()))
        with pytest.raises(OrderNotFound):
            await storage.orders.get(second.customer, second.order_id)

    async def test_the_claim_leads_to_the_order_that_took_it(self, storage: Storage) -> None:
        order = order_of(storage)
        claim = make_record(order, "key")
        await storage.orders.add(order, claim)
        assert await storage.orders.find_record(claim.key) == claim
        assert await storage.orders.find_record("never-used") is None

    async def test_an_expired_claim_may_be_taken_over(self, storage: Storage) -> None:
        first, second = order_of(storage), order_of(storage)
        await storage.orders.add(first, make_record(first, "key", at=storage.clock()))
        storage.clock.advance(KEY_LIFETIME + SECOND)
        claim = make_record(second, "key", at=storage.clock())
        await storage.orders.add(second, claim)
        assert await storage.orders.find_record(claim.key) == claim

    async def test_a_claim_is_not_taken_over_in_its_last_second(self, storage: Storage) -> None:
        first, second = order_of(storage), order_of(storage)
        await storage.orders.add(first, make_record(first, "key", at=storage.clock()))
        storage.clock.advance(KEY_LIFETIME)
        with pytest.raises(RecordTaken):
            await storage.orders.add(second, make_record(second, "key", at=storage.clock()))

    async def test_a_reference_is_unique_for_its_customer(self, storage: Storage) -> None:
        await added(storage, order_of(storage, reference="PO-7"))
        second = order_of(storage, reference="PO-7")
        claim = make_record(second, "second")
        with pytest.raises(ReferenceTaken):
            await storage.orders.add(second, claim)
        assert await storage.orders.find_record(claim.key) is None, "half of the transaction was written"

    async def test_no_order_may_have_the_form_in_which_a_reference_was_sent(self, storage: Storage) -> None:
        """The last release stored references as they were sent."""
        first = await added(storage, replace(order_of(storage, reference="x"), reference=" PO-7 "))
        second = order_of(storage, reference=" PO-7 ")
        assert (first.reference, second.reference) == (" PO-7 ", "PO-7")
        with pytest.raises(ReferenceTaken):
            await storage.orders.add(second, make_record(second, "second"), sent_reference=" PO-7 ")
        await storage.orders.move(first, first.cancel(first.created_at))
        await storage.orders.add(second, make_record(second, "third"), sent_reference=" PO-7 ")
        await storage.orders.move(second, second.cancel(second.created_at))
        await added(storage, order_of(storage, reference="PO-7"))

    async def test_another_customer_may_use_the_same_reference(self, storage: Storage) -> None:
        first = await added(storage, order_of(storage, reference="PO-7"))
        await added(storage, make_order(customer=Customer(tenant=storage.tenant, id="bob"), reference=first.reference))

    async def test_a_reference_never_expires(self, storage: Storage) -> None:
        await added(storage, order_of(storage, reference="PO-7"))
        storage.clock.advance(KEY_LIFETIME * 1000)
        with pytest.raises(ReferenceTaken):
            await added(storage, order_of(storage, reference="PO-7"))

    async def test_a_taken_claim_is_reported_before_a_taken_reference(self, storage: Storage) -> None:
        first, second = order_of(storage, reference="PO-7"), order_of(storage, reference="PO-7")
        await storage.orders.add(first, make_record(first, "key", at=storage.clock()))
        with pytest.raises(RecordTaken):
            await storage.orders.add(second, make_record(second, "key", at=storage.clock()))

    async def test_two_orders_of_one_customer_cannot_have_the_same_microsecond(self, storage: Storage) -> None:
        first = await added(storage, order_of(storage))
        twin = make_order(customer=first.customer, at=first.created_at)
        with pytest.raises(OrderInstantTaken):
            await added(storage, twin)
        assert await storage.orders.get(first.customer, first.order_id) == first

    async def test_one_of_many_concurrent_orders_with_one_claim_is_stored(self, real_storage: Storage) -> None:
        orders = [order_of(real_storage) for _ in range(30)]
        claims = [make_record(order, "key", at=real_storage.clock()) for order in orders]
        outcomes = await asyncio.gather(
            *(real_storage.orders.add(order, claim) for order, claim in zip(orders, claims, strict=True)),
            return_exceptions=True,
        )
        assert outcomes.count(None) == 1
        assert sum(isinstance(outcome, RecordTaken) for outcome in outcomes) == 29
        window = Window(start=NOON - timedelta(days=3650), end=NOON + timedelta(days=3650))
        stored = (await real_storage.orders.list_orders(orders[0].customer, window, limit=50, descending=True)).orders
        assert len(stored) == 1


class TestGet:
    async def test_the_order_of_another_customer_is_not_found(self, storage: Storage) -> None:
        order = await added(storage, order_of(storage))
        for stranger in (Customer(tenant=storage.tenant, id="bob"), Customer(tenant="elsewhere", id="ada")):
            with pytest.raises(OrderNotFound):
                await storage.orders.get(stranger, order.order_id)

    @pytest.mark.parametrize("order_id", ["", "ord_", "ord_xyz", "ord_" + "f" * 32, "../etc/passwd", "ord_" + "0" * 32])
    async def test_an_invalid_id_is_not_found(self, storage: Storage, order_id: str) -> None:
        with pytest.raises(OrderNotFound):
            await storage.orders.get(Customer(tenant=storage.tenant, id="ada"), order_id)

    async def test_another_id_with_the_same_time_is_not_found(self, storage: Storage) -> None:
        order = await added(storage, order_of(storage))
        twin = make_order(customer=order.customer, at=order.created_at)
        with pytest.raises(OrderNotFound):
            await storage.orders.get(order.customer, twin.order_id)

    async def test_staff_find_an_order_by_its_id_in_their_own_tenant_only(self, storage: Storage) -> None:
        order = await added(storage, order_of(storage))
        assert await storage.orders.get_by_id(storage.tenant, order.order_id) == order
        with pytest.raises(OrderNotFound):
            await storage.orders.get_by_id("elsewhere", order.order_id)
        with pytest.raises(OrderNotFound):
            await storage.orders.get_by_id(storage.tenant, "ord_nothing")


class TestList:
    async def orders_at(self, storage: Storage, *offsets: timedelta) -> list[Order]:
        customer = Customer(tenant=storage.tenant, id="ada")
        return [await added(storage, make_order(customer=customer, at=NOON + offset)) for offset in offsets]

    async def listed(self, storage: Storage, start: datetime, end: datetime, **options: object) -> list[Order]:
        customer = Customer(tenant=storage.tenant, id="ada")
        defaults: dict[str, object] = {"limit": 100, "descending": True}
        read = await storage.orders.list_orders(customer, Window(start=start, end=end), **(defaults | options))  # type: ignore[arg-type]  # options of the test
        return [order for order in read.orders if isinstance(order, Order)]

    async def test_a_window_includes_its_start_and_excludes_its_end(self, storage: Storage) -> None:
        orders = await self.orders_at(storage, -MICROSECOND, MICROSECOND * 0, MICROSECOND, SECOND, SECOND + MICROSECOND)
        assert await self.listed(storage, NOON, NOON + SECOND) == [orders[2], orders[1]]

    async def test_order_and_limit(self, storage: Storage) -> None:
        orders = await self.orders_at(storage, *(SECOND * number for number in range(5)))
        end = NOON + timedelta(days=1)
        assert await self.listed(storage, NOON, end, limit=2) == [orders[4], orders[3]]
        assert await self.listed(storage, NOON, end, limit=2, descending=False) == orders[:2]

    async def test_an_empty_or_reversed_window_is_empty(self, storage: Storage) -> None:
        await self.orders_at(storage, timedelta())
        assert await self.listed(storage, NOON, NOON) == []
        assert await self.listed(storage, NOON + SECOND, NOON) == []

    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6])
    @pytest.mark.parametrize("descending", [True, False])
    async def test_successive_reads_return_each_order_once(
        self, storage: Storage, limit: int, *, descending: bool
    ) -> None:
        orders = await self.orders_at(storage, *(MICROSECOND * number for number in range(5)))
        window, seen, more = Window(start=NOON, end=NOON + SECOND), list[Order](), True
        while more:
            read = await storage.orders.list_orders(orders[0].customer, window, limit=limit, descending=descending)
            assert len(read.orders) == min(limit, len(orders) - len(seen))
            seen, more = seen + [each for each in read.orders if isinstance(each, Order)], read.more
            window = window.beyond(seen[-1].created_at, descending=descending)
        assert seen == (orders[::-1] if descending else orders)

    async def test_an_order_is_listed_with_its_current_state(self, storage: Storage) -> None:
        order = await added(storage, make_order(customer=Customer(tenant=storage.tenant, id="ada"), at=NOON))
        cancelled = order.cancel(NOON)
        await storage.orders.move(order, cancelled)
        assert await self.listed(storage, NOON, NOON + SECOND) == [cancelled]

    async def test_only_the_customers_orders_are_listed(self, storage: Storage) -> None:
        await added(storage, make_order(customer=Customer(tenant=storage.tenant, id="bob"), at=NOON))
        assert await self.listed(storage, NOON, NOON + SECOND) == []


class TestMove:
    async def test_confirming_takes_the_stock_of_every_line(self, storage: Storage) -> None:
        await stock(storage, "TEA", 10)
        await stock(storage, "CUP", 10)
        order = await added(storage, order_of(storage, "TEA", "CUP", quantity=4))
        confirmed = order.confirm(order.created_at + SECOND)
        await storage.orders.move(order, confirmed)
        assert await storage.orders.get(order.customer, order.order_id) == confirmed
        assert [await available(storage, sku) for sku in ("TEA", "CUP")] == [6, 6]

    async def test_a_transition_is_written_once(self, storage: Storage) -> None:
        await stock(storage, "TEA", 10)
        order = await added(storage, order_of(storage, "TEA"))
        confirmed = order.confirm(order.created_at)
        await storage.orders.move(order, confirmed)
        with pytest.raises(StaleOrder):
            await storage.orders.move(order, confirmed)
        assert await available(storage, "TEA") == 9

    async def test_a_missing_order_is_stale(self, storage: Storage) -> None:
        await stock(storage, "TEA", 10)
        order = order_of(storage, "TEA")
        with pytest.raises(StaleOrder):
            await storage.orders.move(order, order.confirm(order.created_at))
        assert await available(storage, "TEA") == 10

    async def test_out_of_stock_has_the_missing_skus_and_changes_nothing(self, storage: Storage) -> None:
        await stock(storage, "TEA", 10)
        await stock(storage, "CUP", 1)
        order = await added(storage, order_of(storage, "TEA", "CUP", "GONE", quantity=2))
        with pytest.raises(OutOfStock) as caught:
            await storage.orders.move(order, order.confirm(order.created_at))
        assert caught.value.skus == ("CUP", "GONE")
        assert await storage.orders.get(order.customer, order.order_id) == order
        assert [await available(storage, sku) for sku in ("TEA", "CUP")] == [10, 1]

    async def test_the_last_unit_can_be_sold(self, storage: Storage) -> None:
        await stock(storage, "TEA", 2)
        order = await added(storage, order_of(storage, "TEA", quantity=2))
        await storage.orders.move(order, order.confirm(order.created_at))
        assert await available(storage, "TEA") == 0

    async def test_only_its_owner_can_continue_a_reserved_order(self, storage: Storage) -> None:
        await stock(storage, "TEA", 10)
        order = await added(storage, order_of(storage, "TEA", quantity=3))
        reserved = order.reserve(order.created_at, owner="worker-1", lease_until=order.created_at + SECOND)
        await storage.orders.move(order, reserved)
        assert await storage.orders.get(order.customer, order.order_id) == reserved
        usurped = replace(reserved, lease=Lease(owner="worker-2", until=0))
        with pytest.raises(StaleOrder):
            await storage.orders.move(usurped, usurped.confirm(order.created_at))
        confirmed = reserved.confirm(order.created_at)
        await storage.orders.move(reserved, confirmed)
        assert await storage.orders.get(order.customer, order.order_id) == confirmed
        assert await available(storage, "TEA") == 7

    async def test_a_stale_fence_cannot_write(self, storage: Storage) -> None:
        await stock(storage, "TEA", 10)
        order = await added(storage, order_of(storage, "TEA"))
        stale = replace(order, fence=order.fence + 1)
        with pytest.raises(StaleOrder):
            await storage.orders.move(stale, stale.confirm(order.created_at))
        assert await available(storage, "TEA") == 10

    async def test_compensation_returns_the_stock_once(self, storage: Storage) -> None:
        await stock(storage, "TEA", 10)
        order = await added(storage, order_of(storage, "TEA", quantity=3))
        reserved = order.reserve(order.created_at, owner="me", lease_until=order.created_at + SECOND)
        await storage.orders.move(order, reserved)
        assert await available(storage, "TEA") == 7
        rejected = reserved.reject(order.created_at, Reason(ReasonCode.OUT_OF_STOCK, "short", "TEA"))
        await storage.orders.move(reserved, rejected)
        with pytest.raises(StaleOrder):
            await storage.orders.move(reserved, rejected)
        assert await available(storage, "TEA") == 10
        assert await storage.orders.get(order.customer, order.order_id) == rejected

    async def test_stock_is_returned_only_to_existing_shards(self, real_storage: Storage) -> None:
        """Damaged data causes an unexpected error, which parks the order for an operator."""
        await stock(real_storage, "TEA", 10)
        order = await added(real_storage, order_of(real_storage, "TEA", quantity=3))
        confirmed = order.confirm(order.created_at)
        await real_storage.orders.move(order, confirmed)
        astray = replace(confirmed, lines=tuple(replace(line, sku="NONE") for line in confirmed.lines))
        with pytest.raises(AIODynamoError):
            await real_storage.orders.move(astray, astray.cancel(order.created_at))
        assert await real_storage.orders.get(order.customer, order.order_id) == confirmed
        assert await available(real_storage, "TEA") == 7

    async def test_cancelling_a_confirmed_order_returns_the_stock(self, storage: Storage) -> None:
        await stock(storage, "TEA", 10)
        order = await added(storage, order_of(storage, "TEA", quantity=3))
        confirmed = order.confirm(order.created_at)
        await storage.orders.move(order, confirmed)
        await storage.orders.move(confirmed, confirmed.cancel(order.created_at))
        assert await available(storage, "TEA") == 10

    @pytest.mark.parametrize("end", [OrderStatus.REJECTED, OrderStatus.CANCELLED])
    async def test_a_rejected_or_cancelled_order_frees_its_reference(self, storage: Storage, end: OrderStatus) -> None:
        order = await added(storage, order_of(storage, "TEA", reference="PO-7"))
        at = order.created_at
        ended = (
            order.cancel(at) if end is OrderStatus.CANCELLED else order.reject(at, Reason(ReasonCode.OUT_OF_STOCK, "-"))
        )
        await storage.orders.move(order, ended)
        assert await storage.orders.find_record(reference_record(order).key) is None
        await added(storage, order_of(storage, "TEA", reference="PO-7"))

    async def test_a_confirmed_order_keeps_its_reference(self, storage: Storage) -> None:
        await stock(storage, "TEA", 1)
        order = await added(storage, order_of(storage, "TEA", reference="PO-7"))
        await storage.orders.move(order, order.confirm(order.created_at))
        with pytest.raises(ReferenceTaken):
            await added(storage, order_of(storage, "TEA", reference="PO-7"))

    async def test_a_missing_reference_record_does_not_prevent_the_end_of_an_order(self, storage: Storage) -> None:
        order = await added(storage, order_of(storage))
        referring = replace(order, reference="PO-7")
        await storage.orders.move(referring, referring.cancel(order.created_at))
        assert (await storage.orders.get(order.customer, order.order_id)).status is OrderStatus.CANCELLED

    async def test_the_reference_of_another_order_is_never_freed(self, real_storage: Storage) -> None:
        """No flow does this: the condition is a last safeguard, and the error is unexpected."""
        holder = await added(real_storage, order_of(real_storage, reference="PO-7"))
        order = await added(real_storage, order_of(real_storage))
        referring = replace(order, reference=holder.reference)
        with pytest.raises(TransactionCanceled):
            await real_storage.orders.move(referring, referring.cancel(order.created_at))
        claim = reference_record(holder)
        assert await real_storage.orders.find_record(claim.key) == claim
        assert await real_storage.orders.get(order.customer, order.order_id) == order

    async def test_an_order_of_maximum_size_is_stored_and_confirmed(self, storage: Storage) -> None:
        skus = [f"SKU-{number:02d}-{'x' * 50}" for number in range(storage.max_lines)]
        for sku in skus:
            await stock(storage, sku, 1000)
        order = await added(storage, order_of(storage, *skus, quantity=1000, reference="r" * 100))
        await storage.orders.move(order, order.confirm(order.created_at))
        assert {await available(storage, sku) for sku in skus} == {0}

    async def test_a_hundred_buyers_of_sixty_units_get_sixty(self, real_storage: Storage) -> None:
        await stock(real_storage, "TEA", 60)
        clock = UniqueClock()
        orders = [
            await added(
                real_storage,
                make_order(customer=Customer(tenant=real_storage.tenant, id=f"buyer-{number}"), at=clock()),
            )
            for number in range(100)
        ]
        outcomes = await asyncio.gather(
            *(real_storage.orders.move(order, order.confirm(clock())) for order in orders), return_exceptions=True
        )
        assert sum(isinstance(outcome, Order) for outcome in outcomes) == 30, "each takes 2 of 60"
        assert sum(isinstance(outcome, OutOfStock) for outcome in outcomes) == 70
        assert await available(real_storage, "TEA") == 0


class TestCarryingOn:
    """Leases, payments and requests to cancel: writes that are not transitions."""

    LEASE = timedelta(minutes=1)

    async def reserved(self, storage: Storage) -> Order:
        await stock(storage, "TEA", 10)
        order = make_order(
            customer=Customer(tenant=storage.tenant, id="ada"),
            lines=[(make_product(tenant=storage.tenant), 3)],
            payment_token="pm_card_visa",
        )
        await added(storage, order)
        reserved = order.reserve(order.created_at, owner="first", lease_until=order.created_at + self.LEASE)
        await storage.orders.move(order, reserved)
        return reserved

    async def stored(self, storage: Storage, order: Order) -> Order:
        return await storage.orders.get(order.customer, order.order_id)

    def request(self, order: Order) -> Order:
        return order.request_cancel(order.updated_at + SECOND, due_at=to_millis(order.updated_at) + 1)

    async def test_a_request_that_takes_effect_late_does_not_remove_a_newer_payment(self, storage: Storage) -> None:
        """Owner, fence and status are still the same. A forgotten payment could be charged without its order."""
        noted = (reserved := await self.reserved(storage)).with_payment("pi_old")
        await storage.orders.move(reserved, noted)
        without = await storage.orders.move(noted, noted.without_payment())
        replaced = await storage.orders.move(without, without.with_payment("pi_new"))
        with pytest.raises(StaleOrder):
            await storage.orders.move(noted, noted.without_payment())
        assert (await self.stored(storage, reserved)).payment == replaced.payment

    async def test_a_request_that_takes_effect_late_does_not_restore_an_older_payment(self, storage: Storage) -> None:
        noted = (reserved := await self.reserved(storage)).with_payment("pi_old")
        await storage.orders.move(reserved, noted)
        without = await storage.orders.move(noted, noted.without_payment())
        replaced = await storage.orders.move(without, without.with_payment("pi_new"))
        with pytest.raises(StaleOrder):
            await storage.orders.move(reserved, noted)
        assert (await self.stored(storage, reserved)).payment == replaced.payment

    @pytest.mark.parametrize("is_replaced", [False, True])
    async def test_a_request_that_takes_effect_late_does_not_undo_a_newer_payment(
        self, storage: Storage, *, is_replaced: bool
    ) -> None:
        """Without a payment there is nothing to undo: the order would never end."""
        reserved = await self.reserved(storage)
        noted = await storage.orders.move(reserved, reserved.with_payment("pi_old"))
        undoing = await storage.orders.move(noted, noted.begin_undo(Undo(UndoKind.REPLACE)))
        without = await storage.orders.move(undoing, undoing.without_payment())
        last = await storage.orders.move(without, without.with_payment("pi_new")) if is_replaced else without
        with pytest.raises(StaleOrder):
            await storage.orders.move(noted, undoing)
        assert (await self.stored(storage, reserved)).payment == last.payment

    async def test_an_attempt_that_began_before_its_order_was_parked_does_not_change_it(self, storage: Storage) -> None:
        reserved = await self.reserved(storage)
        parked = await storage.orders.move(reserved, reserved.park(reserved.updated_at, "overdue"))
        for late in (
            reserved.reschedule(1),
            reserved.with_payment("pi_late"),
            reserved.confirm(reserved.updated_at),
            reserved.park(reserved.updated_at + SECOND, "overdue"),
        ):
            with pytest.raises(StaleOrder):
                await storage.orders.move(reserved, late)
        assert await self.stored(storage, reserved) == parked

    async def test_a_write_that_parks_an_order_can_be_repeated(self, storage: Storage) -> None:
        """Its first response may have been lost."""
        reserved = await self.reserved(storage)
        parked = reserved.park(reserved.updated_at, "overdue")
        for _ in range(2):
            assert await storage.orders.move(reserved, parked) == parked

    async def test_a_takeover_excludes_the_former_owner(self, storage: Storage) -> None:
        reserved = await self.reserved(storage)
        taken = reserved.take_over(owner="second", lease_until=reserved.updated_at + self.LEASE)
        await storage.orders.move(reserved, taken)
        assert await self.stored(storage, reserved) == taken
        for late in (reserved.confirm(reserved.updated_at), reserved.with_payment("pi_late"), reserved.release()):
            with pytest.raises(StaleOrder):
                await storage.orders.move(reserved, late)
        rival = reserved.take_over(owner="third", lease_until=reserved.updated_at + self.LEASE)
        with pytest.raises(StaleOrder):
            await storage.orders.move(reserved, rival)
        assert await self.stored(storage, reserved) == taken
        assert taken.version == reserved.version, "a customer sees nothing of it"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("order_id", "another"),
            ("status", OrderStatus.CONFIRMED),
            ("fence", 2),
            ("lease", Lease(owner="second", until=0)),
        ],
    )
    async def test_a_writer_that_is_wrong_about_one_thing_cannot_write(
        self, storage: Storage, name: str, value: Any
    ) -> None:
        reserved = await self.reserved(storage)
        mistaken = replace(reserved, **{name: value})
        with pytest.raises(StaleOrder):
            await storage.orders.move(mistaken, mistaken.with_payment("pi_late"))
        assert await self.stored(storage, reserved) == reserved

    async def test_the_owner_stores_the_payment(self, storage: Storage) -> None:
        reserved = await self.reserved(storage)
        noted = reserved.with_payment("pi_1")
        await storage.orders.move(reserved, noted)
        assert await self.stored(storage, reserved) == noted

    async def test_the_payment_token_is_removed_when_the_order_ends(self, storage: Storage) -> None:
        reserved = await self.reserved(storage)
        assert (await self.stored(storage, reserved)).payment.token == "pm_card_visa"
        await storage.orders.move(reserved, reserved.with_payment("pi_1"))
        noted = await self.stored(storage, reserved)
        await storage.orders.move(noted, noted.confirm(noted.updated_at))
        ended = await self.stored(storage, reserved)
        assert (ended.payment.token, ended.payment.id) == (None, "pi_1")

    async def test_taking_over_keeps_the_sweeps_counted_since_the_order_was_read(self, storage: Storage) -> None:
        reserved = await self.reserved(storage)
        (entry,) = [
            entry
            for entry in await storage.orders.list_due(open_shard_of(reserved), MAX_DUE_AT, 10_000)
            if entry.customer_key == reserved.customer.key
        ]
        await storage.orders.postpone(entry, entry.due_at + 60_000, sweeps=1)
        until = reserved.updated_at + 2 * self.LEASE
        taken = reserved.take_over(owner="second", lease_until=until)
        stored = await storage.orders.move(reserved, taken)
        assert stored.schedule == Schedule(due_at=taken.schedule.due_at, sweeps=1)
        assert stored == await self.stored(storage, reserved)

    async def test_a_request_to_cancel_stops_the_owner_at_the_next_write(self, storage: Storage) -> None:
        reserved = await self.reserved(storage)
        requested = await storage.orders.request_cancel(self.request(reserved), version=None)
        assert requested == await self.stored(storage, reserved)
        assert (requested.version, requested.fence) == (reserved.version + 1, reserved.fence)
        for late in (reserved.confirm(reserved.updated_at), reserved.with_payment("pi_late")):
            with pytest.raises(StaleOrder):
                await storage.orders.move(reserved, late)
        await storage.orders.move(requested, requested.cancel(requested.updated_at))
        assert (await self.stored(storage, reserved)).status is OrderStatus.CANCELLED
        assert await available(storage, "TEA") == 10

    async def test_a_confirmed_order_returns_to_the_outbox(self, storage: Storage) -> None:
        reserved = await self.reserved(storage)
        confirmed = reserved.confirm(reserved.updated_at)
        await storage.orders.move(reserved, confirmed)
        requested = await storage.orders.request_cancel(self.request(confirmed), version=None)
        assert requested.schedule.due_at is not None
        entries = await storage.orders.list_due(open_shard_of(requested), requested.schedule.due_at + 1, 10_000)
        assert requested.customer.key in [entry.customer_key for entry in entries]
        taken = requested.take_over(owner="second", lease_until=requested.updated_at + self.LEASE)
        await storage.orders.move(requested, taken)
        cancelled = taken.cancel(taken.updated_at)
        await storage.orders.move(taken, cancelled)
        assert await self.stored(storage, reserved) == cancelled
        assert not cancelled.is_open

    async def test_a_cancellation_is_requested_once(self, storage: Storage) -> None:
        reserved = await self.reserved(storage)
        await storage.orders.request_cancel(self.request(reserved), version=None)
        with pytest.raises(StaleOrder):
            await storage.orders.request_cancel(self.request(reserved), version=None)

    async def test_a_cancellation_is_requested_for_the_order_with_that_id(self, storage: Storage) -> None:
        reserved = await self.reserved(storage)
        twin = make_order(customer=reserved.customer, at=reserved.created_at)
        pretended = twin.reserve(twin.created_at, owner="first", lease_until=twin.created_at)
        with pytest.raises(StaleOrder):
            await storage.orders.request_cancel(self.request(pretended), version=None)
        assert await self.stored(storage, reserved) == reserved

    async def test_a_cancellation_may_require_a_version(self, storage: Storage) -> None:
        reserved = await self.reserved(storage)
        with pytest.raises(StaleOrder):
            await storage.orders.request_cancel(self.request(reserved), version=reserved.version + 1)
        await storage.orders.request_cancel(self.request(reserved), version=reserved.version)

    async def test_an_order_without_stock_cannot_get_a_request_to_cancel(self, storage: Storage) -> None:
        order = await added(storage, order_of(storage))
        pretended = order.reserve(order.created_at, owner="me", lease_until=order.created_at)
        with pytest.raises(StaleOrder):
            await storage.orders.request_cancel(self.request(pretended), version=None)

    async def test_one_of_a_cancel_and_a_confirmation_at_once_wins(self, real_storage: Storage) -> None:
        reserved = await self.reserved(real_storage)
        outcomes = await asyncio.gather(
            real_storage.orders.move(reserved, reserved.confirm(reserved.updated_at)),
            real_storage.orders.request_cancel(self.request(reserved), version=reserved.version),
            return_exceptions=True,
        )
        assert sum(isinstance(outcome, StaleOrder) for outcome in outcomes) == 1
        stored = await self.stored(real_storage, reserved)
        assert (stored.status is OrderStatus.CONFIRMED) == (stored.cancel_requested_at is None)


class TestOutbox:
    async def test_an_open_order_is_listed_once_it_is_due(self, storage: Storage) -> None:
        order = await added(storage, order_of(storage))
        assert order.schedule.due_at is not None
        assert await self.due(storage, order, order.schedule.due_at) == []
        (entry,) = await self.due(storage, order, order.schedule.due_at + 1)
        assert (entry.customer_key, entry.created_at) == (order.customer.key, order.created_at)
        assert (entry.due_at, entry.sweeps) == (order.schedule.due_at, 0)
        assert await storage.orders.get_entry(entry) == order

    async def test_an_ended_order_leaves_the_outbox(self, storage: Storage) -> None:
        await stock(storage, "TEA", 10)
        order = await added(storage, order_of(storage, "TEA"))
        assert order.schedule.due_at is not None
        await storage.orders.move(order, order.confirm(order.created_at))
        assert await self.due(storage, order, order.schedule.due_at + 1) == []

    async def test_a_reserved_order_falls_due_after_its_lease(self, storage: Storage) -> None:
        await stock(storage, "TEA", 10)
        order = await added(storage, order_of(storage, "TEA"))
        lease_until = order.created_at + timedelta(minutes=1)
        await storage.orders.move(order, order.reserve(order.created_at, owner="me", lease_until=lease_until))
        assert await self.due(storage, order, to_millis(lease_until)) == []
        assert len(await self.due(storage, order, to_millis(lease_until + timedelta(minutes=1)))) == 1

    async def test_one_of_two_concurrent_postponements_wins(self, storage: Storage) -> None:
        order = await added(storage, order_of(storage))
        assert order.schedule.due_at is not None
        (entry,) = await self.due(storage, order, order.schedule.due_at + 1)
        later = order.schedule.due_at + 60_000
        won = await storage.orders.postpone(entry, later, sweeps=1)
        assert won == replace(order, schedule=Schedule(due_at=later, sweeps=1))
        assert await storage.orders.postpone(entry, later + 1, sweeps=1) is None
        assert await storage.orders.postpone(entry, later, sweeps=1) is None, "another sweeper chose the same due time"
        (moved,) = await self.due(storage, order, later + 1)
        assert (moved.due_at, moved.sweeps) == (later, 1)

    async def test_a_parked_order_leaves_the_swept_shards_and_returns(self, storage: Storage) -> None:
        order = await added(storage, order_of(storage))
        assert order.schedule.due_at is not None
        parked = order.failed(order.created_at, ValueError("a bug")).park(order.created_at, "overdue")
        await storage.orders.move(order, parked)
        assert await storage.orders.get(order.customer, order.order_id) == parked
        assert await self.due(storage, order, MAX_DUE_AT) == []
        (entry,) = await self.due(storage, parked, MAX_DUE_AT)
        assert entry.open_shard.startswith("parked#")
        assert await storage.orders.postpone(replace(entry, open_shard=open_shard_of(order)), 1, sweeps=1) is None
        retried = parked.unpark(order.created_at + SECOND, due_at=order.schedule.due_at)
        await storage.orders.move(parked, retried)
        assert await storage.orders.get(order.customer, order.order_id) == retried
        assert len(await self.due(storage, order, order.schedule.due_at + 1)) == 1

    async def test_a_parked_order_can_be_cancelled_and_is_no_longer_parked(self, storage: Storage) -> None:
        order = await added(storage, order_of(storage))
        parked = order.park(order.created_at, "overdue")
        await storage.orders.move(order, parked)
        await storage.orders.move(parked, parked.cancel(order.created_at))
        stored = await storage.orders.get(order.customer, order.order_id)
        assert (stored.parking.parked, stored.status) == (None, OrderStatus.CANCELLED)
        assert await self.due(storage, parked, MAX_DUE_AT) == []

    async def test_an_ended_order_cannot_be_postponed(self, storage: Storage) -> None:
        await stock(storage, "TEA", 10)
        order = await added(storage, order_of(storage, "TEA"))
        assert order.schedule.due_at is not None
        (entry,) = await self.due(storage, order, order.schedule.due_at + 1)
        await storage.orders.move(order, order.confirm(order.created_at))
        assert await storage.orders.postpone(entry, order.schedule.due_at + 60_000, sweeps=1) is None

    async def due(self, storage: Storage, order: Order, before: int) -> list[OpenOrder]:
        """Return the entries of this test's order: all tests share the shards."""
        entries = await storage.orders.list_due(open_shard_of(order), before, 10_000)
        return [entry for entry in entries if entry.customer_key == order.customer.key]


async def test_ping_makes_a_real_read(storage: Storage) -> None:
    await storage.orders.ping()
