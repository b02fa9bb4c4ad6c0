"""A world: some APIs and processors over tables and a queue of their own, all they say passing through a proxy."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp

from aws_json_client import RetryPolicy
from devstack.issuer import Issuer
from devstack.payments.process import start_payments
from devstack.provision import provision
from devstack.stack import REGION, Stack, local_credentials, local_session
from order_shared.aws.dynamodb import open_dynamo
from tests.chaos.books import Books
from tests.chaos.proxy import Proxy, open_proxy
from tests.chaos.recorder import Recorder
from tests.chaos.services import Service

API = "api"
PROCESSOR = "processor"
NOTIFIER = "notifier"
TWO_OF_EACH = ("api-1", "api-2", "processor-1", "processor-2")
SLOW_SECONDS = 1.0  # for the sandbox's slow card
VISIBILITY_SECONDS = 4  # longer than any retry is postponed, so that a heartbeat can be told from a postponement

IMPATIENT = {
    "ORDER_SWEEP_BASE_SECONDS": "1",
    "ORDER_SWEEP_INTERVAL_SECONDS": "0.5",
    "ORDER_LEASE_SECONDS": "2",
    "ORDER_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS),
    "ORDER_RETRY_CAP_SECONDS": "2",
    "ORDER_STORAGE_DEADLINE_SECONDS": "5",
}
"""Settings under which what is overdue is found soon, and owners who are alive are overtaken."""

PATIENT = RetryPolicy(deadline=60, max_attempts=20)
"""Of the checker's own reads: a busy machine must not end the run."""


class World:
    def __init__(
        self,
        services: Mapping[str, Service],
        proxy: Proxy,
        recorder: Recorder,
        books: Books,
        issuer: Issuer,
        http: aiohttp.ClientSession,
    ) -> None:
        self.proxy = proxy
        self.recorder = recorder
        self.books = books
        self.issuer = issuer
        self.http = http
        self._services = services

    @property
    def processes(self) -> list[str]:
        return list(self._services)

    @property
    def apis(self) -> list[str]:
        """Base URLs; that of one that was killed is among them until it has been started again."""
        return [service.url for name, service in self._services.items() if name.startswith(API)]

    def kill(self, name: str) -> None:
        self._services[name].kill()

    def pause(self, name: str) -> None:
        self._services[name].pause()

    def resume(self, name: str) -> None:
        self._services[name].resume()

    @property
    def dead(self) -> list[str]:
        return [name for name, service in self._services.items() if not service.is_alive]

    async def revive(self) -> None:
        """Starts whatever does not run."""
        await asyncio.gather(*(self._services[name].start(self.http) for name in self.dead))


@asynccontextmanager
async def open_world(
    stack: Stack,
    prefix: str,
    processes: Collection[str] = TWO_OF_EACH,
    *,
    settings: Mapping[str, str] | None = None,
    records: bool = False,
) -> AsyncIterator[World]:
    """The world with its processes running. They are killed at the end: how they stop is tested elsewhere.

    `records`: every write walks the model. Writes then pass one at a time, which a crowd of customers would feel.
    """
    base = float({**IMPATIENT, **(settings or {})}["ORDER_SWEEP_BASE_SECONDS"])
    recorder = Recorder(sweep_base_seconds=base, visibility_seconds=VISIBILITY_SECONDS)
    await asyncio.to_thread(provision, local_session(), endpoint=stack.aws, prefix=prefix)
    _, bank = await asyncio.to_thread(start_payments, stack.group, slow_seconds=SLOW_SECONDS, name=f"{prefix}payments")
    async with AsyncExitStack() as opened:
        proxy = await opened.enter_async_context(open_proxy(recorder if records else None))
        http = await opened.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        dynamo = await opened.enter_async_context(
            open_dynamo(local_credentials(), region=REGION, endpoint=stack.aws, retries=PATIENT)
        )
        services = {
            name: Service(
                name.partition("-")[0],
                {
                    **stack.environment,
                    **IMPATIENT,
                    **(settings or {}),
                    "ORDER_TABLE_PREFIX": prefix,
                    "AWS_ENDPOINT_URL": await proxy.listen(name, stack.aws),
                    "ORDER_PAYMENT_API_BASE": await proxy.listen(name, bank),
                },
                stack.group.logs / f"{prefix}{name}.log",
            )
            for name in processes
        }
        sqs = local_session().client("sqs", endpoint_url=stack.aws)
        world = World(services, proxy, recorder, Books(dynamo, sqs, prefix, bank, http), stack.issuer, http)
        try:
            await world.revive()
            yield world
        finally:
            for name in processes:
                world.kill(name)
