"""SIGTERM to an API that a load balancer still sends requests to, until it notices: no request fails.

`make test` runs it with a lame duck of 4 s and a balancer that notices after 2. The size of AWS, 20 s and 10:

    pytest tests/e2e/test_lame_duck.py --lame-duck-seconds 20
"""

import asyncio
import signal
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import httpx2
import pytest

from devstack.address import LOOPBACK
from devstack.processes import Child, ProcessGroup
from devstack.stack import Stack
from order_shared.naming import ORDER_API
from tests.e2e.conftest import Shop
from tests.waiting import PATIENCE_SECONDS, eventually

REQUESTS_A_SECOND = 50
HEALTHY, STOPPING = 200, 503


@dataclass(eq=False)
class Target:
    http: httpx2.AsyncClient
    """Its pool keeps connections open, as a load balancer does."""
    serving: int = 0
    """Last status of `/serving`."""
    stopped_at: float | None = None
    is_registered: bool = True


class Balancer:
    """Sends requests to its targets in turn, each once. Takes one out `notice_seconds` after its `/serving` is 503."""

    def __init__(self, *targets: Target, notice_seconds: float) -> None:
        self.targets = targets
        self._notice_seconds = notice_seconds
        self._turn = count()

    async def check(self) -> None:
        """Check the targets until it is cancelled."""
        while True:
            for target in self.targets:
                if target.is_registered:
                    await self._check(target)
            await asyncio.sleep(self._notice_seconds / 20)

    async def _check(self, target: Target) -> None:
        target.serving = (await target.http.get("/serving")).status_code
        if target.serving == STOPPING:
            target.stopped_at = target.stopped_at or time.monotonic()
            target.is_registered = time.monotonic() - target.stopped_at < self._notice_seconds

    async def send(self, request: httpx2.Request) -> tuple[Target, httpx2.Response]:
        registered = [target for target in self.targets if target.is_registered]
        target = registered[next(self._turn) % len(registered)]
        request.url = target.http.base_url.join(request.url.path)
        return target, await target.http.send(request)


@asynccontextmanager
async def balancer(*addresses: str, notice_seconds: float) -> AsyncIterator[Balancer]:
    """Yield a balancer whose targets are healthy."""
    clients = [httpx2.AsyncClient(base_url=address, timeout=PATIENCE_SECONDS) for address in addresses]
    balancer = Balancer(*map(Target, clients), notice_seconds=notice_seconds)
    checks = asyncio.create_task(balancer.check())
    try:
        await eventually(lambda: checks.done() or {each.serving for each in balancer.targets} == {HEALTHY}, "health")
        yield balancer
        assert not checks.done(), checks.exception()
    finally:
        checks.cancel()
        await asyncio.gather(checks, return_exceptions=True)
        for client in clients:
            await client.aclose()


class Customers:
    """Requests at a steady rate, each counted by its result."""

    def __init__(self, shop: Shop, balancer: Balancer, leaving: Target) -> None:
        self._headers = shop.headers()
        self._balancer = balancer
        self._leaving = leaving
        self.results: Counter[str] = Counter()
        self.served_while_leaving = 0

    async def ask(self) -> None:
        """Send requests until it is cancelled, and then wait for every response."""
        due = time.monotonic()
        async with asyncio.TaskGroup() as requests:
            for number in count():
                requests.create_task(self._ask_once(number))
                due += 1 / REQUESTS_A_SECOND
                try:
                    await asyncio.sleep(due - time.monotonic())
                except asyncio.CancelledError:
                    break

    async def _ask_once(self, number: int) -> None:
        was_stopping = self._leaving.serving == STOPPING
        try:
            target, response = await self._balancer.send(self._request(number))
        except httpx2.TransportError as error:
            self.results[repr(error)] += 1
            return
        self.results[str(response.status_code)] += 1
        if target is self._leaving and was_stopping:
            self.served_while_leaving += 1
            assert response.headers["Connection"] == "close"

    def _request(self, number: int) -> httpx2.Request:
        """Return an order every fifth time, and a read otherwise."""
        if number % 5:
            return httpx2.Request("GET", "http://api/v1/products/TEA", headers=self._headers)
        headers = {**self._headers, "Idempotency-Key": uuid.uuid4().hex}
        body = {"lines": [{"sku": "TEA", "quantity": 1}]}
        return httpx2.Request("POST", "http://api/v1/orders", json=body, headers=headers)


def start_api(group: ProcessGroup, stack: Stack, lame_duck_seconds: float) -> tuple[Child, str]:
    """Start another API of the stack, with a lame duck. Return it and its address."""
    settings = {"ORDER_HOST": LOOPBACK, "ORDER_PORT": "0", "ORDER_LAME_DUCK_SECONDS": str(lame_duck_seconds)}
    child = group.start("leaving-api", [stack.python, "-m", ORDER_API.module], {**stack.environment, **settings})
    return child, child.wait_for_address()


async def test_no_request_fails_while_the_balancer_has_not_noticed(
    stack: Stack, shop: Shop, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seconds: float = request.config.getoption("--lame-duck-seconds")
    await shop.stock("TEA", 10_000)
    with ProcessGroup(tmp_path) as group:
        api, address = await asyncio.to_thread(start_api, group, stack, seconds)
        async with balancer(address, stack.api, notice_seconds=seconds / 2) as between:
            leaving = between.targets[0]
            customers = Customers(shop, between, leaving)
            asking = asyncio.create_task(customers.ask())
            await eventually(lambda: customers.results.total() >= REQUESTS_A_SECOND, "a second of requests")
            api.process.send_signal(signal.SIGTERM)
            await eventually(lambda: api.process.poll() is not None, "its end")
            asking.cancel()
            await asking
        assert api.process.returncode == 0
    assert customers.results.keys() == {"200", "202"}, f"failed: {customers.results}"
    assert customers.results.total() > REQUESTS_A_SECOND * seconds / 2
    assert customers.served_while_leaving > 0
    assert not leaving.is_registered
