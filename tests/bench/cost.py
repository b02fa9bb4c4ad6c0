"""What an order costs from accept to confirmed: requests to SQS and DynamoDB, and write units. Goal P5.

The API and a processor run with their normal settings over the embedded AWS; a proxy between them counts, and
`units.py` computes what DynamoDB would have charged. Orders have two lines, no reference and no payment.

    counted       each request that an order causes
    said aside    polls that brought nothing, the sweeper's looks at the outbox, and prices read anew (a product's
                  every 4 s): they come by the clock, whatever the number of orders

How many orders share a request to SQS depends on how many are under way at once: `BUYERS` at a time here, each with one
order after the other. What it is compared with is a queue used message by message: three requests by definition
(send, receive, delete), not measured.
"""

import uuid
from collections import Counter
from http import HTTPStatus
from itertools import cycle
from urllib.parse import urlsplit

from devstack.lab.shoppers import Shop
from devstack.stack import running_infrastructure
from order_processor.config import ProcessorSettings
from order_shared.domain.order.models import OrderStatus
from order_shared.tables import OPEN_ORDERS_INDEX
from tests.bench.figures import Figure, Say
from tests.bench.load import closed_loop
from tests.bench.machines import STATE
from tests.bench.orders import Lines, order_requests
from tests.bench.units import Ledger, item_size
from tests.chaos.proxy import Clear
from tests.chaos.wire import BATCHES, DYNAMODB, RECEIVE, SQS, Answer, Call, Forward
from tests.chaos.world import IMPATIENT, World, open_world
from tests.waiting import eventually

ORDERS = 400
WARM_UP_ORDERS = 40
BUYERS = 32
STOCK = {"TEA-GREEN-100": 1_000_000, "POT-GLASS": 1_000_000, "TEA-JASMINE-050": 1_000_000, "CUP-STONEWARE": 1_000_000}
UNBATCHED_SQS_REQUESTS = 3.0
DELETE = "DeleteMessageBatch"

NORMAL = {name: str(ProcessorSettings.model_fields[name.removeprefix("ORDER_").lower()].default) for name in IMPATIENT}
"""What a world hurries for the sake of tests, as it is in production."""


class Counts:
    """A plan that lets every call pass and counts it, by service and operation."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.aside: Counter[str] = Counter()
        self.write_units = 0
        self.entries: Counter[str] = Counter()
        """Of batches, those that SQS took, by operation."""
        self.ledger = Ledger()

    def restart(self) -> None:
        """Counts from nought; the ledger keeps what it knows of the tables."""
        self.requests.clear()
        self.aside.clear()
        self.entries.clear()
        self.write_units = 0

    async def meet(self, call: Call, forward: Forward) -> Answer:
        answer = await forward(call)
        if call.written_keys:
            self.write_units += self.ledger.enter(call, applied=answer.status == HTTPStatus.OK)
        if call.operation == RECEIVE and not answer.content.get("Messages"):
            self.aside["empty polls"] += 1
        elif call.operation == "Query" and call.content.get("IndexName") == OPEN_ORDERS_INDEX:
            self.aside["looks at the outbox"] += 1
        elif call.operation == "BatchGetItem":
            self.aside["prices read anew"] += 1
        else:
            self.requests[call.service, call.operation] += 1
        if call.operation in BATCHES:
            self.entries[call.operation] += len(answer.content.get("Successful", ()))
        return answer

    def of(self, service: str) -> int:
        return sum(count for (of, _), count in self.requests.items() if of == service)

    def describe(self, orders: int) -> str:
        """By operation, per order."""
        rates = [f"{operation} {count / orders:.3f}" for (_, operation), count in sorted(self.requests.items())]
        aside = [f"{count} {what}" for what, count in sorted(self.aside.items())]
        return ", ".join(rates) + (f"; aside: {', '.join(aside)}" if aside else "")


async def measure(rounds: int, say: Say) -> list[Figure]:
    results = []
    with running_infrastructure(STATE / "cost") as stack:
        async with open_world(stack, "cost-", ("api-1", "processor-1"), settings=NORMAL) as world:
            world.proxy.plan = counts = Counts()
            shop = Shop(f"t-{uuid.uuid4().hex[:8]}", world.issuer, world.http, lambda: world.apis)
            await shop.open(STOCK, shards={})
            await _sell(world, shop.tenant, counts, WARM_UP_ORDERS)
            for number in range(1, rounds + 1):
                cost = await _sell(world, shop.tenant, counts, ORDERS)
                results.append(cost)
                say(f"cost, round {number}: {counts.describe(ORDERS)}; {cost[-1]:.2f} write units")
            await _ensure_consistent(world, shop.tenant, counts.ledger, WARM_UP_ORDERS + rounds * ORDERS)
            say(f"cost: an order takes up to {_largest_order(counts.ledger)} bytes")
            world.proxy.plan = Clear()
    sqs, dynamodb, units = zip(*results, strict=True)
    return [
        Figure("ours", "sqs_requests_per_order", "requests", sqs),
        Figure("ours", "dynamodb_requests_per_order", "requests", dynamodb),
        Figure("ours", "write_units_per_order", "units", units),
        Figure("unbatched", "sqs_requests_per_order", "requests", (UNBATCHED_SQS_REQUESTS,) * rounds),
    ]


async def _sell(world: World, tenant: str, counts: Counts, orders: int) -> tuple[float, float, float]:
    """Requests to SQS, to DynamoDB, and write units, each per order, until all have ended."""
    skus = cycle(STOCK)
    wanted: list[Lines] = [{next(skus): 2, next(skus): 1} for _ in range(orders)]
    counts.restart()
    load = await closed_loop(port_of(world.apis[0]), order_requests(world.issuer, tenant, wanted), connections=BUYERS)
    if load.statuses != {HTTPStatus.ACCEPTED: orders}:
        raise RuntimeError(f"not all were accepted: {dict(load.statuses)}")
    await eventually(lambda: counts.entries[DELETE] >= orders, "the end of all orders", patience=60)
    return counts.of(SQS) / orders, counts.of(DYNAMODB) / orders, counts.write_units / orders


async def _ensure_consistent(world: World, tenant: str, ledger: Ledger, orders: int) -> None:
    """Raises RuntimeError unless all orders are confirmed and the ledger, which sizes come from, tells of the same."""
    ends = Counter(order.status for order in await world.books.orders(tenant))
    if ends != {OrderStatus.CONFIRMED: orders}:
        raise RuntimeError(f"not all were confirmed: {dict(ends)}")
    left = sum(int(item["available"]["N"]) for item in ledger.items.values() if "available" in item)
    if left != sum((await world.books.stock(tenant)).values()):
        raise RuntimeError("the ledger of writes and the tables disagree")


def _largest_order(ledger: Ledger) -> int:
    """Bytes."""
    return max(item_size(item) for item in ledger.items.values() if "order_id" in item)


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port
