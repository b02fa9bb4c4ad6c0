"""The cost of a page of a tenant's orders, and of the indexes that it reads.

`pytest -rP` shows the figures. The reads are counted over 20,000 orders of 200 customers in the DynamoDB in memory. The
write units are those that DynamoDB Local reports.
"""

import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import httpx2
import pytest

from aws_json_client import Answer, AwsClient, RetryPolicy, Transport
from devstack.stack import REGION, local_credentials
from order_api.main import create_app
from order_shared.aws.dynamodb import Dynamo, open_dynamo
from order_shared.aws.encoding import attributes
from order_shared.domain.inventory.models import Product
from order_shared.domain.order.models import Customer, Order, OrderStatus
from order_shared.storage.order_items import to_item
from order_shared.storage.orders import DynamoOrderRepository
from order_shared.storage.tenant_keys import listing_attributes
from order_shared.storage.tenant_orders import MAX_BATCHES, MAX_ENTRIES, MAX_ORDERS
from order_shared.tables import ORDERS_BY_REFERENCE_INDEX, TENANT_ORDERS_INDEX, TENANT_SHARDS, TableNames
from tests.bench.units import item_size
from tests.factories import NOON, make_order, make_product, make_tenant
from tests.fakes import TABLES, make_adapters
from tests.integration.conftest import PREFIX
from tests.memory_dynamo import MemoryDynamo, MemoryTransport
from tests.unit.api.conftest import SETTINGS, KnownKeys, issuer

COUNT = 20_000
CUSTOMERS = 200
APART = timedelta(seconds=6)
PER_HOUR = 600
RARE = 5
"""Number of rejected orders, evenly spread."""
SAME_REFERENCE = 40
"""Number of orders with the reference `web`, of as many customers."""
READ_UNIT = 4096  # bytes; half a unit for an eventually consistent read
WIDTH = 52


@dataclass
class Meter:
    """Reads since `reset`. `units` are read units by DynamoDB's rules."""

    queries: int = 0
    entries: int = 0
    batches: int = 0
    orders: int = 0
    units: float = 0.0

    def note(self, operation: str, payload: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        if operation == "Query":
            items, weight = answer["Items"], 1.0 if payload["ConsistentRead"] else 0.5
            self.queries += 1
            self.entries += len(items)
            self.units += weight * max(1, -(-sum(map(item_size, items)) // READ_UNIT))
        else:
            assert operation == "BatchGetItem"
            (items,) = answer["Responses"].values()
            self.batches += 1
            self.orders += len(items)
            self.units += sum(-(-item_size(item) // READ_UNIT) for item in items)

    def reset(self) -> None:
        self.__init__()  # type: ignore[misc]  # all fields have defaults


class MeteredMemory(MemoryTransport):
    """Transport to the tables in memory that counts what is read."""

    def __init__(self, tables: MemoryDynamo, meter: Meter) -> None:
        super().__init__(tables)
        self._meter = meter

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        answer = await super().call(operation, payload)
        self._meter.note(operation, payload, answer.content)
        return answer


@dataclass(frozen=True)
class Shop:
    """A tenant with many orders, oldest first."""

    tenant: str
    orders: list[Order]
    tables: MemoryDynamo


@pytest.fixture(scope="module")
def shop() -> Shop:
    tenant = make_tenant()
    product = make_product(tenant=tenant)
    tables = MemoryDynamo()
    orders = list(_orders(tenant, product))
    for order in orders:
        tables.put(TABLES.orders, attributes(to_item(order)))
    for order in _orders(make_tenant(), product, count=1_000):  # another shop, in the same tables
        tables.put(TABLES.orders, attributes(to_item(order)))
    return Shop(tenant, orders, tables)


def _orders(tenant: str, product: Product, count: int = COUNT) -> Iterator[Order]:
    dice = random.Random(11)  # noqa: S311 - for variety, not for secrets
    for number in range(count):
        web = number % (COUNT // SAME_REFERENCE) == 7
        customer = f"customer-{number // (COUNT // SAME_REFERENCE) if web else dice.randrange(CUSTOMERS):03}"
        order = make_order(
            customer=Customer(tenant=tenant, id=customer),
            at=NOON + number * APART,
            lines=[(product, 2)],
            reference="web" if web else f"PO-{number:06}",
        )
        is_rare = number % (COUNT // RARE) == COUNT // RARE // 2
        yield replace(order, status=OrderStatus.REJECTED if is_rare else OrderStatus.CONFIRMED)


@dataclass
class Reader:
    """The API over the shop, for a caller with `orders:admin`, and the reads of each page."""

    http: httpx2.AsyncClient
    meter: Meter
    shop: Shop
    rows: list[str] = field(default_factory=list)

    async def page(self, what: str = "", **params: Any) -> dict[str, Any]:
        self.meter.reset()
        response = await self.http.get("/v1/tenant/orders", params=params)
        assert response.status_code == 200, response.text
        page: dict[str, Any] = response.json()
        meter = self.meter
        assert meter.queries + meter.batches <= 7 * TENANT_SHARDS + MAX_BATCHES, "round trips are bounded"
        assert meter.entries <= (MAX_ORDERS if "customer" in params and "reference" not in params else MAX_ENTRIES)
        assert meter.orders <= MAX_BATCHES * int(params.get("limit", 20))
        if what:
            figures = f"{meter.queries:>8}{meter.entries:>9}{meter.orders:>8}{meter.units:>12.1f}"
            print(f"{what:<{WIDTH}}{len(page['items']):>6}{figures}")  # noqa: T201 - the measure
        return page

    async def walk(self, what: str, **params: Any) -> list[str]:
        """Return the ids of all pages; print the sum of the reads."""
        found, pages, total, cursor = [], 0, Counter[str](), dict[str, str]()
        while True:
            page = await self.page(**params, **cursor)
            found += [order["id"] for order in page["items"]]
            pages += 1
            total.update({"queries": self.meter.queries, "entries": self.meter.entries, "orders": self.meter.orders})
            if not page["has_more"]:
                break
            cursor = {"cursor": page["next_cursor"]}
        figures = f"{total['queries']:>8}{total['entries']:>9}{total['orders']:>8}"
        print(f"{f'{what}: all {pages} pages':<{WIDTH}}{len(found):>6}{figures}")  # noqa: T201 - the measure
        return found


@pytest.fixture
async def reader(shop: Shop) -> AsyncIterator[Reader]:
    meter = Meter()
    dynamo = Dynamo(AwsClient(MeteredMemory(shop.tables, meter), RetryPolicy()))
    async with _open(dynamo, TABLES, shop.tenant) as http:
        yield Reader(http, meter, shop)


@asynccontextmanager
async def _open(dynamo: Dynamo, tables: TableNames, tenant: str) -> AsyncIterator[httpx2.AsyncClient]:
    adapters = make_adapters(dynamo, tables)
    app = create_app(SETTINGS, adapters=adapters, keys=KnownKeys())
    headers = {"Authorization": f"Bearer {issuer().token(tenant, 'staff', 'orders:admin')}"}
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://api.test", headers=headers) as http,
    ):
        yield http


def window(start: datetime, length: timedelta) -> dict[str, str]:
    return {"created_at[gte]": start.isoformat(), "created_at[lt]": (start + length).isoformat()}


async def test_what_a_page_reads(reader: Reader) -> None:
    """Every page reads a bounded number of entries and orders, whatever the filters."""
    orders, meter = reader.shop.orders, reader.meter
    print(f"\n{f'{COUNT:,} orders of {CUSTOMERS} customers':<{WIDTH}} found queries  entries  orders  read units")  # noqa: T201

    for limit in (20, 100):
        page = await reader.page(f"first page of {limit}", limit=limit)
        assert [order["id"] for order in page["items"]] == [order.order_id for order in orders[: -limit - 1 : -1]]
        assert meter.orders == limit
        assert meter.entries <= 20 * TENANT_SHARDS
        assert meter.queries <= 2 * TENANT_SHARDS

    middle = {"created_at[lt]": orders[COUNT // 2 + 500].created_at.isoformat()}
    cursor: dict[str, str] = {}
    for _ in range(5):
        page = await reader.page(limit=100, **middle, **cursor)
        assert meter.entries <= 40 * TENANT_SHARDS
        assert meter.orders == 100
        cursor = {"cursor": page["next_cursor"]}
    page = await reader.page("a page of 100 in the middle, by its cursor", limit=100, **middle, **cursor)
    assert page["items"][0]["id"] == orders[COUNT // 2 - 1].order_id
    assert meter.orders == 100

    hour = window(NOON + COUNT // 3 * APART, timedelta(hours=1))
    page = await reader.page("one hour, first page of 100, oldest first", limit=100, sort="created_at", **hour)
    assert page["items"][0]["id"] == orders[COUNT // 3].order_id
    assert len(await reader.walk("one hour", limit=100, **hour)) == PER_HOUR

    customer = orders[0].customer.id
    page = await reader.page("one customer, first page of 20", limit=20, customer=customer)
    assert (meter.queries, meter.entries, meter.orders) == (1, 21, 0), "the table has the whole orders"
    of_one = [order.order_id for order in orders[::-1] if order.customer.id == customer]
    assert await reader.walk("one customer", limit=100, customer=customer) == of_one

    page = await reader.page("one reference", reference="PO-000123")
    assert [order["reference"] for order in page["items"]] == ["PO-000123"]
    assert (meter.queries, meter.entries, meter.orders) == (TENANT_SHARDS, 1, 1)
    page = await reader.page(f"a reference of {SAME_REFERENCE} orders, first page of 20", limit=20, reference="web")
    assert len(page["items"]) == 20
    assert meter.entries <= SAME_REFERENCE
    page = await reader.page("a reference that no order has", reference="none")
    assert (page["items"], page["has_more"], meter.queries, meter.orders) == ([], False, TENANT_SHARDS, 0)

    page = await reader.page(f"a status of {RARE} orders, first page of 20", limit=20, status="rejected")
    assert page["has_more"]
    assert meter.entries <= MAX_ENTRIES
    rare = [order.order_id for order in orders[::-1] if order.status is OrderStatus.REJECTED]
    assert await reader.walk("the rare status", limit=20, status="rejected") == rare
    assert await reader.walk("the rare status of one hour", limit=20, status="rejected", **hour) == []
    page = await reader.page("a frequent status, first page of 100", limit=100, status="confirmed")
    assert len(page["items"]) == 100
    assert meter.entries <= 20 * TENANT_SHARDS


class MeteredWrites:
    """Transport that asks which write units each index consumes."""

    def __init__(self, transport: Transport, units: Counter[str]) -> None:
        self.name = transport.name
        self._transport = transport
        self._units = units

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        answer = await self._transport.call(operation, {**payload, "ReturnConsumedCapacity": "INDEXES"})
        consumed = answer.content.get("ConsumedCapacity", [])
        for table in consumed if isinstance(consumed, list) else [consumed]:
            for index, used in table.get("GlobalSecondaryIndexes", {}).items():
                self._units[index] += used["CapacityUnits"]
        return answer


async def test_the_write_units_of_the_indexes(dynamodb_local_endpoint: str) -> None:
    """As DynamoDB Local reports them for single writes."""
    units: Counter[str] = Counter()
    tables = TableNames.with_prefix(PREFIX)
    async with open_dynamo(
        local_credentials(),
        region=REGION,
        endpoint=dynamodb_local_endpoint,
        retries=RetryPolicy(deadline=20.0),
        decorate=partial(MeteredWrites, units=units),
    ) as dynamo:
        repository = DynamoOrderRepository(dynamo, tables)
        told: dict[str, tuple[float, float]] = {}

        def take(what: str) -> None:
            told[what] = units[TENANT_ORDERS_INDEX], units[ORDERS_BY_REFERENCE_INDEX]
            print(f"{what:<{WIDTH}}{told[what][0]:>6}{told[what][1]:>6}")  # noqa: T201 - the measure
            units.clear()

        order = make_order(customer=Customer(tenant=make_tenant(), id="ada"), reference="PO-7", payment_token="pm_x")
        print(f"\n{'write units':<{WIDTH}} {TENANT_ORDERS_INDEX}, {ORDERS_BY_REFERENCE_INDEX}")  # noqa: T201
        await dynamo.put(tables.orders, to_item(order))
        take("an order is stored")
        noted = order.with_payment("pi_1")
        await repository.move(order, noted)
        take("an attribute outside the indexes changes")
        await dynamo.put(tables.orders, to_item(noted) | {"status": str(OrderStatus.CONFIRMED)})
        take("the status changes")
        unlisted = make_order(customer=order.customer)
        listed = listing_attributes(order.customer.tenant, unlisted.order_id, None)
        await dynamo.put(tables.orders, {name: each for name, each in to_item(unlisted).items() if name not in listed})
        take("an order of the last release is stored")
        await dynamo.put(tables.orders, to_item(unlisted))
        take("the backfill lists it")
    assert told == {
        "an order is stored": (1.0, 1.0),
        "an attribute outside the indexes changes": (0.0, 0.0),
        "the status changes": (1.0, 0.0),
        "an order of the last release is stored": (0.0, 0.0),
        "the backfill lists it": (1.0, 0.0),
    }
