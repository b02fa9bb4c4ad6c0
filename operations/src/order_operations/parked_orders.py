"""Parked orders, which the platform no longer retries, and an operator's actions on them: list, retry, reject."""

import asyncio
from datetime import datetime, timedelta
from operator import itemgetter

from order_shared.domain.clock import to_millis
from order_shared.domain.errors import DomainError
from order_shared.domain.order.messages import message_of
from order_shared.domain.order.models import Order, OrderStatus, Reason, ReasonCode
from order_shared.messaging.queue import OutgoingMessage, QueueUnavailable
from order_shared.runtime.adapters import Adapters
from order_shared.storage.audit_trail import AuditTrail, Operation
from order_shared.storage.orders import MAX_DUE_AT, UnreadableOrder
from order_shared.storage.outbox import PARKED_SHARDS

RETRY_DUE = timedelta(seconds=15)


class NotParked(DomainError):
    def __init__(self, order: Order) -> None:
        super().__init__(f"order {order.order_id} is not parked; it is {order.status}")


async def list_parked(adapters: Adapters, limit: int) -> list[Order | UnreadableOrder]:
    """Return up to `limit` parked orders, sorted by the time of parking, oldest first.

    An order that this release cannot read is sorted by its creation.
    """
    found: list[tuple[datetime, Order | UnreadableOrder]] = []
    for shard in PARKED_SHARDS:
        for entry in await adapters.orders.list_due(shard, MAX_DUE_AT, limit):
            order = await adapters.orders.get_entry(entry)
            if isinstance(order, UnreadableOrder):
                found.append((order.created_at, order))
            elif order is not None and order.parking.parked is not None:
                found.append((order.parking.parked.at, order))
    return [order for _, order in sorted(found, key=itemgetter(0))[:limit]]


async def retry(adapters: Adapters, trail: AuditTrail, order: Order, *, actor: str, reason: str, at: datetime) -> bool:
    """Unpark an order and send its message. Return False if this failed; the sweeper then sends the message.

    The action is recorded before the order is changed. Raises NotParked, StaleOrder, StorageUnavailable, and
    ClientError or BotoCoreError if the action cannot be recorded.
    """
    await _record(trail, order, "orders.retry", actor, reason, at)
    return await _publish(adapters, await _unpark(adapters, order, at))


async def reject(
    adapters: Adapters, trail: AuditTrail, order: Order, *, actor: str, reason: str, at: datetime
) -> Order:
    """Reject a parked order that is pending, or have the processor cancel any other. Return the stored order.

    The cancellation returns the stock and undoes the payment. The action is recorded before the order is changed.
    Raises NotParked, StaleOrder, StorageUnavailable, and ClientError or BotoCoreError if the action cannot be recorded.
    """
    await _record(trail, order, "orders.reject", actor, reason, at)
    if order.status is OrderStatus.PENDING:
        rejected = order.reject(at, Reason(ReasonCode.REJECTED_BY_OPERATOR, "the order could not be carried out"))
        return await adapters.orders.move(order, rejected)
    if order.cancel_requested_at is not None:
        undone = await _unpark(adapters, order, at)
    else:
        requested = order.request_cancel(at, due_at=to_millis(at + RETRY_DUE))
        undone = await adapters.orders.request_cancel(requested, version=None)
    await _publish(adapters, undone)
    return undone


async def _record(trail: AuditTrail, order: Order, verb: str, actor: str, reason: str, at: datetime) -> None:
    """Record an action on a parked order in the audit trail. Raises NotParked if the order is not parked."""
    if order.parking.parked is None:
        raise NotParked(order)
    detail = f"{order.status}, parked for {order.parking.parked.reason}"
    operation = Operation(subject=order.order_id, at=at, actor=actor, verb=verb, reason=reason, detail=detail)
    await asyncio.to_thread(trail.record, operation)


async def _unpark(adapters: Adapters, order: Order, at: datetime) -> Order:
    return await adapters.orders.move(order, order.unpark(at, due_at=to_millis(at + RETRY_DUE)))


async def _publish(adapters: Adapters, order: Order) -> bool:
    body = message_of(order).to_json(former_type=adapters.former_message_types)
    try:
        return not await adapters.queue.send([OutgoingMessage(body)])
    except QueueUnavailable:
        return False
