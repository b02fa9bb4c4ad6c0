"""How long an answer takes under a load that does not wait for answers (open loop), at a fourth, half and three fourths
of what one process can take; against one bare transactional write to the same backend. Goal P6.

The backend is the canned AWS with a delay: log-normal, `MEDIAN_SECONDS` and `SIGMA`, about what DynamoDB takes for a
transaction within a region. The bare write is made from this process, at the same rate, without any service around it.
A request's time counts from when it was due, whether or not a connection was free to send it.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiodynamo.expressions import F
from aiodynamo.operations import Put, Update

from aws_json_client import RetryPolicy
from devstack.stack import REGION, local_credentials
from order_shared.aws.dynamodb import Dynamo, open_dynamo
from tests.bench.figures import Figure, Say
from tests.bench.load import closed_loop, open_loop, paced
from tests.bench.machines import Lab, Machine, open_lab
from tests.bench.orders import TWO_LINES, order_requests

if TYPE_CHECKING:
    from order_shared.aws.encoding import WriteOperation

SHARES = (0.25, 0.5, 0.75)
SECONDS = 4.0
CONNECTIONS = 128
ORDERS_OF_A_TOKEN = 10
CAPACITY_ORDERS = 3000
CUSTOMERS = CAPACITY_ORDERS // ORDERS_OF_A_TOKEN
MEDIAN_SECONDS = 0.006
SIGMA = 0.25
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
OURS, BARE = "ours", "one transactional write"


async def measure(rounds: int, say: Say) -> list[Figure]:
    """Milliseconds at each quantile, of each subject at each share of the capacity, which is measured first."""
    with open_lab() as lab:
        await lab.aws.tell("Delay", median=MEDIAN_SECONDS, sigma=SIGMA)
        api = lab.start_service("order_api")
        capacity = await _capacity(lab, api)
        say(f"latency: one process takes {capacity:.0f} orders/s; the backend answers in {MEDIAN_SECONDS * 1000:g} ms")
        taken: dict[tuple[str, float], list[Sequence[float]]] = {}
        async with open_dynamo(
            local_credentials(), region=REGION, endpoint=lab.aws.url, retries=RetryPolicy()
        ) as dynamo:
            for number in range(1, rounds + 1):
                for share in SHARES:
                    for name, latencies in (
                        (OURS, await _orders(lab, api, capacity * share)),
                        (BARE, await _writes(dynamo, capacity * share)),
                    ):
                        taken.setdefault((name, share), []).append(latencies)
                        quantiles = "  ".join(f"{q} {_quantile(latencies, QUANTILES[q]):6.1f} ms" for q in QUANTILES)
                        say(f"latency, round {number}: {name:<24} at {share:4.0%}  {quantiles}")
    return [
        Figure("capacity", "throughput", "orders/s", (capacity,)),
        *(
            Figure(f"{name} at {share:.0%}", quantile, "ms", tuple(_quantile(each, part) for each in values))
            for (name, share), values in taken.items()
            for quantile, part in QUANTILES.items()
        ),
    ]


async def _capacity(lab: Lab, api: Machine) -> float:
    """Orders per second in a closed loop, warmed up."""

    async def sell() -> float:
        requests = order_requests(lab.issuer, "acme", [TWO_LINES] * CAPACITY_ORDERS, customers=CUSTOMERS)
        return CAPACITY_ORDERS / (await closed_loop(api.port, requests, connections=CONNECTIONS)).seconds

    await sell()
    return await sell()


async def _orders(lab: Lab, api: Machine, per_second: float) -> Sequence[float]:
    count = round(per_second * SECONDS)
    requests = order_requests(lab.issuer, "acme", [TWO_LINES] * count, customers=count // ORDERS_OF_A_TOKEN)
    load = await open_loop(api.port, requests, per_second=per_second, connections=CONNECTIONS)
    if load.statuses != {202: count}:
        raise api.child.failed(f"answered {dict(load.statuses)}")
    return load.latencies


async def _writes(dynamo: Dynamo, per_second: float) -> Sequence[float]:
    """As many operations as accepting an order has."""
    operations: list[WriteOperation] = [
        Put("orders", {"customer_key": "acme#ada", "created_at": "x"}, F("customer_key").does_not_exist()),
        Update("inventory", {"product_key": "acme#TEA", "record": "x"}, F("available").change(-1)),
    ]
    latencies: list[float] = []

    async def write(due: float) -> None:
        await dynamo.transact_write(operations)
        latencies.append(time.perf_counter() - due)

    async with asyncio.TaskGroup() as group:
        async for due in paced(round(per_second * SECONDS), per_second):
            group.create_task(write(due))
    return latencies


def _quantile(values: Sequence[float], part: float) -> float:
    """Milliseconds: the least value that so great a part does not exceed."""
    return sorted(values)[math.ceil(part * len(values)) - 1] * 1000
