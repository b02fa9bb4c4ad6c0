"""Machines that run the services' parts, and how they come and go."""

import asyncio
from collections.abc import Collection, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from order_api.cursors import CursorCodec
from order_api.metrics import ApiMetrics
from order_api.order.service import OrderService
from order_api.product.catalogue import Catalogue
from order_api.server import GRACEFUL_SHUTDOWN_SECONDS
from order_processor.metrics import ProcessorMetrics
from order_processor.processor import Processor
from order_shared.domain.clock import Clock, UniqueClock, to_micros
from order_shared.messaging.delivery import Delivery
from order_shared.messaging.publisher import Publisher
from tests.simulation.clock import VirtualClock
from tests.simulation.history import Border, What
from tests.simulation.loop import Host, SimulationLoop

if TYPE_CHECKING:
    from order_shared.runtime.adapters import Adapters
    from tests.simulation.world import World

T = TypeVar("T")

FLUSH_SECONDS = 5.0
NO_SKEW = timedelta(0)


@cache
def api_metrics() -> ApiMetrics:
    """Return the metrics of every API: to create them takes longer than many a run."""
    return ApiMetrics()


@cache
def processor_metrics() -> ProcessorMetrics:
    return ProcessorMetrics()


@dataclass(eq=False)
class ApiMachine:
    host: Host
    service: OrderService
    publisher: Publisher
    requests: "set[asyncio.Task[Any]]" = field(default_factory=set, repr=False)
    """Requests that it is answering."""

    def start(self, loop: SimulationLoop, request: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start to answer a request."""
        task = loop.start_on(self.host, request)
        self.requests.add(task)
        task.add_done_callback(self.requests.discard)
        return task


@dataclass(eq=False)
class ProcessorMachine:
    host: Host
    processor: Processor
    task: "asyncio.Task[None]" = field(repr=False)


class Fleet:
    """The machines of a world. Each start makes a new one, under a name of its own."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._started = 0
        self.apis: list[ApiMachine] = []
        self.processors: list[ProcessorMachine] = []
        self._clocks: dict[str, Clock] = {}
        self._consumers: dict[str, Processor] = {}

    def clock_of(self, host: str) -> Clock:
        """Return the wall clock of a machine; that of the world if it is none of the fleet."""
        return self._clocks.get(host, self._world.clock)

    def deliveries_of(self, host: str) -> Collection[Delivery]:
        """Return the messages that a processor has in hand."""
        processor = self._consumers.get(host)
        return () if processor is None else processor._consumer._in_flight

    def delivery_at_work(self) -> Delivery | None:
        """Return the delivery whose handling runs now."""
        task = asyncio.current_task()
        deliveries = self.deliveries_of(self._world.loop.host.name)
        return next((delivery for delivery in deliveries if delivery.task is task), None)

    def start_api(self, skew: timedelta = NO_SKEW) -> ApiMachine:
        """Start an API whose wall clock is ahead by `skew`. The first and every other one store no history."""
        host = self._new_host("api")
        clock = self._clocks[host.name] = VirtualClock(self._world.loop, skew)
        adapters = self._world.adapters(host, sweeps=False, clock=clock)
        settings, metrics = self._world.api_settings, api_metrics()
        publisher = Publisher(
            adapters.queue, on_batch=metrics.publish_batch.observe, on_failure=metrics.publish_failures.inc
        )
        service = OrderService(
            adapters.orders,
            Catalogue(adapters.inventory, self._world.loop.time),
            publisher,
            CursorCodec([secret.get_secret_value() for secret in settings.cursor_secrets]),
            clock=UniqueClock(lambda: to_micros(clock())),
            sweep_base=timedelta(seconds=settings.sweep_base_seconds),
            cancel_window=settings.cancel_window,
            accept_deadline=timedelta(seconds=settings.accept_deadline_seconds),
            stores_history=len(self.apis) % 2 == 1,
            on_accepted=metrics.accepted.inc,
            on_ended=metrics.order_ended,
            on_unreadable=metrics.unreadable,
        )
        machine = ApiMachine(host, service, publisher)
        self.apis.append(machine)
        return machine

    def start_processor(self, skew: timedelta = NO_SKEW) -> ProcessorMachine:
        """Start a processor whose wall clock is ahead by `skew`."""
        host = self._new_host("processor")
        clock = self._clocks[host.name] = VirtualClock(self._world.loop, skew)
        adapters: Adapters = self._world.adapters(host, sweeps=True, clock=clock)
        processor = Processor(
            self._world.processor_settings,
            adapters,
            self._world.provider_gateway(host),
            processor_metrics(),
            clock=clock,
        )
        self._consumers[host.name] = processor
        machine = ProcessorMachine(host, processor, self._world.loop.start_on(host, processor.run()))
        self.processors.append(machine)
        return machine

    async def stop_api(self, machine: ApiMachine) -> None:
        """Take no more requests, answer those that have arrived, and send what is offered, as the server does."""
        self.apis.remove(machine)
        if machine.requests:
            await asyncio.wait(machine.requests, timeout=GRACEFUL_SHUTDOWN_SECONDS)
        await self._world.loop.start_on(machine.host, machine.publisher.close(FLUSH_SECONDS))
        self._note(What.STOPPED, "stop", machine.host)

    async def stop_processor(self, machine: ProcessorMachine) -> None:
        """Drain it, as SIGTERM does."""
        self.processors.remove(machine)
        machine.processor.stop()
        await machine.task
        self._world.loop.kill(machine.host)  # its process ends, and whatever it has left behind
        self._note(What.STOPPED, "stop", machine.host)

    def kill(self, machine: ApiMachine | ProcessorMachine) -> None:
        """End the machine at once: what it was at is never finished."""
        if isinstance(machine, ApiMachine):
            self.apis.remove(machine)
        else:
            self.processors.remove(machine)
        self._world.loop.kill(machine.host)
        self._note(What.KILLED, "kill", machine.host)

    async def freeze(self, machine: ApiMachine | ProcessorMachine, seconds: float) -> None:
        """Let the machine stand still for a while, and go on as if nothing had been."""
        self._world.loop.pause(machine.host)
        self._note(What.PAUSED, "pause", machine.host)
        await asyncio.sleep(seconds)
        self._world.loop.resume(machine.host)
        self._note(What.RESUMED, "resume", machine.host)

    def _new_host(self, kind: str) -> Host:
        self._started += 1
        host = Host(f"{kind}-{self._started}")
        self._note(What.STARTED, "start", host)
        return host

    def _note(self, what: What, call: str, host: Host) -> None:
        self._world.history.note(what, by=host.name)
        self._world.history.record(Border.MACHINES, call, by=host.name, subject=host.name)
