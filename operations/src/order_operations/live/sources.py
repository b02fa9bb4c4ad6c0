"""Sources of a snapshot: tasks, queues and storage, read concurrently. A failed source does not affect the others."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import httpx2

from aws_json_client import SQS, ResponseError, open_client
from aws_json_client.proxies import proxy_for
from order_operations.live import last_orders
from order_operations.live.exposition import Sample
from order_operations.live.outbox import Outbox, OutboxReader
from order_operations.live.queues import Depth, Queues
from order_operations.live.tasks import Task
from order_operations.target import Target
from order_shared.aws.dynamodb import Dynamo
from order_shared.domain.clock import utc_now
from order_shared.domain.order.models import Customer, Order
from order_shared.storage.orders import DynamoOrderRepository, OrderRepository
from order_shared.tables import TableNames

T = TypeVar("T")

PATIENCE_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Down:
    """Failure of a source: a short code, and the text of the error."""

    fault: str
    detail: str


@dataclass(frozen=True)
class Stored:
    outbox: Outbox
    last_orders: Sequence[Order]


@dataclass(frozen=True)
class Look:
    """Snapshot of all sources at one time."""

    at: datetime
    tasks: Mapping[Task, Sample | Down]
    queues: Depth | Down
    stored: Stored | Down


class Storage:
    """Source of stored orders.

    The last orders are those of `customer` if given. Otherwise they are found by a scan if the table is `small`, or
    else among the open orders.
    """

    def __init__(self, dynamo: Dynamo, tables: TableNames, *, customer: Customer | None, small: bool) -> None:
        self._dynamo = dynamo
        self._orders: OrderRepository = DynamoOrderRepository(dynamo, tables)
        self._outbox = OutboxReader(self._orders)
        self._table = tables.orders
        self._customer = customer
        self._small = small

    async def read(self) -> Stored:
        """Return the outbox and the last orders. Raises StorageUnavailable."""
        outbox = await self._outbox.read()
        return Stored(outbox, await self._last(outbox))

    async def _last(self, outbox: Outbox) -> list[Order]:
        if self._customer is not None:
            return await last_orders.of_customer(self._orders, self._customer)
        if self._small:
            return await last_orders.of_small_table(self._dynamo, self._table)
        return await last_orders.of_open(self._orders, [*outbox.swept, *outbox.parked])


@dataclass(frozen=True)
class Sources:
    http: httpx2.AsyncClient
    tasks: Sequence[Task]
    read_queues: Callable[[], Awaitable[Depth]]
    read_storage: Callable[[], Awaitable[Stored]]

    async def look(self) -> Look:
        """Return a snapshot. A source that does not respond within PATIENCE_SECONDS is Down."""
        samples, queues, stored = await asyncio.gather(
            asyncio.gather(*(_result_or_down(self._sample(task)) for task in self.tasks)),
            _result_or_down(self.read_queues()),
            _result_or_down(self.read_storage()),
        )
        return Look(utc_now(), dict(zip(self.tasks, samples, strict=True)), queues, stored)

    async def _sample(self, task: Task) -> Sample:
        response = await self.http.get(task.metrics_url)
        return Sample.parse(response.raise_for_status().text, time.monotonic())


async def _result_or_down(work: Awaitable[T]) -> T | Down:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await work
    except Exception as error:  # noqa: BLE001 - any error of one source must not hide the others
        return Down(fault=_fault(error), detail=str(error))


def _fault(error: Exception) -> str:
    if isinstance(error, httpx2.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    if isinstance(error, ResponseError):
        return error.code
    return type(error).__name__


@asynccontextmanager
async def open_sources(
    target: Target, tasks: Sequence[Task], *, customer: Customer | None, small: bool
) -> AsyncIterator[Sources]:
    """Open the sources of an environment until the end of the block. Connections are made at first use.

    The last orders are those of `customer` if given. `small` permits a scan of the orders table.
    """
    settings = target.settings
    async with (
        httpx2.AsyncClient(
            timeout=PATIENCE_SECONDS,
            transport=httpx2.AsyncHTTPTransport(proxy=None),
            mounts={
                task.address: httpx2.AsyncHTTPTransport(proxy=proxy)
                for task in tasks
                if (proxy := proxy_for(task.address))
            },
        ) as http,
        open_client(
            SQS, credentials=target.credentials, region=settings.aws_region, endpoint=settings.sqs_endpoint
        ) as sqs,
        target.open_tables(deadline=PATIENCE_SECONDS) as dynamo,
    ):
        storage = Storage(dynamo, settings.tables, customer=customer, small=small)
        yield Sources(http, tasks, Queues(sqs, settings).depth, storage.read)
