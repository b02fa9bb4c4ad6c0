"""What is done about an order, one step at a time: reserve, pay, confirm; or reject; or cancel.

A message is a hint that there is something to do; what is done follows from the order as it is stored. Each
step is one conditional write, and an order may be told of twice, late, by two workers at once, or after a
crash at any point: the conditions decide.

    pending ──► confirmed                    nothing to pay: stock and order in one transaction
    pending ──► reserved ──► confirmed       stock held under a lease, payment taken, confirmed
                    │ declined, cancelled
                    └──► the payment undone, then stock given back in the write that ends the order
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import structlog

from order_processor.payments.gateway import PaymentDeclined, PaymentGateway, PaymentUnavailable
from order_shared.clock import Clock
from order_shared.exceptions import StorageUnavailable
from order_shared.inventory.repository import InventoryRepository
from order_shared.messaging.delivery import Delivery, Unprocessable
from order_shared.order.events import OrderCancelRequested, OrderPlaced
from order_shared.order.exceptions import OrderNotFound, OutOfStock, StaleOrder
from order_shared.order.models import Customer, Order, OrderLine, OrderStatus, Reason, ReasonCode
from order_shared.order.repository import OrderRepository

log = structlog.get_logger(__name__)

ROUNDS = 12
"""How many steps and new decisions one delivery may take, before the message waits for its next turn."""


@dataclass(frozen=True)
class Workflow:
    """What flows work with. A paid order is held under a `lease` while it is worked on."""

    orders: OrderRepository
    inventory: InventoryRepository
    payments: PaymentGateway
    clock: Clock
    lease: timedelta
    on_ended: Callable[[Order, datetime], None]


async def place(event: OrderPlaced, delivery: Delivery, work: Workflow) -> None:
    """The first delivery of an order with nothing to pay is tried without a read: the event says how it was."""
    order = event.order()
    if event.data.paid or not delivery.is_first:
        order = await _read(order.customer, order.order_id, work)
    await _Attempt(delivery, work).carry_on(order)


async def cancel(event: OrderCancelRequested, delivery: Delivery, work: Workflow) -> None:
    await _Attempt(delivery, work).carry_on(await _read(event.customer, event.subject, work))


async def note_failure(customer: Customer, order_id: str, work: Workflow) -> None:
    """Counts an error that nobody foresaw; an order that has too many of them is parked."""
    try:
        order = await work.orders.get(customer, order_id)
        if order.is_open and order.parked is None:
            failed = order.failed(work.clock())
            await work.orders.move(order, failed)
            if failed.parked is not None:
                log.error("order_parked", order_id=order_id, reason=failed.parked.reason)
    except (OrderNotFound, StaleOrder, StorageUnavailable) as error:
        log.info("failure_not_noted", order_id=order_id, error=str(error))


class _Attempt:
    """One delivery's attempt to bring an order to its end. `_owner` is new for each, so a lease has one holder."""

    def __init__(self, delivery: Delivery, work: Workflow) -> None:
        self._delivery = delivery
        self._work = work

    @cached_property
    def _owner(self) -> str:
        return uuid.uuid4().hex

    async def carry_on(self, order: Order) -> None:
        for _ in range(ROUNDS):
            try:
                following = await self._step(order)
            except StaleOrder:
                following = await _read(order.customer, order.order_id, self._work)
            if following is None:
                return
            order = following
        raise StorageUnavailable(f"order {order.order_id} changes too fast")

    async def _step(self, order: Order) -> Order | None:
        """The order after the next step; None when there is nothing left to do here. Raises StaleOrder."""
        if not order.is_open or order.parked is not None:
            return None
        if order.lease_owner is not None and order.is_leased(self._work.clock(), to_others_than=self._owner):
            return None  # whoever holds it carries it on, and if not, it falls due after the lease
        if order.status is OrderStatus.PENDING:
            return await self._take_stock(order)
        if order.lease_owner != self._owner:
            return await self._move(order, order.take_over(owner=self._owner, lease_until=self._lease_until()))
        try:
            if order.cancel_requested_at is not None:
                return await self._cancel(order)
            return await self._pay(order)
        except PaymentUnavailable:
            await self._let_go(order)
            raise

    async def _take_stock(self, order: Order) -> Order | None:
        if order.must_be_paid:
            after = order.reserve(self._work.clock(), owner=self._owner, lease_until=self._lease_until())
        else:
            after = order.confirm(self._work.clock())
        try:
            return await self._move(order, after)
        except OutOfStock as error:
            short = await self._cannot_be_gathered(order, error)
        if short is None:
            return order  # brought together: once more
        return await self._move(order, order.reject(self._work.clock(), _out_of_stock(short)))

    async def _pay(self, order: Order) -> Order | None:
        """Three effects that a crash may part, each safe to repeat: the payment made, noted, confirmed.

        It is noted before any money can move, so that whoever takes over finds it.
        """
        payments = self._work.payments
        token = order.payment_token
        if token is None:
            raise Unprocessable("no_payment_token", f"order {order.order_id} is reserved without one")
        self._delivery.ensure_held()
        try:
            if order.payment_id is None:
                payment_id = await payments.create(order.order_id, amount=order.total, currency=order.currency)
                return await self._move(order, order.with_payment(payment_id))
            await payments.confirm(order.order_id, order.payment_id, token)
        except PaymentDeclined as declined:
            await self._undo_payment(order)
            reason = Reason(ReasonCode.PAYMENT_DECLINED, f"the payment was declined: {declined.code}")
            return await self._move(order, order.reject(self._work.clock(), reason))
        return await self._move(order, order.confirm(self._work.clock()))

    async def _cancel(self, order: Order) -> Order | None:
        await self._undo_payment(order)
        return await self._move(order, order.cancel(self._work.clock()))

    async def _undo_payment(self, order: Order) -> None:
        """Before stock goes back, no money may be held, nor be able to move any more."""
        if order.payment_id is not None:
            self._delivery.ensure_held()
            await self._work.payments.void(order.order_id, order.payment_id)

    async def _move(self, before: Order, after: Order) -> Order | None:
        self._delivery.ensure_held()
        await self._work.orders.move(before, after)
        if not after.is_open:
            self._work.on_ended(after, after.updated_at)
            log.info("order_ended", status=after.status)
            return None
        return after

    async def _let_go(self, order: Order) -> None:
        """So that the next delivery need not wait for the end of our lease."""
        try:
            await self._work.orders.move(order, order.release())
        except (StaleOrder, StorageUnavailable):
            log.info("lease_not_released", order_id=order.order_id)

    async def _cannot_be_gathered(self, order: Order, error: OutOfStock) -> OrderLine | None:
        """The first line whose stock is short over all its shards; None once it was brought together."""
        for line in order.lines:
            if line.sku in error.skus:
                self._delivery.ensure_held()
                gathered = await self._work.inventory.gather(
                    order.customer.tenant, line.sku, shard=line.shard, quantity=line.quantity
                )
                if not gathered:
                    return line
        return None

    def _lease_until(self) -> datetime:
        return self._work.clock() + self._work.lease


async def _read(customer: Customer, order_id: str, work: Workflow) -> Order:
    try:
        return await work.orders.get(customer, order_id)
    except OrderNotFound as error:
        raise Unprocessable("order_not_found", str(error)) from error


def _out_of_stock(line: OrderLine) -> Reason:
    return Reason(ReasonCode.OUT_OF_STOCK, f"fewer than {line.quantity} of {line.sku} are in stock", line.sku)
