"""A hot product: many buyers of one SKU whose stock lies in one shard, in four, in sixteen. Goal P7.

Conflicts are *simulated* (`conflicts.py`): the embedded AWS has none. Everything else is real: an API and two
processors with their normal settings, which retry what is refused. Each round sells twice:

    plenty   there is enough for everybody: what the buyers' conflicts are (`take_conflicts_per_order`), which should
             fall as 1/K
    scarce   more is wanted than there is: shards run dry at different times, the last buyers meet in those that are
             left, units are gathered from others (which has conflicts of its own: `conflicts_per_order` has all), and
             orders are rejected; never is anything sold that was not there
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING

from devstack.lab.shoppers import Shop
from devstack.stack import local_session, running_infrastructure
from order_shared.domain.order.models import OrderStatus
from order_shared.storage.inventory import product_key
from order_shared.tables import TableNames
from tests.bench.conflicts import HOLD_SECONDS, Cause, Conflicts
from tests.bench.cost import DELETE, NORMAL, port_of
from tests.bench.figures import Figure, Say
from tests.bench.load import closed_loop
from tests.bench.machines import STATE
from tests.bench.orders import order_requests
from tests.chaos.proxy import Clear
from tests.chaos.wire import BATCHES, Answer, Call, Forward
from tests.chaos.world import World, open_world
from tests.waiting import eventually

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SHARDS = (1, 4, 16)
ORDERS = 300
PLENTY = 1600
SCARCE = 250
BUYERS = 32
WARM_UP_ORDERS = 30
SKU = "HOT"
PREFIX = "hot-"
PUT_BACK = "ChangeMessageVisibilityBatch"
PROCESSES = ("api-1", "processor-1", "processor-2")


@dataclass(frozen=True)
class Sale:
    """Orders of one unit each, where there were `units`. Conflicts are simulated; each makes its service try once more,
    until its deadline: then the message is put back into the queue, and is a retried one."""

    units: int
    take_conflicts: int
    conflicts: int
    retried_messages: int
    seconds: float
    sold: int
    left: list[int]
    """Units, by shard."""

    @property
    def oversold(self) -> int:
        """Units sold that had not been there, as the orders tell it, or the shards, or both together."""
        missing = sum(-units for units in self.left if units < 0)
        return max(0, self.sold - self.units, missing, self.sold + sum(self.left) - self.units)

    @property
    def unsold(self) -> int:
        """Units that somebody wanted and did not get."""
        return max(0, min(self.units, ORDERS) - self.sold)


@dataclass(frozen=True)
class Round:
    plenty: Sale
    scarce: Sale


QUANTITIES: tuple[tuple[str, str, Callable[[Round], float]], ...] = (
    ("take_conflicts_per_order", "conflicts, simulated", lambda sold: sold.plenty.take_conflicts / ORDERS),
    ("conflicts_per_order", "conflicts, simulated", lambda sold: sold.scarce.conflicts / ORDERS),
    ("retried_messages", "messages", lambda sold: sold.scarce.retried_messages),
    ("seconds_to_end", "s", lambda sold: sold.scarce.seconds),
    ("oversold", "units", lambda sold: sold.plenty.oversold + sold.scarce.oversold),
    ("unsold", "units", lambda sold: sold.plenty.unsold + sold.scarce.unsold),
)


class Crowd:
    """A plan with conflicts, which counts what becomes of the messages: `entries` by operation."""

    def __init__(self) -> None:
        self.conflicts = Conflicts()
        self.entries: Counter[str] = Counter()

    async def meet(self, call: Call, forward: Forward) -> Answer:
        answer = await self.conflicts.meet(call, forward)
        if call.operation in BATCHES:
            self.entries[call.operation] += len(answer.content.get("Successful", ()))
        return answer


async def measure(rounds: int, say: Say) -> list[Figure]:
    sales: dict[str, list[Round]] = {subject(shards): [] for shards in SHARDS}
    say(f"hot: conflicts are simulated; each write holds its items for {HOLD_SECONDS * 1000:.0f} ms")
    with running_infrastructure(STATE / "hot") as stack:
        dynamodb = local_session().client("dynamodb", endpoint_url=stack.aws)
        async with open_world(stack, PREFIX, PROCESSES, settings=NORMAL) as world:
            await _sell(world, dynamodb, SHARDS[-1], PLENTY, orders=WARM_UP_ORDERS)
            for number in range(1, rounds + 1):
                for shards in SHARDS:
                    plenty = await _sell(world, dynamodb, shards, PLENTY)
                    scarce = await _sell(world, dynamodb, shards, SCARCE)
                    sales[subject(shards)].append(Round(plenty, scarce))
                    for name, sale in (("plenty", plenty), ("scarce", scarce)):
                        say(f"hot, round {number}, {subject(shards)}, {name}: {_describe(sale)}")
    return [
        Figure(name, quantity, unit, tuple(float(value(sale)) for sale in rounds_of_it))
        for name, rounds_of_it in sales.items()
        for quantity, unit, value in QUANTITIES
    ]


def subject(shards: int) -> str:
    return "1 shard" if shards == 1 else f"{shards} shards"


def _describe(sale: Sale) -> str:
    return (
        f"{sale.take_conflicts} conflicts of takers, {sale.conflicts} in all, "
        f"{sale.seconds:.1f} s, {sale.oversold} oversold, {sale.unsold} unsold"
    )


async def _sell(world: World, dynamodb: "DynamoDBClient", shards: int, units: int, *, orders: int = ORDERS) -> Sale:
    """Orders of one unit each, until all have ended. Raises RuntimeError if one is not accepted or ends otherwise."""
    shop = Shop(f"t-{uuid.uuid4().hex[:8]}", world.issuer, world.http, lambda: world.apis)
    world.proxy.plan = Clear()
    await shop.open({SKU: units}, {SKU: shards})
    world.proxy.plan = plan = Crowd()
    started = perf_counter()
    requests = order_requests(world.issuer, shop.tenant, [{SKU: 1}] * orders)
    load = await closed_loop(port_of(world.apis[0]), requests, connections=BUYERS)
    await eventually(lambda: plan.entries[DELETE] >= orders, "the end of all orders", patience=60)
    seconds = perf_counter() - started
    ends = Counter(order.status for order in await world.books.orders(shop.tenant))
    sold = ends[OrderStatus.CONFIRMED]
    if load.statuses != {HTTPStatus.ACCEPTED: orders} or sold + ends[OrderStatus.REJECTED] != orders:
        raise RuntimeError(f"answers {dict(load.statuses)}, ends {dict(ends)}")
    return Sale(
        units=units,
        take_conflicts=plan.conflicts.refused[Cause.TAKE],
        conflicts=plan.conflicts.refused.total(),
        retried_messages=plan.entries[PUT_BACK],
        seconds=seconds,
        sold=sold,
        left=await asyncio.to_thread(_left, dynamodb, shop.tenant),
    )


def _left(dynamodb: "DynamoDBClient", tenant: str) -> list[int]:
    """Units in each shard, as they are stored."""
    answer = dynamodb.query(
        TableName=TableNames.with_prefix(PREFIX).inventory,
        KeyConditionExpression="product_key = :product",
        ExpressionAttributeValues={":product": {"S": product_key(tenant, SKU)}},
        ConsistentRead=True,
    )
    return [int(item["available"]["N"]) for item in answer["Items"] if "available" in item]
