"""Writes of payments that get no answer, and take effect once more after their order has its next payment."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from order_processor.payments.gateway import PaymentStatus
from order_shared.tables import ORDERS
from tests.memory_dynamo import Json, Refused
from tests.simulation.world import World

PaymentChange = tuple[str | None, str | None]
"""Payment of an order before and after a write."""


@dataclass
class _Late:
    """Writes of one order: the one that stores its first payment, and the one that removes it."""

    payment_id: str
    writes: dict[PaymentChange, tuple[str, Json, str]] = field(default_factory=dict)
    """Operation, payload and machine of each."""


class LatePaymentWrites:
    """Late writes of the next `limit` orders that get a payment.

    The payments are cancelled by hand before they are confirmed, so that their orders replace them.
    """

    def __init__(self, world: World, limit: int) -> None:
        self._world = world
        self._limit = limit
        self._late: dict[str, _Late] = {}

    async def happen(self, seconds: float) -> None:
        dynamo = self._world.dynamo
        dynamo.holds_back = self._holds_back
        await self._world.until(self._repeat_overtaken, within=seconds, every=0.02)
        dynamo.holds_back = lambda *_: False

    def _holds_back(self, operation: str, payload: Json, host: str) -> bool:
        """Return whether a write is the first of its kind for one of the orders."""
        for order_id, change in self._payment_changes(operation, payload):
            before, after = change
            if before is None and after is not None and order_id not in self._late and len(self._late) < self._limit:
                self._late[order_id] = _Late(after)
                self._world.provider.payments[after].status = PaymentStatus.CANCELLED
            late = self._late.get(order_id)
            if late is not None and late.payment_id in change and change not in late.writes:
                late.writes[change] = operation, payload, host
                return True
        return False

    def _payment_changes(self, operation: str, payload: Json) -> Iterator[tuple[str, PaymentChange]]:
        evaluated = self._world.dynamo.tables.evaluate(operation, payload)
        for key, before, after in [] if isinstance(evaluated, Refused) else evaluated:
            if key.table == ORDERS.name and before is not None and after is not None:
                change = (_payment(before), _payment(after))
                if change[0] != change[1]:
                    yield after["order_id"]["S"], change

    def _repeat_overtaken(self) -> bool:
        """Let the writes of each order take effect once more that has its next payment. Return whether none is left."""
        for order in self._world.store.orders.values():
            late = self._late.get(order.order_id)
            if late is not None and order.payment.id not in {None, late.payment_id}:
                for operation, payload, host in late.writes.values():
                    with suppress(Exception):
                        self._world.dynamo.write(operation, payload, by=host)
                late.writes.clear()
        return len(self._late) == self._limit and not any(late.writes for late in self._late.values())


def _payment(item: Json) -> str | None:
    return item["payment_id"]["S"] if "payment_id" in item else None
