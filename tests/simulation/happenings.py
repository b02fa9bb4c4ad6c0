"""What happens to machines, queue, tables, provider and stock while customers come: the events of a plan."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from order_api.cursors import CursorCodec
from order_api.product.service import ProductService
from order_processor.payments.gateway import PaymentDeclined, PaymentStatus, PaymentUnavailable
from order_shared.domain.inventory.exceptions import InsufficientStock, StockShardsShrunk
from order_shared.domain.order.models import Customer, Order
from order_shared.storage.inventory import PRODUCT_RECORD, product_key
from order_shared.tables import INVENTORY
from tests.memory_dynamo import ItemKey
from tests.simulation.clock import VirtualClock
from tests.simulation.customers import TENANT
from tests.simulation.invariants import Watch
from tests.simulation.late_writes import LatePaymentWrites
from tests.simulation.letters import Letters
from tests.simulation.loop import Host
from tests.simulation.machines import Machines
from tests.simulation.plans import CALLS, OUTAGES, Event, EventKind, Plan
from tests.simulation.world import World

CANCEL_SECONDS = 1.0
"""Time that the answer of a poll may take."""
KEEPER = Customer(tenant=TENANT, id="keeper")


@dataclass(frozen=True)
class Drain:
    """End of a machine that was told to stop: seconds until then, and the orders whose messages it kept."""

    host: str
    seconds: float
    kept: list[str] = field(default_factory=list)
    """Orders whose messages it received and neither deleted nor released."""
    unsent: list[str] = field(default_factory=list)
    """Orders that it accepted, and whose messages it never sent."""


class Happenings:
    """Events of a run. `stock` has the units that there should be, held or not, by SKU."""

    def __init__(self, world: World, plan: Plan, watch: Watch, machines: Machines, letters: Letters) -> None:
        self._watch = watch
        self._world = world
        self._plan = plan
        self._machines = machines
        self._letters = letters
        self.stock = {sku: sum(units) for sku, units in plan.stock.items()}
        self.least_stock = dict(self.stock)
        """Units of each SKU, held or not, if what shopkeepers remove is removed before they add any."""
        self.drains: list[Drain] = []
        self._changed_payments: set[int] = set()
        self._silent_until = float("-inf")
        self._unsent_until = float("-inf")
        self.stopped: dict[str, float] = {}
        """Time at which a machine was told to stop."""

    async def happen(self, event: Event) -> None:
        await asyncio.sleep(event.at)
        await HAPPENINGS[event.kind](self, event)

    async def kill_api(self, event: Event) -> None:
        if api := _one_of(self._world.fleet.apis, event):
            self._world.fleet.kill(api)
            await asyncio.sleep(event.seconds)
            self._machines.start_api()

    async def kill_processor(self, event: Event) -> None:
        if processor := _one_of(self._world.fleet.processors, event):
            self._world.fleet.kill(processor)
            await asyncio.sleep(event.seconds)
            self._machines.start_processor()

    async def stop_processor(self, event: Event) -> None:
        """Tell a processor to stop: within the event's seconds as soon as messages are on their way to it."""
        queue = self._world.queue

        def receiving() -> list[Any]:
            return [each for each in self._world.fleet.processors if queue.answering[each.host.name]]

        await self._world.until(lambda: bool(receiving()), within=event.seconds, every=0.01)
        if processor := _one_of(receiving() or self._world.fleet.processors, event):
            self._machines.start_processor()
            self._start(self._drain(processor))

    async def _drain(self, processor: Any) -> None:
        host, started = processor.host.name, self._world.loop.time()
        self.stopped[host] = started
        again = self._start(self._stop_again(processor))
        try:
            await self._world.fleet.stop_processor(processor)
        except Exception as error:  # noqa: BLE001 - whatever it is, a drain ends without an error
            self._watch.add(f"{host} ended with {error!r:.150}")
        again.cancel()
        cancelled = started + self._world.processor_settings.drain_seconds  # with the answer of an open poll
        held = self._world.queue.held_by(host)
        kept = [order_id for order_id, received_at in held if abs(received_at - cancelled) > CANCEL_SECONDS]
        if self._was_silent(started):
            kept = []
        self.drains.append(Drain(host, self._world.loop.time() - started, kept=kept))

    async def _stop_again(self, processor: Any) -> None:
        """Tell a processor to stop a second time, just before its drain time ends."""
        await asyncio.sleep(0.95 * self._world.processor_settings.drain_seconds)
        processor.processor.stop()

    async def stop_api(self, event: Event) -> None:
        if api := _one_of(self._world.fleet.apis, event):
            self._machines.start_api()
            self._start(self._drain_api(api))

    async def _drain_api(self, api: Any) -> None:
        host, started = api.host.name, self._world.loop.time()
        await asyncio.sleep(0.5)
        if api not in self._world.fleet.apis:
            return  # another event has stopped or killed it
        await self._world.fleet.stop_api(api)
        accepted = [order_id for order_id, placed_by in self._watch.placed_by.items() if placed_by == host]
        unsent = [order_id for order_id in accepted if not self._world.queue.sends_of[order_id]]
        if not self._world.queue.sends.is_set() or self._unsent_until > started:
            unsent = []
        self.drains.append(Drain(host, self._world.loop.time() - started, unsent=unsent))

    async def freeze_api(self, event: Event) -> None:
        if api := _one_of(self._world.fleet.apis, event):
            await self._world.fleet.freeze(api, event.seconds)

    async def freeze_processor(self, event: Event) -> None:
        if processor := _one_of(self._world.fleet.processors, event):
            await self._world.fleet.freeze(processor, event.seconds)

    async def stop_queue(self, event: Event) -> None:
        self._world.queue.down = True
        await asyncio.sleep(event.seconds)
        self._world.queue.down = False

    async def hang_polls(self, event: Event) -> None:
        self._world.queue.answers.clear()
        await asyncio.sleep(event.seconds)
        self._world.queue.answers.set()

    async def silence_queue(self, event: Event) -> None:
        self._world.queue.settles.clear()
        await asyncio.sleep(event.seconds)
        self._world.queue.settles.set()
        self._silent_until = self._world.loop.time()

    async def silence_sends(self, event: Event) -> None:
        self._world.queue.sends.clear()
        await asyncio.sleep(event.seconds)
        self._world.queue.sends.set()
        self._unsent_until = self._world.loop.time()

    def _was_silent(self, since: float) -> bool:
        """Return whether the queue left a settlement without an answer at some time since then."""
        return not self._world.queue.settles.is_set() or self._silent_until > since

    async def stop_tables(self, event: Event) -> None:
        self._world.tables.down = True
        await asyncio.sleep(event.seconds)
        self._world.tables.down = False

    async def stop_provider(self, event: Event) -> None:
        self._world.provider.outage = OUTAGES[event.which % len(OUTAGES)]
        await asyncio.sleep(event.seconds)
        self._world.provider.outage = None

    async def refuse_calls(self, event: Event) -> None:
        call = CALLS[event.which % len(CALLS)]
        self._world.provider.refusing.add(call)
        await asyncio.sleep(event.seconds)
        self._world.provider.refusing.discard(call)

    async def poison(self, event: Event) -> None:
        """Let every payment call of an order crash its handling, for some time after its first crash."""

        def unpaid() -> list[Order]:
            return [order for order in self._world.store.orders.values() if order.is_open and order.must_be_paid]

        if await self._world.until(lambda: bool(unpaid()), within=event.seconds, every=0.05):
            self._world.provider.poisoned.add(unpaid()[event.which % len(unpaid())].order_id)

    async def change_payment(self, event: Event) -> None:
        """Change a payment, once there is one whose order is nobody's at the moment."""
        provider = self._world.provider
        is_amount = event.kind is EventKind.PAYMENT_CHANGED

        def unconfirmed() -> list[Any]:
            """Return the payments that their order's next owner finds: a payment of one's own is not read again."""
            waiting = [order for order in self._world.store.orders.values() if order.lease and not order.lease.until]
            payments = [provider.payments[order.payment.id] for order in waiting if order.payment.id]
            kinds = {PaymentStatus.OPEN, PaymentStatus.SUCCEEDED} if is_amount else {PaymentStatus.OPEN}
            return [each for each in payments if each.status in kinds and id(each) not in self._changed_payments]

        if not await self._world.until(lambda: bool(unconfirmed()), within=event.seconds, every=0.05):
            return
        payment = unconfirmed()[event.which % len(unconfirmed())]
        self._changed_payments.add(id(payment))
        if event.kind is EventKind.PAYMENT_CANCELLED:
            payment.status = PaymentStatus.CANCELLED
        else:
            provider.recreate(payment, by=1)

    async def take_payment(self, event: Event) -> None:
        """Let an earlier request to confirm a payment take effect, once the payment is being undone."""
        provider = self._world.provider

        def undone() -> list[tuple[Order, str]]:
            may_be_taken = {
                payment_id
                for payment_id in provider.confirmations
                if (payment := provider.payments.get(payment_id))
                and payment.status is PaymentStatus.OPEN
                and payment.declined is None
            }
            return [
                (order, order.payment.token)
                for order in self._world.store.orders.values()
                if order.payment.undo and order.payment.id in may_be_taken and order.payment.token
            ]

        if await self._world.until(lambda: bool(undone()), within=event.seconds, every=0.02):
            order, token = undone()[event.which % len(undone())]
            with suppress(PaymentUnavailable, PaymentDeclined):
                await provider.confirm(order.charge, token)

    async def delay_payment_writes(self, event: Event) -> None:
        """Let the writes that store and remove a payment take effect once more after the next payment is stored."""
        await LatePaymentWrites(self._world, limit=event.which).happen(event.seconds)

    async def send_letter(self, event: Event) -> None:
        """Send a message that no release can process."""
        self._letters.send(event.which)

    async def restock(self, event: Event) -> None:
        sku = tuple(self._plan.stock)[event.which % len(self._plan.stock)]
        products = self._products(event)
        delta = 3 if event.which % 2 else -2

        product, started = product_key(TENANT, sku), self._world.loop.time()
        self.least_stock[sku] += min(delta, 0)

        async def adjust() -> None:
            try:
                await products.adjust_stock(KEEPER, sku, delta, f"key-{event.number}")
            except InsufficientStock:
                if self._watch.least(product, started) >= -delta:
                    self._watch.add(f"{-delta} {sku} could not be removed, although there were as many")
                raise
            self.stock[sku] += delta

        await _until_answered(adjust)

    async def raise_shards(self, event: Event) -> None:
        """Shopkeepers set the number of shards at the same time, each with a number of its own."""
        sku = tuple(self._plan.stock)[event.which % len(self._plan.stock)]
        products = self._products(event)
        least = len(self._plan.stock[sku])

        async def put(shards: int) -> None:
            try:
                await products.put(TENANT, sku, name=sku, unit_price=590, currency="EUR", stock_shards=shards)
            except StockShardsShrunk:
                item = self._world.store.tables.items[ItemKey(INVENTORY.name, product_key(TENANT, sku), PRODUCT_RECORD)]
                if int(item["stock_shards"]["N"]) <= shards:
                    self._watch.add(f"{shards} stock shards of {sku} were refused as too few")
                raise

        numbers = (least + 2, least, least + 1 + event.which % 2, least + 1)
        await asyncio.gather(*(_until_answered(lambda number=number: put(number)) for number in numbers))  # type: ignore[misc]

    def _products(self, event: Event) -> ProductService:
        """Return the API's own code, as the shopkeeper of an event reaches it."""
        clock = VirtualClock(self._world.loop)
        adapters = self._world.adapters(Host(f"keeper-{event.number}"), sweeps=False, clock=clock)
        return ProductService(
            adapters.inventory, CursorCodec(["a-secret-of-simulations"]), clock, on_unreadable=lambda *_, **__: None
        )

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return self._world.loop.start_on(self._world.loop.world, work)


HAPPENINGS: Mapping[EventKind, Callable[[Happenings, Event], Coroutine[Any, Any, None]]] = {
    EventKind.KILL_API: Happenings.kill_api,
    EventKind.KILL_PROCESSOR: Happenings.kill_processor,
    EventKind.STOP_PROCESSOR: Happenings.stop_processor,
    EventKind.STOP_API: Happenings.stop_api,
    EventKind.FREEZE_API: Happenings.freeze_api,
    EventKind.FREEZE_PROCESSOR: Happenings.freeze_processor,
    EventKind.QUEUE_DOWN: Happenings.stop_queue,
    EventKind.QUEUE_HANGS: Happenings.hang_polls,
    EventKind.QUEUE_SILENT: Happenings.silence_queue,
    EventKind.SENDS_SILENT: Happenings.silence_sends,
    EventKind.TABLES_DOWN: Happenings.stop_tables,
    EventKind.PROVIDER_DOWN: Happenings.stop_provider,
    EventKind.REFUSED_CALLS: Happenings.refuse_calls,
    EventKind.POISON: Happenings.poison,
    EventKind.PAYMENT_CANCELLED: Happenings.change_payment,
    EventKind.PAYMENT_CHANGED: Happenings.change_payment,
    EventKind.PAYMENT_TAKEN: Happenings.take_payment,
    EventKind.PAYMENT_WRITES_LATE: Happenings.delay_payment_writes,
    EventKind.STOCK_SHARDS_RAISED: Happenings.raise_shards,
    EventKind.RESTOCK: Happenings.restock,
    EventKind.LETTER: Happenings.send_letter,
}


async def _until_answered(ask: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Ask again until there is an answer: done, or refused for the state of the stock."""
    while True:
        try:
            return await ask()
        except (InsufficientStock, StockShardsShrunk):
            return None
        except Exception:  # noqa: BLE001 - whatever the fault, the shopkeeper asks again
            await asyncio.sleep(1.0)


def _one_of(machines: "list[Any]", event: Event) -> Any:
    return machines[event.which % len(machines)] if machines else None
