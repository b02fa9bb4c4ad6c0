"""A notifier over one in-memory store."""

import json
from dataclasses import dataclass, field

import pytest

from order_notifier.appender import Appender
from order_shared.domain.clock import UniqueClock, to_text
from order_shared.domain.order.events import OrderEvent
from order_shared.domain.order.models import Order
from order_shared.storage.event_log.append import DynamoEventLogWriter
from order_shared.storage.event_log.read import ALL_EVENTS, DynamoEventLogReader
from tests.factories import make_record
from tests.fakes import TABLES, MemoryOrderRepository, MemoryStore


def message_of(order: Order, *, event: str = "MODIFY") -> str:
    """Return the message of the change feed about an order."""
    keys = {"customer_key": {"S": order.customer.key}, "created_at": {"S": to_text(order.created_at)}}
    return json.dumps({"eventName": event, "dynamodb": {"Keys": keys}})


@dataclass
class World:
    store: MemoryStore = field(default_factory=lambda: MemoryStore(UniqueClock()))
    orders: MemoryOrderRepository = field(init=False)
    log: DynamoEventLogWriter = field(init=False)
    appender: Appender = field(init=False)
    appended: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.orders = MemoryOrderRepository(self.store)
        self.log = DynamoEventLogWriter(self.store.tables.client(), TABLES, self.store.clock)
        self.appender = Appender(self.orders, self.log, on_appended=lambda _, events: self.appended.append(events))

    async def add(self, order: Order) -> Order:
        await self.orders.add(order, make_record(order))
        return order

    async def events(self, tenant: str = "acme") -> list[OrderEvent]:
        reader = DynamoEventLogReader(self.store.tables.client(), TABLES, self.store.clock)
        found = await reader.read(tenant, await reader.earliest(tenant), limit=1000, matching=ALL_EVENTS)
        assert not found.more
        return [each.event for each in found.events]


@pytest.fixture
async def world() -> World:
    opened = World()
    await opened.log.begin()
    return opened
