"""Notifiers of a run: how they start, stop, freeze and die."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from aws_json_client import RetryPolicy, ServiceError
from order_notifier.config import NotifierSettings
from order_notifier.metrics import NotifierMetrics
from order_notifier.notifier import Notifier
from order_shared.aws.dynamodb import Dynamo
from order_shared.domain.clock import Clock
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.models import Order
from order_shared.runtime.adapters import Adapters
from order_shared.storage.event_log.append import MAX_ORDERS, DynamoEventLogWriter
from order_shared.storage.event_log.read import DynamoEventLogReader
from order_shared.storage.inventory import DynamoInventoryRepository
from order_shared.storage.orders import DynamoOrderRepository
from order_shared.storage.tenant_orders import DynamoTenantOrders
from order_shared.storage.webhooks.endpoints import DynamoEndpointRepository
from order_shared.storage.webhooks.leases import LEASE, DynamoEndpointLeases
from tests.fakes import TABLES
from tests.simulation.clock import VirtualClock
from tests.simulation.events.readers import is_planted
from tests.simulation.events.webhooks import KEY, WebhookLife
from tests.simulation.history import Border
from tests.simulation.link import Link
from tests.simulation.loop import Host
from tests.simulation.plans import Plan
from tests.simulation.queue import StandardQueue

if TYPE_CHECKING:
    from tests.simulation.world import World

NOTIFIER = "notifier"
RESTART_SECONDS = 1.0


@cache
def notifier_settings() -> NotifierSettings:
    """Return the settings of notifiers, which have little to do and short waits."""
    return NotifierSettings(
        aws_region="eu-central-1",
        concurrency=10,
        pollers=1,
        retry_cap_seconds=20.0,
        webhook_keys=(SecretStr(KEY),),
    )


@cache
def notifier_metrics() -> NotifierMetrics:
    return NotifierMetrics()


@dataclass(eq=False)
class NotifierMachine:
    host: Host
    notifier: Notifier
    task: "asyncio.Task[None]" = field(repr=False)


class WatchedWriter(DynamoEventLogWriter):
    """Writer of one machine. The machine may append to a log only once at a time."""

    add_fault: Callable[[str], None]
    most_orders: int
    has_events: Callable[[Order], bool]
    """Return whether the log has the events of an order as it was read."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._appending: Counter[str] = Counter()

    async def append(self, tenant: str, orders: Sequence[Order]) -> int:
        if self._appending[tenant]:
            self.add_fault(f"a machine appends to the log of {tenant} twice at the same time")
        if not 0 < len({order.order_id for order in orders}) == len(orders) <= self.most_orders:
            self.add_fault(f"{len(orders)} orders are appended in one transaction")
        self._appending[tenant] += 1
        try:
            appended = await super().append(tenant, orders)
        finally:
            self._appending[tenant] -= 1
        for order in orders:
            if not self.has_events(order):
                self.add_fault(f"{order.order_id}: version {order.version} counts as appended, and is not in the log")
        return appended


class Notifiers:
    def __init__(
        self,
        world: "World",
        plan: Plan,
        queue: StandardQueue,
        add_fault: Callable[[str], None],
        has_events: Callable[[Order], bool],
    ) -> None:
        self._add_fault = add_fault
        self._has_events = has_events
        self._world = world
        self._plan = plan
        self._queue = queue
        self._started = 0
        self.running: list[NotifierMachine] = []
        self.webhooks: WebhookLife | None = None
        """Endpoints to which events are delivered, if the run has any."""

    def start(self) -> None:
        """Start a notifier, with the plan's clocks in turn."""
        self._started += 1
        host = Host(f"{NOTIFIER}-{self._started}")
        clock = VirtualClock(
            self._world.loop, timedelta(seconds=self._plan.skews[self._started % len(self._plan.skews)])
        )
        adapters = self._adapters(host, clock)
        settings = notifier_settings().model_copy(update=dict(self._plan.notifier))
        sender = None if self.webhooks is None else self.webhooks.sender(clock)
        notifier = Notifier(settings, adapters, notifier_metrics(), sender, clock=clock)
        task = self._world.loop.start_on(host, self._serve(notifier, adapters))
        self.running.append(NotifierMachine(host, notifier, task))

    async def stop(self, machine: NotifierMachine) -> None:
        """Drain it, as SIGTERM does."""
        self.running.remove(machine)
        machine.notifier.stop()
        await machine.task
        self._world.loop.kill(machine.host)

    def kill(self, machine: NotifierMachine) -> None:
        self.running.remove(machine)
        self._world.history.record(Border.FEED, "kill", by=machine.host.name, subject=machine.host.name)
        self._world.loop.kill(machine.host)

    async def freeze(self, machine: NotifierMachine, seconds: float) -> None:
        self._world.loop.pause(machine.host)
        await asyncio.sleep(seconds)
        self._world.loop.resume(machine.host)

    def dynamo(self, host: Host, *, faulty: bool = True) -> Dynamo:
        """Return the tables as a notifier reaches them, or a reader of its logs. `faulty`: its requests meet faults."""
        link = self._world.link(host, self._world.rules.table_way, Border.TABLES)
        link = link if faulty else Link(link.host, link.dice, link.seconds)
        return self._world.dynamo.client(link, RetryPolicy(deadline=notifier_settings().storage_deadline_seconds))

    def _adapters(self, host: Host, clock: Clock) -> Adapters:
        dynamo = self.dynamo(host)
        writer = WatchedWriter(dynamo, TABLES, clock)
        writer.add_fault, writer.most_orders = self._add_fault, self._plan.log_orders or MAX_ORDERS
        writer.has_events = self._has_events
        return Adapters(
            orders=DynamoOrderRepository(dynamo, TABLES, clock),
            inventory=DynamoInventoryRepository(dynamo, TABLES, clock),
            queue=self._queue.client(self._world.link(host, self._world.rules.queue_way, Border.QUEUE)),
            tenant_orders=DynamoTenantOrders(dynamo, TABLES),
            event_reader=DynamoEventLogReader(dynamo, TABLES, clock),
            event_writer=writer,
            endpoints=DynamoEndpointRepository(dynamo, TABLES, clock),
            endpoint_leases=DynamoEndpointLeases(dynamo, TABLES, duration=LEASE, clock=clock),
        )

    @staticmethod
    async def _serve(notifier: Notifier, adapters: Adapters) -> None:
        """Begin the log, again after a failure, as a process that is started again. Then append events until `stop`."""
        while True:
            try:
                await adapters.event_writer.begin()
                break
            except (StorageUnavailable, ServiceError) as error:
                if not is_planted(error):
                    raise
                await asyncio.sleep(RESTART_SECONDS)
        await notifier.run()
