"""What accepting an order costs: ours with token, idempotency and outbox, against the endpoint that people write by
hand, and against the least that FastAPI can do. Goals P1 and P2.

All stand on the same canned AWS, each in one process, and are asked over the same connections. Of ours, every tenth
order comes with a new token (`CUSTOMERS`); that each order has a new one is a subject of its own. What the canned
AWS itself can do is measured too, from this process: it must not be what limits.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from aws_json_client import DYNAMODB
from aws_json_client.endpoints import resolve
from aws_json_client.http import Request, open_http
from devstack.issuer import Issuer
from tests.bench.figures import Figure, Say
from tests.bench.load import closed_loop
from tests.bench.machines import REGION, Lab, Machine, open_lab
from tests.bench.orders import TWO_LINES, order_requests

ORDERS = 2000
WRITES = 10_000
CUSTOMERS = 200
CONNECTIONS = 32
OURS, NEW_TOKENS, USUAL, ECHO, AWS = "ours", "ours, every token new", "usual endpoint", "FastAPI echo", "canned AWS"


@dataclass(frozen=True)
class Subject:
    name: str
    machine: Machine
    customers: int


async def measure(rounds: int, say: Say) -> list[Figure]:
    """CPU milliseconds for an order, and orders per second of wall time, of each subject."""
    with open_lab() as lab:
        ours = lab.start_service("order_api")
        subjects = [
            Subject(OURS, ours, CUSTOMERS),
            Subject(NEW_TOKENS, ours, ORDERS),
            Subject(USUAL, lab.start_web_peer("usual", "usual:app", {"ORDERS_TABLE": "orders"}), CUSTOMERS),
            Subject(ECHO, lab.start_web_peer("echo", "echo:app"), CUSTOMERS),
        ]
        for subject in subjects:
            await _round(lab, subject)
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in (OURS, NEW_TOKENS, USUAL, ECHO, AWS)}
        for number in range(1, rounds + 1):
            for subject in subjects:
                taken[subject.name].append(await _round(lab, subject))
                _tell(say, number, subject.name, taken[subject.name][-1])
            taken[AWS].append(await _write_to(lab))
            _tell(say, number, AWS, taken[AWS][-1])
    return [
        figure
        for name, values in taken.items()
        for figure in (
            Figure(name, "cpu_per_order", "ms", tuple(cpu for cpu, _ in values)),
            Figure(name, "throughput", "orders/s", tuple(rate for _, rate in values)),
        )
    ]


def _tell(say: Say, number: int, name: str, values: tuple[float, float]) -> None:
    say(f"accept, round {number}: {name:<24}{values[0]:8.3f} ms CPU/order {values[1]:8.0f} orders/s")


async def _round(lab: Lab, subject: Subject) -> tuple[float, float]:
    return await accept_orders(lab.issuer, subject.machine, customers=subject.customers)


async def accept_orders(issuer: Issuer, api: Machine, *, customers: int = CUSTOMERS) -> tuple[float, float]:
    """Place ORDERS orders; return the milliseconds of CPU per order, and the orders per second."""
    requests = order_requests(issuer, "acme", [TWO_LINES] * ORDERS, customers=customers)
    before = api.cpu_seconds()
    load = await closed_loop(api.port, requests, connections=CONNECTIONS)
    used = api.cpu_seconds() - before
    if load.statuses != Counter({202: ORDERS}):
        raise api.child.failed(f"answered {dict(load.statuses)}")
    return used * 1000 / ORDERS, ORDERS / load.seconds


async def _write_to(lab: Lab) -> tuple[float, float]:
    """The CPU is that of the canned AWS; an order here is one write."""
    address = resolve(DYNAMODB, REGION, lab.aws.url)
    write = Request({"x-amz-target": "DynamoDB_20120810.TransactWriteItems"}, b"{}")
    async with open_http(address, timeout=10.0, connections=CONNECTIONS) as send:

        async def write_each(writes: Iterator[Request]) -> None:
            for each in writes:
                await send(each)

        before, started = lab.aws.machine.cpu_seconds(), time.perf_counter()
        left = iter([write] * WRITES)
        await asyncio.gather(*(write_each(left) for _ in range(CONNECTIONS)))
        seconds = time.perf_counter() - started
    return (lab.aws.machine.cpu_seconds() - before) * 1000 / WRITES, WRITES / seconds
