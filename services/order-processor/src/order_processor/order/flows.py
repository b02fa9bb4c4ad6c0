"""Order workflow: steps that reserve stock, take the payment and confirm the order, or reject or cancel it.

A message only triggers the workflow; the stored order determines the next step. Each step is one conditional write.
A message may arrive twice, late, at two workers at once, or after a crash at any point: the conditions keep the order
correct.

    pending ──► confirmed                    no payment: stock and order in one transaction
    pending ──► reserved ──► confirmed       stock reserved under a lease, payment taken, confirmed
                    │ declined, cancelled
                    └──► write the decision to undo, undo the payment, then return the stock in the write that ends the
                         order
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from order_processor.payments.gateway import (
    IdempotencyKeySpent,
    PaymentDeclined,
    PaymentGateway,
    PaymentPaused,
    PaymentStatus,
    PaymentUnavailable,
)
from order_processor.schedule import CAP, SweepSchedule
from order_shared.domain.clock import Clock, to_millis
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.exceptions import OrderNotFound, OutOfStock, StaleOrder
from order_shared.domain.order.messages import CancellationRequested, ProcessingRequested
from order_shared.domain.order.models import Customer, Order, OrderLine, OrderStatus, Reason, ReasonCode
from order_shared.domain.order.payments import Undo, UndoKind
from order_shared.messaging.delivery import Deferred, Delivery, Unprocessable
from order_shared.storage.inventory import InventoryRepository, Moves
from order_shared.storage.orders import NO_MOVES, OrderRepository

log = structlog.get_logger(__name__)

MAX_TRANSACTION_WRITES = 100  # DynamoDB's limit
ROUNDS = 12
"""Maximum steps of one delivery. After them the delivery fails, and the order is rescheduled."""


DEFER_AFTER = 7
"""Maximum deliveries of one message. If the last one fails too, the message is acknowledged, and its order waits in the
outbox."""

RETRY_GRACE = timedelta(seconds=5)
"""Time between the next delivery of a message and the due time of its order."""


@dataclass(frozen=True)
class FlowContext:
    """Dependencies of flows. `lease` is the duration for which one attempt holds an order with a payment."""

    orders: OrderRepository
    inventory: InventoryRepository
    payments: PaymentGateway
    clock: Clock
    lease: timedelta
    schedule: SweepSchedule
    on_ended: Callable[[Order, datetime], None]
    on_payment_failure: Callable[[str], None]
    """Called with the reason of each payment call without a result."""


async def place(message: ProcessingRequested, delivery: Delivery, context: FlowContext) -> None:
    """Process a placed order. For the first delivery of an order without payment, use the message instead of a read."""
    order = message.order()
    if message.data.paid or not delivery.is_first:
        order = await _read(order.customer, order.order_id, context)
    await OrderWorkflow(delivery, context).run(order)


async def cancel(message: CancellationRequested, delivery: Delivery, context: FlowContext) -> None:
    await OrderWorkflow(delivery, context).run(await _read(message.customer, message.subject, context))


async def record_failure(
    error: Exception, customer: Customer, order_id: str, delivery: Delivery, context: FlowContext
) -> bool:
    """Count an unexpected error of an order, and store it for operators.

    Reschedule the order, or park it after too many errors. If the order was changed meanwhile, by a migration for
    example, try once more. Return whether the message can be acknowledged because its order waits in the outbox.
    """
    try:
        try:
            return await _store_failure(error, customer, order_id, delivery, context)
        except StaleOrder:
            return await _store_failure(error, customer, order_id, delivery, context)
    except (OrderNotFound, StaleOrder, StorageUnavailable) as obstacle:
        log.info("failure_not_noted", order_id=order_id, error=str(obstacle))
    return delivery.message.receive_count >= DEFER_AFTER


async def _store_failure(
    error: Exception, customer: Customer, order_id: str, delivery: Delivery, context: FlowContext
) -> bool:
    """Read the order, and store its failure. Raises OrderNotFound, StaleOrder, StorageUnavailable."""
    order = await context.orders.get(customer, order_id)
    if not order.is_open or order.parking.parked is not None:
        return delivery.message.receive_count >= DEFER_AFTER
    failed = order.failed(context.clock(), error)
    if order.lease is None or not order.lease.excludes(delivery.attempt_id, context.clock()):
        failed = failed.reschedule(_next_look(order, delivery, context))
    await context.orders.move(order, failed)
    if (parked := failed.parking.parked) is not None:
        log.error("order_parked", order_id=order_id, reason=parked.reason)
    return _waits_in_outbox(order, delivery)


def _waits_in_outbox(order: Order, delivery: Delivery) -> bool:
    """Return whether a failed order waits in the outbox, rather than for the next delivery of its message."""
    return order.schedule.sweeps > 0 or delivery.message.receive_count >= DEFER_AFTER


def _next_look(order: Order, delivery: Delivery, context: FlowContext) -> int:
    """Return the due time of an order after a failure, in epoch milliseconds.

    If the message is to be delivered again, the order is due after that delivery, so that no sweep adds a message.
    """
    if _waits_in_outbox(order, delivery):
        return to_millis(context.clock() + context.schedule.wait(order.schedule.sweeps))
    return to_millis(context.clock() + timedelta(seconds=delivery.retry_in) + RETRY_GRACE)


class OrderWorkflow:
    """Attempt to complete an order during one delivery of a message."""

    def __init__(self, delivery: Delivery, context: FlowContext) -> None:
        self._delivery = delivery
        self._context = context
        self._created: str | None = None
        self._is_first_shortage = True
        self._moves: dict[str, Moves] = {}

    @property
    def _owner(self) -> str:
        return self._delivery.attempt_id

    async def run(self, order: Order) -> None:
        """Take steps until nothing is left to do. Raises Deferred if the order now waits in the outbox."""
        try:
            await self._take_steps(order)
        except StorageUnavailable as error:
            if error.contended:
                await self._reschedule(await _read(order.customer, order.order_id, self._context), error)
            raise

    async def _take_steps(self, order: Order) -> None:
        for _ in range(ROUNDS):
            try:
                following = await self._step(order)
            except StaleOrder:
                self._created = None  # another owner may have stored it, so that it is to be read before it is used
                following = await _read(order.customer, order.order_id, self._context)
            if following is None:
                return
            order = following
        raise StorageUnavailable(f"order {order.order_id} changed too often during one delivery", contended=True)

    async def _step(self, order: Order) -> Order | None:
        """Return the order after the next step, or None if there is no further step now. Raises StaleOrder."""
        if not self._may_change(order):
            return None
        if order.status is OrderStatus.PENDING:
            return await self._take_stock(order)
        if order.lease is None or order.lease.owner != self._owner:
            return await self._move(order, order.take_over(owner=self._owner, lease_until=self._lease_until()))
        try:
            if order.payment.undo is not None:
                return await self._undo(order, order.payment.undo)
            if order.cancel_requested_at is not None:
                return await self._begin_undo(order, Undo(UndoKind.CANCEL))
            return await self._pay(order)
        except PaymentUnavailable as error:
            self._context.on_payment_failure(error.reason)
            log.warning("payment_call_failed", reason=error.reason, error=str(error))
            await self._reschedule(order, error)
            raise

    def _may_change(self, order: Order) -> bool:
        """Return False for an order that has ended, is parked, or is processed by another owner.

        The other owner continues. If it crashed, the order becomes due after its lease.
        """
        if not order.is_open or order.parking.parked is not None:
            return False
        return order.lease is None or not order.lease.excludes(self._owner, self._context.clock())

    async def _take_stock(self, order: Order) -> Order | None:
        if order.must_be_paid:
            after = order.reserve(self._context.clock(), owner=self._owner, lease_until=self._lease_until())
        else:
            after = order.confirm(self._context.clock())
        try:
            return await self._move(order, after, self._moves)
        except OutOfStock as error:
            short = await self._short_line(order, error)
        if short is None:
            return order  # stock was consolidated: try again
        return await self._move(order, order.reject(self._context.clock(), _out_of_stock(short)))

    async def _pay(self, order: Order) -> Order | None:
        """Take the payment in three steps, each safe to repeat after a crash: create it, store its id, confirm it.

        The id is stored before any money can move, so that a later attempt finds the payment. A payment created by an
        earlier attempt is read first: it may have ended, or have another amount.
        """
        payments, token = self._context.payments, order.payment.token
        if token is None:
            raise Unprocessable("no_payment_token", f"order {order.order_id} is reserved, but has no payment token")
        self._delivery.ensure_held()
        try:
            if order.payment.id is None:
                self._created = await payments.create(order.charge)
                return await self._move(order, order.with_payment(self._created))
            status = PaymentStatus.OPEN
            if order.payment.id != self._created:
                payment = await payments.retrieve(order.charge)
                if payment.status is not PaymentStatus.CANCELLED and not payment.matches:
                    if payment.status is PaymentStatus.SUCCEEDED:
                        return await self._park_for_amount(order)
                    return await self._begin_undo(order, Undo(UndoKind.REPLACE))
                if payment.declined is not None:
                    return await self._begin_undo(order, Undo(UndoKind.REJECT, payment.declined))
                status = payment.status
            if status is PaymentStatus.OPEN:
                self._delivery.ensure_held()
                status = await payments.confirm(order.charge, token)
        except PaymentDeclined as declined:
            return await self._begin_undo(order, Undo(UndoKind.REJECT, declined.code))
        if status is PaymentStatus.CANCELLED:  # not by this platform: the order would have an undo decision
            return await self._move(order, order.without_payment())
        return await self._move(order, order.confirm(self._context.clock()))

    async def _begin_undo(self, order: Order, undo: Undo) -> Order | None:
        """Store the decision to undo. Without a stored payment no money can have moved, and the order ends at once."""
        after = order.begin_undo(undo) if order.payment.id is not None else self._undone(order, undo)
        return await self._move(order, after)

    async def _undo(self, order: Order, undo: Undo) -> Order | None:
        """Undo the payment. Return the stock only when no money is held and no money can move any more."""
        if undo.kind is UndoKind.REPLACE and order.cancel_requested_at is not None:
            return await self._begin_undo(order, Undo(UndoKind.CANCEL))
        self._delivery.ensure_held()
        status = await self._context.payments.cancel(order.charge)
        if undo.kind is UndoKind.REPLACE:
            if status is PaymentStatus.SUCCEEDED:
                return await self._park_for_amount(order)
            return await self._move(order, order.without_payment())
        if status is PaymentStatus.SUCCEEDED:
            self._delivery.ensure_held()
            await self._context.payments.refund(order.charge)
        return await self._move(order, self._undone(order, undo, refunded=status is PaymentStatus.SUCCEEDED))

    def _undone(self, order: Order, undo: Undo, *, refunded: bool = False) -> Order:
        """Return the ended order after an undo: cancelled if the customer requested this, otherwise rejected."""
        now = self._context.clock()
        if order.cancel_requested_at is not None:
            return order.cancel(now, refunded=refunded)
        reason = Reason(ReasonCode.PAYMENT_DECLINED, f"the payment was declined: {undo.code}")
        return order.reject(now, reason, refunded=refunded)

    async def _park_for_amount(self, order: Order) -> Order | None:
        """Park an order whose payment differs in amount or currency: an operator must find the cause."""
        reason = "payment_amount_differs"
        parked = await self._move(order, order.release().park(self._context.clock(), reason))
        log.error("order_parked", order_id=order.order_id, reason=reason)
        return parked

    async def _move(self, before: Order, after: Order, moves: Mapping[str, Moves] = NO_MOVES) -> Order | None:
        """Store the order after a step. Return the stored order, or None if it has ended."""
        self._delivery.ensure_held()
        stored = await self._context.orders.move(before, after, moves)
        if not stored.is_open:
            self._context.on_ended(stored, stored.updated_at)
            log.info("order_ended", status=stored.status)
            return None
        return stored

    async def _reschedule(self, order: Order, error: PaymentUnavailable | StorageUnavailable) -> None:
        """Store the next due time of the order and release this attempt's lease, in one update.

        If the order was changed meanwhile, by a migration or a request to cancel, and still belongs to this attempt,
        try once more with the stored order.

        Raises Deferred if the order waits in the outbox until its due time. Otherwise the message is delivered again
        before that time. Does nothing if this attempt may not change the order.
        """
        if not self._may_change(order):
            return
        after, deferred = self._rescheduled(order, error)
        try:
            try:
                await self._context.orders.move(order, after)
            except StaleOrder:
                stored = await _read(order.customer, order.order_id, self._context)
                if stored.fence != order.fence or not self._may_change(stored):
                    raise
                if stored.payment.attempts == order.payment.attempts:  # else the write took effect, its response lost
                    after, deferred = self._rescheduled(stored, error)
                    await self._context.orders.move(stored, after)
        except (StaleOrder, StorageUnavailable):
            log.info("order_not_rescheduled", order_id=order.order_id)
        if deferred:
            log.warning("message_deferred", error=str(error))
            raise Deferred(error.cause) from error

    def _rescheduled(self, order: Order, error: PaymentUnavailable | StorageUnavailable) -> tuple[Order, bool]:
        """Return the order with its next due time and without its lease, and whether it waits in the outbox."""
        due_at, sweeps = _next_look(order, self._delivery, self._context), order.schedule.sweeps
        deferred = _waits_in_outbox(order, self._delivery)
        if isinstance(error, PaymentPaused):
            wait = self._context.schedule.wait(sweeps) if error.retry_after is None else min(error.retry_after, CAP)
            due_at, sweeps = to_millis(self._context.clock() + wait), self._context.schedule.in_outage(sweeps)
            deferred = True
        after = order.reschedule(due_at, sweeps=sweeps)
        if isinstance(error, IdempotencyKeySpent):
            after = after.with_next_attempt(error.call)
        return after, deferred

    async def _short_line(self, order: Order, error: OutOfStock) -> OrderLine | None:
        """Return the first line with insufficient stock in all shards together, or None if the order can try again.

        After the first shortage, stock is consolidated in a separate transaction. After a later one, the transaction of
        the next attempt moves the stock, unless it would exceed the limit of writes: with separate transactions, two
        orders could move the same units back and forth without end.
        """
        tenant, in_attempt = order.customer.tenant, not self._is_first_shortage
        self._is_first_shortage = False
        for line in order.lines:
            if line.sku not in error.skus:
                continue
            self._delivery.ensure_held()
            if in_attempt:
                moves = await self._context.inventory.plan_consolidation(
                    tenant, line.sku, shard=line.shard, quantity=line.quantity
                )
                if moves is None:
                    return line
                if self._writes_with(line.sku, moves, order) <= MAX_TRANSACTION_WRITES:
                    self._moves[line.sku] = moves
                    continue
            if not await self._context.inventory.consolidate_stock(
                tenant, line.sku, shard=line.shard, quantity=line.quantity
            ):
                return line
        return None

    def _writes_with(self, sku: str, moves: Moves, order: Order) -> int:
        """Return the writes of the next attempt with these moves: one for the order, per line, and per source shard."""
        return 1 + len(order.lines) + sum(map(len, {**self._moves, sku: moves}.values()))

    def _lease_until(self) -> datetime:
        return self._context.clock() + self._context.lease


async def _read(customer: Customer, order_id: str, context: FlowContext) -> Order:
    try:
        return await context.orders.get(customer, order_id)
    except OrderNotFound as error:
        raise Unprocessable("order_not_found", str(error)) from error


def _out_of_stock(line: OrderLine) -> Reason:
    return Reason(ReasonCode.OUT_OF_STOCK, f"fewer than {line.quantity} of {line.sku} are in stock", line.sku)
