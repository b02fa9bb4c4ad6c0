"""What a page of a customer's orders costs, on real engines: the same, however many orders the customer has.

Over HTTP into the real repository; every request to DynamoDB is counted, with the read units that the engine says it
used. DynamoDB Local holds 5,000 orders of one customer, the embedded AWS, which calls every request one unit, 1,000.
`pytest -rP` shows the figures.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import httpx2
import pytest

from aws_json_client import Answer, RetryPolicy, Transport
from devstack.stack import REGION, local_credentials
from order_api.main import create_app
from order_api.order.listing import MAX_EXAMINED, MAX_READS
from order_shared.aws.dynamodb import Item, open_dynamo
from order_shared.aws.encoding import attributes
from order_shared.domain.order.models import Customer, OrderStatus
from order_shared.storage.order_items import to_item
from order_shared.tables import TableNames
from tests.factories import NOON, make_order, make_product, make_tenant
from tests.fakes import make_adapters
from tests.integration.conftest import PREFIX
from tests.unit.api.conftest import SETTINGS, KnownKeys, issuer

ORDERS = {"dynamodb-local": 5_000, "emulator": 1_000}
NEEDLES = 4
"""Orders with a reference of their own, evenly spread."""
APART = timedelta(minutes=1)
BATCH = 25  # BatchWriteItem's hard limit
WRITERS = 4
READ_UNIT = 4096  # bytes of a strongly consistent read


@dataclass
class Meter:
    """What was asked of DynamoDB since `reset`."""

    actions: list[str] = field(default_factory=list)
    examined: int = 0
    units: float = 0.0

    def note(self, action: str, answer: Mapping[str, Any]) -> None:
        self.actions.append(action)
        self.examined += answer["ScannedCount"]
        self.units += answer["ConsumedCapacity"]["CapacityUnits"]

    def reset(self) -> None:
        self.actions, self.examined, self.units = [], 0, 0.0

    def __str__(self) -> str:
        return f"{len(self.actions)} requests, {self.examined} orders examined, {self.units:.1f} read units"


class MeteredTransport:
    """Asks what each of its requests consumes."""

    def __init__(self, transport: Transport, meter: Meter) -> None:
        self.name = transport.name
        self._transport = transport
        self._meter = meter

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        answer = await self._transport.call(operation, {**payload, "ReturnConsumedCapacity": "TOTAL"})
        self._meter.note(operation, answer.content)
        return answer


@dataclass(frozen=True)
class Shop:
    """One customer with many orders, at an engine."""

    engine: str
    endpoint: str
    customer: Customer
    count: int
    item_bytes: int


@pytest.fixture(scope="module", params=list(ORDERS))
def shop(request: pytest.FixtureRequest) -> Shop:
    engine: str = request.param
    endpoint = request.getfixturevalue(f"{engine.replace('-', '_')}_endpoint")
    customer = Customer(tenant=make_tenant(), id="ada")
    started = time.perf_counter()
    items = list(_items(customer, ORDERS[engine]))
    asyncio.run(_load(endpoint, items))
    print(f"\n{engine}: {len(items)} orders loaded in {time.perf_counter() - started:.1f} s")  # noqa: T201 - the measure
    return Shop(engine, endpoint, customer, len(items), max(map(_size, items)))


def _items(customer: Customer, count: int) -> Iterator[Item]:
    """Confirmed orders, a minute apart; one in each of `NEEDLES` parts is another. None stands in the outbox."""
    for number in range(count):
        rare = number % (count // NEEDLES) == count // NEEDLES // 2
        order = make_order(
            customer=customer,
            at=NOON + number * APART,
            lines=[(make_product(tenant=customer.tenant, sku=sku), 2) for sku in ("TEA-GREEN-100", "POT-GLASS")],
            reference=f"Needle {number}" if rare else f"PO-{number:06}",
        )
        yield to_item(replace(order.cancel(order.created_at) if rare else order.confirm(order.created_at)))


def _size(item: Item) -> int:
    return len(str(item))  # more than DynamoDB counts: quotes and brackets are not stored


async def _load(endpoint: str, items: list[Item]) -> None:
    table = TableNames.with_prefix(PREFIX).orders
    patient = RetryPolicy(deadline=60.0)
    batches = iter([items[start : start + BATCH] for start in range(0, len(items), BATCH)])
    async with open_dynamo(local_credentials(), region=REGION, endpoint=endpoint, retries=patient) as dynamo:

        async def write() -> None:
            for batch in batches:
                left = [{"PutRequest": {"Item": attributes(item)}} for item in batch]
                while left:
                    answer = await dynamo.client.request("BatchWriteItem", {"RequestItems": {table: left}})
                    left = answer["UnprocessedItems"].get(table, [])

        await asyncio.gather(*(write() for _ in range(WRITERS)))


@dataclass(frozen=True)
class Metered:
    """The API over the shop, and what its requests cost."""

    http: httpx2.AsyncClient
    meter: Meter
    shop: Shop

    async def page(self, what: str = "", **params: Any) -> dict[str, Any]:
        """One page, by itself on the meter; shown if it has a name."""
        self.meter.reset()
        response = await self.http.get("/v1/orders", params=params)
        assert response.status_code == 200, response.text
        if what:
            print(f"{self.shop.engine}, {self.shop.count} orders, {what}: {self.meter}")  # noqa: T201 - the measure
        page: dict[str, Any] = response.json()
        return page

    def cost_is_within(self, *, requests: int, orders: int) -> bool:
        """At most so many queries, and the read units of so many orders."""
        assert set(self.meter.actions) == {"Query"}
        units = math.ceil(orders * self.shop.item_bytes / READ_UNIT) + requests  # each request is rounded up
        return len(self.meter.actions) <= requests and self.meter.examined <= orders and self.meter.units <= units


@pytest.fixture
async def metered_api(shop: Shop) -> AsyncIterator[Metered]:
    async with _open(shop) as opened:
        yield opened


@asynccontextmanager
async def _open(shop: Shop) -> AsyncIterator[Metered]:
    tables = TableNames.with_prefix(PREFIX)
    retries = RetryPolicy(deadline=20.0)
    meter = Meter()
    async with open_dynamo(
        local_credentials(),
        region=REGION,
        endpoint=shop.endpoint,
        retries=retries,
        decorate=partial(MeteredTransport, meter=meter),
    ) as dynamo:
        adapters = make_adapters(dynamo, tables)
        app = create_app(SETTINGS, adapters=adapters, keys=KnownKeys())
        token = issuer().token(shop.customer.tenant, shop.customer.id, "orders:read")
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app=app),
                base_url="http://api.test",
                headers={"Authorization": f"Bearer {token}"},
            ) as http,
        ):
            yield Metered(http, meter, shop)


async def test_the_first_page(metered_api: Metered) -> None:
    for limit in (20, 100):
        page = await metered_api.page(f"first page of {limit}", limit=limit)
        assert (len(page["items"]), page["has_more"]) == (limit, True)
        assert metered_api.cost_is_within(requests=1, orders=limit + 1)


async def test_every_page_on_the_way_to_the_middle(metered_api: Metered) -> None:
    half, cursor = metered_api.shop.count // 2, dict[str, str]()
    for number in range(half // 100):
        page = await metered_api.page(limit=100, **cursor)
        assert metered_api.cost_is_within(requests=1, orders=101), f"page {number}"
        cursor = {"cursor": page["next_cursor"]}
    page = await metered_api.page("a page in the middle, by cursor", limit=100, **cursor)
    assert page["items"][0]["created_at"] == (NOON + (half - 1) * APART).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert metered_api.cost_is_within(requests=1, orders=101)


async def test_one_hour(metered_api: Metered) -> None:
    start = NOON + metered_api.shop.count // 3 * APART
    window = {"created_at[gte]": start.isoformat(), "created_at[lt]": (start + timedelta(hours=1)).isoformat()}
    page = await metered_api.page("one hour", limit=100, **window)
    assert (len(page["items"]), page["has_more"]) == (60, False)
    assert metered_api.cost_is_within(requests=1, orders=60)


async def test_a_sparse_filter_page_after_page(metered_api: Metered) -> None:
    found, pages, cursor = 0, 0, dict[str, str]()
    while pages == 0 or cursor["cursor"] is not None:
        page = await metered_api.page("" if pages else "a sparse text", limit=20, q="needle", **cursor)
        assert metered_api.cost_is_within(requests=MAX_READS, orders=MAX_EXAMINED)
        found, pages, cursor = found + len(page["items"]), pages + 1, {"cursor": page["next_cursor"]}
    assert found == NEEDLES
    assert pages <= metered_api.shop.count // MAX_EXAMINED + 1


async def test_a_sparse_status(metered_api: Metered) -> None:
    page = await metered_api.page("a sparse status", limit=20, status=str(OrderStatus.CANCELLED))
    assert (len(page["items"]) <= 2, page["has_more"]) == (True, True)
    assert metered_api.cost_is_within(requests=MAX_READS, orders=MAX_EXAMINED)
