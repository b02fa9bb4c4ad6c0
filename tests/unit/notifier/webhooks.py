"""Webhook endpoints over one in-memory store: a receiver that the test directs, and a clock that it moves."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from order_notifier.webhook.courier import Courier
from order_notifier.webhook.places import Lane, Place
from order_notifier.webhook.run import EndpointRun, Tools
from order_shared.domain.order.models import Customer, Order, Reason, ReasonCode
from order_shared.domain.webhook.attempt import Attempt, AttemptError
from order_shared.domain.webhook.health import Health
from order_shared.domain.webhook.models import Delivery, Endpoint, SealedSecret, new_endpoint_id
from order_shared.domain.webhook.secret_box import CannotOpenSecret, Sealed
from order_shared.domain.webhook.signing import new_secret
from order_shared.storage.event_log.append import DynamoEventLogWriter
from order_shared.storage.event_log.read import DynamoEventLogReader
from order_shared.storage.webhooks.endpoints import DynamoEndpointRepository
from order_shared.storage.webhooks.leases import DynamoEndpointLeases
from order_shared.tables import EVENTS
from tests.factories import NOON, make_order, make_record
from tests.fakes import TABLES, HandClock, MemoryOrderRepository, MemoryStore

TENANT = "acme"
LEASE = timedelta(seconds=30)
SECRET = new_secret()

Json = dict[str, Any]
Answer = int | AttemptError
"""Status of a response, or the reason why there is none."""


class PlainBox:
    """Box that keeps texts as they are."""

    def seal(self, text: str) -> Sealed:
        return Sealed(text)

    def open(self, sealed: Sealed) -> str:
        if sealed == "broken":
            raise CannotOpenSecret
        return sealed


@dataclass
class Receiver:
    """Sender and receiver in one: it notes what arrives, and answers as the test directs."""

    clock: HandClock
    answer: Callable[[str, Json], Answer] = lambda _url, _event: 200
    received: defaultdict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))
    headers: list[Mapping[str, str]] = field(default_factory=list)
    open_requests: int = 0
    most_open: int = 0
    hold: asyncio.Event | None = None
    """If given, requests end once it is set."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        event = json.loads(body)
        self.received[url].append(event)
        self.headers.append(headers)
        self.open_requests += 1
        self.most_open = max(self.most_open, self.open_requests)
        try:
            await (asyncio.sleep(0) if self.hold is None else self.hold.wait())
        finally:
            self.open_requests -= 1
        answer = self.answer(url, event)
        status, error = (None, answer) if isinstance(answer, AttemptError) else (answer, None)
        return Attempt(at=self.clock(), status=status, error=error, milliseconds=1, response="why")

    def ids(self, url: str = "https://shop.example") -> list[str]:
        """Return what has arrived: the number of the order in the test, and the change."""
        return [f"{event['subject'][-4:]}.{event['type'].split('.')[1]}" for event in self.received[url]]


@dataclass
class Webhooks:
    clock: HandClock = field(default_factory=lambda: HandClock(NOON))
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self.dynamo = self.store.tables.client()
        self.orders = MemoryOrderRepository(self.store)
        self.log = DynamoEventLogWriter(self.dynamo, TABLES, self.clock)
        self.reader = DynamoEventLogReader(self.dynamo, TABLES, self.clock)
        self.repository = DynamoEndpointRepository(self.dynamo, TABLES, self.clock)
        self.leases = DynamoEndpointLeases(self.dynamo, TABLES, duration=LEASE, clock=self.clock)
        self.receiver = Receiver(self.clock)
        self.attempts: list[Attempt] = []
        self.left_out: list[str] = []
        self.slow = Lane(10)

    @property
    def tools(self) -> Tools:
        courier = Courier(
            self.orders,
            self.receiver,
            PlainBox(),
            on_unreadable=lambda what, **_: self.left_out.append(what),
            clock=self.clock,
        )
        return Tools(
            leases=self.leases,
            events=self.reader,
            courier=courier,
            lease=LEASE,
            stopping=self.stopping,
            on_attempt=lambda _, attempt: self.attempts.append(attempt),
            clock=self.clock,
            jitter=lambda: 0.0,
        )

    async def create(self, **fields: Any) -> Endpoint:
        await self.log.begin()
        now = self.clock()
        endpoint = Endpoint(
            tenant=TENANT,
            endpoint_id=new_endpoint_id(),
            url="https://shop.example",
            types=frozenset(),
            description="",
            secrets=(SealedSecret(sealed=Sealed(SECRET)),),
            position=await self.reader.latest(TENANT),
            created_at=now,
            updated_at=now - timedelta(minutes=1),
            health=Health().activated(),
        )
        endpoint = replace(endpoint, **fields)
        await self.repository.create(endpoint)
        return endpoint

    async def place(self, count: int = 1) -> list[Order]:
        """Place orders whose events are in the log."""
        orders = []
        for _ in range(count):
            self.clock.advance(timedelta(milliseconds=1))
            order = make_order(customer=Customer(tenant=TENANT, id="ada"), at=self.clock())
            await self.orders.add(order, make_record(order))
            orders.append(order)
        for start in range(0, count, 25):
            await self.log.append(TENANT, orders[start : start + 25])
        return orders

    async def reject(self, order: Order) -> Order:
        reason = Reason(ReasonCode.OUT_OF_STOCK, "none left")
        ended = await self.orders.move(order, order.reject(self.clock(), reason))
        await self.log.append(TENANT, [ended])
        return ended

    async def run(self, endpoint: Endpoint) -> bool:
        """Let a notifier serve the endpoint. Return False if it cannot take the lease."""
        lease = await self.leases.take(TENANT, endpoint.endpoint_id)
        if lease is None:
            return False
        assert self.slow.enter_at_once()
        place = Place(self.slow, self.slow)
        try:
            await EndpointRun(lease, place, self.tools).run()
        finally:
            place.leave()
        return True

    async def stored(self, endpoint: Endpoint) -> Endpoint:
        return await self.repository.get(TENANT, endpoint.endpoint_id)

    async def waiting(self, endpoint: Endpoint) -> list[Delivery]:
        return list(await self.leases.waiting(TENANT, endpoint.endpoint_id))

    async def due(self) -> bool:
        """Return whether an endpoint is due."""
        return bool(await self.leases.due(self.clock(), 10))

    async def lag(self, endpoint: Endpoint) -> int:
        end = await self.reader.latest(TENANT)
        return end.sequence - (await self.stored(endpoint)).position.sequence

    def expire_events(self) -> None:
        for key, item in self.store.tables.of_table(EVENTS.name):
            if "entries" in item:
                self.store.tables.store(key, {**item, "expires_at": {"N": "1"}})


def short(order: Order, change: str) -> str:
    return f"{order.order_id[-4:]}.{change}"
