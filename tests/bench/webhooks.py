"""How long our share of a webhook takes, and whether dead and slow receivers delay a healthy one.

A notifier runs over a DynamoDB in memory that evaluates every condition. Changes of orders come at a steady rate, and
the delay of an event is the time from its append to its request at the receiver, on the clock of this machine. In each
round two notifiers are measured one after the other: one delivers to a healthy receiver only, the other one to the
same receiver, to one that never responds, and to one that responds after seconds.
"""

import asyncio
import base64
import math
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median

from aiohttp import web

from order_shared.domain.webhook.secret_box import FernetBox
from order_shared.domain.webhook.signing import new_secret
from tests.bench.figures import Figure, Say
from tests.bench.machines import Lab, StubControl, open_lab
from tests.waiting import eventually

ALONE, BESIDE = "healthy receiver alone", "beside a dead and a slow one"
RATE = 50.0
"""Orders per second, with two events each."""
ORDERS = 400
SLOW_SECONDS = 5.0
HOST = "127.0.0.1"
QUEUE = "local-order-changes"
KEY = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


@dataclass
class Receivers:
    """A healthy, a dead and a slow receiver. `arrived` has the time of the first request with each event."""

    port: int = 0
    arrived: dict[str, float] = field(default_factory=dict)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, name: str) -> str:
        return f"http://{HOST}:{self.port}/{name}"

    async def healthy(self, request: web.Request) -> web.Response:
        self.arrived.setdefault(request.headers["webhook-id"], time.time())
        await request.read()
        return web.Response(status=204)

    async def dead(self, _: web.Request) -> web.Response:
        await self.done.wait()
        return web.Response(status=500)

    async def slow(self, _: web.Request) -> web.Response:
        await asyncio.wait([asyncio.create_task(self.done.wait())], timeout=SLOW_SECONDS)
        return web.Response(status=204)


@asynccontextmanager
async def open_receivers() -> AsyncIterator[Receivers]:
    receivers = Receivers()
    app = web.Application()
    app.add_routes([web.post(f"/{name}", getattr(receivers, name)) for name in ("healthy", "dead", "slow")])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    receivers.port = runner.addresses[0][1]
    try:
        yield receivers
    finally:
        receivers.done.set()
        await runner.cleanup()


async def measure(rounds: int, say: Say) -> list[Figure]:
    delays: dict[str, list[list[float]]] = {ALONE: [], BESIDE: []}
    with open_lab("webhooks") as lab:
        async with open_receivers() as receivers:
            names = {ALONE: ["healthy"], BESIDE: ["healthy", "dead", "slow"]}
            stubs = {subject: _start(lab, number) for number, subject in enumerate(names)}
            for number in range(rounds + 1):
                for subject, stub in stubs.items():
                    found = await _deliver(stub, receivers, names[subject])
                    if number:  # the first one is a warm-up
                        delays[subject].append(found)
                        say(f"webhooks, round {number}: {subject}: {_percentiles(found)}")
    return [
        figure
        for subject, runs in delays.items()
        for figure in (
            Figure(subject, "delay_median", "ms", tuple(1000 * median(run) for run in runs)),
            Figure(subject, "delay_p99", "ms", tuple(1000 * _percentile(run, 99) for run in runs)),
        )
    ]


def _start(lab: Lab, number: int) -> StubControl:
    stub = lab.start_stub(f"tables-{number}", "tests.bench.webhook_stub")
    settings = {"ORDER_WEBHOOK_KEYS": KEY, "ORDER_WEBHOOK_LOCAL_RECEIVERS": "true"}
    lab.start_service("order_notifier", f"notifier-{number}", AWS_ENDPOINT_URL=stub.url, **settings)
    return stub


async def _deliver(stub: StubControl, receivers: Receivers, names: Sequence[str]) -> list[float]:
    """Return the delay of each event at the healthy receiver, in seconds."""
    tenant = f"tenant-{uuid.uuid4().hex[:8]}"
    sealed = FernetBox([KEY]).seal(new_secret())
    await stub.tell("Endpoints", tenant=tenant, urls=[receivers.url(name) for name in names], sealed=sealed)
    await stub.tell("Orders", queue=QUEUE, tenant=tenant, count=ORDERS)
    receivers.arrived.clear()
    await stub.tell("Trickle", queue=QUEUE, count=ORDERS, per_second=RATE)
    await eventually(lambda: len(receivers.arrived) >= 2 * ORDERS, "all events", patience=30)
    readable = await stub.tell("Readable")
    return [receivers.arrived[event_id] - at for event_id, at in readable.items() if event_id in receivers.arrived]


def _percentile(values: Sequence[float], percent: float) -> float:
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def _percentiles(values: Sequence[float]) -> str:
    return f"median {1000 * median(values):.1f} ms, p99 {1000 * _percentile(values, 99):.1f} ms"
