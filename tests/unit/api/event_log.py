"""Orders with events, over the stores in memory: each change is stored and appended as the notifier does it."""

from dataclasses import dataclass, field, replace
from typing import Any

from order_shared.aws.encoding import attributes
from order_shared.domain.order.models import Customer, Order, Reason, ReasonCode
from order_shared.storage.event_log.append import DynamoEventLogWriter
from order_shared.storage.order_items import to_item
from order_shared.tables import EVENTS
from tests.factories import make_order, make_product
from tests.fakes import TABLES, MemoryStore
from tests.memory_dynamo import ItemKey


@dataclass
class Log:
    store: MemoryStore
    writer: DynamoEventLogWriter = field(init=False)

    def __post_init__(self) -> None:
        self.writer = DynamoEventLogWriter(self.store.tables.client(), TABLES, self.store.clock)

    async def place(self, customer: str = "ada", *, tenant: str = "acme", **fields: Any) -> Order:
        """Store a new order, and append its event."""
        await self.writer.begin()
        owner = Customer(tenant=tenant, id=customer)
        order = make_order(customer=owner, at=self.store.clock(), lines=[(make_product(tenant=tenant), 1)], **fields)
        return await self.save(order)

    async def end(self, order: Order, *, confirmed: bool = True) -> Order:
        now = self.store.clock()
        ended = order.confirm(now) if confirmed else order.reject(now, Reason(ReasonCode.OUT_OF_STOCK, "none left"))
        return await self.save(ended)

    async def save(self, order: Order, **item: Any) -> Order:
        self.put(order, **item)
        await self.writer.append(order.customer.tenant, [order])
        return order

    def put(self, order: Order, **item: Any) -> None:
        """Store the order without an event. `item` replaces attributes of the stored item."""
        self.store.tables.put(TABLES.orders, attributes(to_item(order) | item))

    def expire(self) -> None:
        """Let the pages of all logs have expired."""
        for key, item in self.store.tables.of_table(EVENTS.name):
            if "entries" in item:
                self.store.tables.store(key, {**item, "expires_at": {"N": "1"}})

    def change_head(self, tenant: str, /, **numbers: int) -> None:
        """Change the head of a log as a restore does."""
        key = ItemKey(EVENTS.name, tenant, "0")
        changed = {name: {"N": str(number)} for name, number in numbers.items()}
        self.store.tables.store(key, self.store.tables.items[key] | changed)

    async def place_many(self, count: int, customer: str = "ada", *, tenant: str = "acme") -> list[Order]:
        """Store new orders, and append their events as one page for each 25."""
        await self.writer.begin()
        owner = Customer(tenant=tenant, id=customer)
        template = make_order(customer=owner, at=self.store.clock(), lines=[(make_product(tenant=tenant), 1)])
        orders = [replace(template, **_identity(self.store)) for _ in range(count)]
        for order in orders:
            self.put(order)
        for start in range(0, count, 25):
            await self.writer.append(tenant, orders[start : start + 25])
        return orders


def _identity(store: MemoryStore) -> dict[str, Any]:
    order = make_order(at=store.clock())
    return {name: getattr(order, name) for name in ("order_id", "created_at", "updated_at", "history")}
