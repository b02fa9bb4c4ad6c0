"""What a processor may do only while it holds the message, and how much it may do at a time."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING

from order_processor.order import flows
from order_processor.payments.gateway import PaymentUnavailable
from order_shared.domain.order.exceptions import OutOfStock
from order_shared.domain.order.models import Order, OrderStatus
from order_shared.messaging.consumer.consumer import UNSETTLED_SHARE
from order_shared.storage.inventory import DynamoInventoryRepository, Moves
from order_shared.storage.orders import NO_MOVES, DynamoOrderRepository, OpenOrder
from tests.simulation.invariants import Watch
from tests.simulation.world import World

if TYPE_CHECKING:
    from order_shared.messaging.delivery import Delivery

DRAIN_SLACK = 0.1
"""Seconds after the drain time in which a handling is cancelled."""
SWEEP_SECONDS = 3.0
"""Time in which a sweep ends that was under way when its machine was told to stop."""
LIMIT = 100
"""DynamoDB's limit of the writes of a transaction."""


class Holding:
    """Checks effects when they are about to be requested. Faults go to the watch."""

    def __init__(self, world: World, watch: Watch, frozen_seconds: float = 0.0) -> None:
        """Create the checks. `frozen_seconds` is the time that machines stand still."""
        self._frozen_seconds = frozen_seconds
        self._world = world
        self._watch = watch
        self._calling: Counter[str] = Counter()
        self.shortages: Counter[Delivery] = Counter()
        """Shortages that a handling has met."""
        self._failed: set[Delivery] = set()
        """Deliveries in whose handling a payment call had no result."""
        self._unmoved: set[Delivery | None] = set()
        self._short: set[Delivery | None] = set()
        self.stopped: Mapping[str, float] = {}
        """Time at which each machine was told to stop."""

    def falls_short(self) -> None:
        if delivery := self._world.fleet.delivery_at_work():
            self.shortages[delivery] += 1
            if self.shortages[delivery] == 1:
                self._unmoved.add(delivery)

    def moves_stock(self, *, in_attempt: bool) -> None:
        """Check that stock is moved in a transaction of its own once, and then in the order's own.

        Two orders that move the same units to their shards in turn would otherwise do so without end.
        """
        delivery = self._world.fleet.delivery_at_work()
        self._unmoved.discard(delivery)
        is_limited = flows.MAX_TRANSACTION_WRITES < LIMIT and not in_attempt
        if delivery is not None and not is_limited and in_attempt is (self.shortages[delivery] < 2):
            self._watch.add(f"stock is moved {'within' if in_attempt else 'beside'} an order's transaction")

    def begins(self, what: str) -> None:
        """Check that the handling which is at work still holds its message."""
        delivery = self._world.fleet.delivery_at_work()
        if delivery is None:
            return
        if delivery.message.receipt in self._world.queue.told_gone:
            self._watch.add(f"{what}, although the queue has told that the message is gone")
        if delivery.lost:
            self._watch.add(f"{what}, although the message was known to be lost")
        if self._world.loop.time() >= delivery.held_until:
            self._watch.add(f"{what}, although the message may be another consumer's by now")

    def counts(self, writes: int) -> None:
        if writes > flows.MAX_TRANSACTION_WRITES:
            self._watch.add(f"a transaction has {writes} writes, of {flows.MAX_TRANSACTION_WRITES}")

    def proves_shortage(self) -> None:
        if delivery := self._world.fleet.delivery_at_work():
            self._short.add(delivery)

    def writes(self, after: Order) -> None:
        """Check that a proven shortage is followed by the rejection of its order, and count unsettled messages."""
        host, limit = self._world.loop.host.name, (UNSETTLED_SHARE + 1) * self._world.processor_settings.concurrency
        unsettled = len(self._world.fleet.deliveries_of(host))
        if unsettled > limit:
            self._watch.add(f"{host} has {unsettled} messages that are not settled, of {limit}")
        delivery = self._world.fleet.delivery_at_work()
        if delivery in self._unmoved:
            self._watch.add(f"{after.order_id} is tried again, although no stock was moved")
        if delivery in self._short:
            self._short.discard(delivery)
            if after.status is not OrderStatus.REJECTED:
                self._watch.add(f"{after.order_id} goes on, although there is proof that too little stock is left")

    def sweeps(self) -> None:
        """Check that no machine begins a sweep after it was told to stop."""
        host = self._world.loop.host.name
        if self._world.loop.time() - self.stopped.get(host, inf) > SWEEP_SECONDS:
            self._watch.add(f"{host} reads the outbox, although it was told to stop")

    @contextmanager
    def calling(self, host: str, call: str) -> Iterator[None]:
        """Check the calls that a machine makes to the provider at a time."""
        self.begins(f"the provider was called to {call}")
        delivery = self._world.fleet.delivery_at_work()
        if delivery in self._failed:
            self._watch.add(f"the provider was called to {call} at once after a call without a result")
        self._calling[host] += 1
        settings = self._world.processor_settings
        if self._calling[host] > settings.concurrency:
            self._watch.add(f"{host} handles more than {settings.concurrency} messages")
        late = self._world.loop.time() - self.stopped.get(host, inf) - settings.drain_seconds
        if late > DRAIN_SLACK + self._frozen_seconds:
            self._watch.add(f"{host} still works {late:.1f} s after the end of its drain time")
        try:
            yield
        except PaymentUnavailable:
            if delivery is not None:
                self._failed.add(delivery)
            raise
        finally:
            self._calling[host] -= 1


class WatchedOrders(DynamoOrderRepository):
    """Orders as a machine reaches them. A change that customers or owners see needs the message of the order."""

    holding: Holding

    async def list_due(self, open_shard: str, before: int, limit: int) -> list[OpenOrder]:
        self.holding.sweeps()
        return await super().list_due(open_shard, before, limit)

    async def move(self, before: Order, after: Order, moves: Mapping[str, Moves] = NO_MOVES) -> Order:
        if (before.status, before.fence, before.payment.id, before.payment.undo) != (
            after.status,
            after.fence,
            after.payment.id,
            after.payment.undo,
        ):
            self.holding.begins(f"{before.order_id} was written")
        self.holding.writes(after)
        if moves:
            self.holding.moves_stock(in_attempt=True)
            self.holding.counts(1 + len(before.lines) + sum(map(len, moves.values())))
        try:
            return await super().move(before, after, moves)
        except OutOfStock:
            self.holding.falls_short()
            raise


class WatchedInventory(DynamoInventoryRepository):
    holding: Holding

    async def consolidate_stock(self, tenant: str, sku: str, *, shard: int, quantity: int) -> bool:
        self.holding.begins(f"stock of {sku} was moved")
        self.holding.moves_stock(in_attempt=False)
        found = await super().consolidate_stock(tenant, sku, shard=shard, quantity=quantity)
        if not found:
            self.holding.proves_shortage()
        return found
