"""Everything that is asked at each look, all at once; what does not answer keeps nothing else from being seen."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import httpx
from botocore.exceptions import ClientError

from order_operations.live import last_orders
from order_operations.live.exposition import Sample
from order_operations.live.outbox import Outbox, read_outbox
from order_operations.live.queues import Depth, Queues
from order_operations.live.tasks import Task
from order_operations.target import Target
from order_shared.aws.dynamodb import Dynamo, open_dynamo
from order_shared.aws.retries import RetryPolicy
from order_shared.domain.clock import utc_now
from order_shared.domain.order.models import Customer, Order
from order_shared.storage.orders import DynamoOrderRepository, OrderRepository
from order_shared.tables import TableNames

T = TypeVar("T")

PATIENCE_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Down:
    """What came instead of an answer: in a word, and in the words of whoever said it."""

    fault: str
    detail: str


@dataclass(frozen=True)
class Stored:
    outbox: Outbox
    last_orders: Sequence[Order]


@dataclass(frozen=True)
class Look:
    """What was seen at one moment."""

    at: datetime
    tasks: Mapping[Task, Sample | Down]
    queues: Depth | Down
    stored: Stored | Down


class Storage:
    """The last orders are the customer's if one is given, all that there are if the table is small, else open ones."""

    def __init__(self, dynamo: Dynamo, tables: TableNames, *, customer: Customer | None, small: bool) -> None:
        self._dynamo = dynamo
        self._orders: OrderRepository = DynamoOrderRepository(dynamo, tables)
        self._table = tables.orders
        self._customer = customer
        self._small = small

    async def read(self) -> Stored:
        """Raises StorageUnavailable."""
        outbox = await read_outbox(self._orders)
        return Stored(outbox, await self._last(outbox))

    async def _last(self, outbox: Outbox) -> list[Order]:
        if self._customer is not None:
            return await last_orders.of_customer(self._orders, self._customer)
        if self._small:
            return await last_orders.of_small_table(self._dynamo, self._table)
        return await last_orders.of_open(self._orders, [*outbox.swept, *outbox.parked])


@dataclass(frozen=True)
class Sources:
    http: httpx.AsyncClient
    tasks: Sequence[Task]
    read_queues: Callable[[], Awaitable[Depth]]
    read_storage: Callable[[], Awaitable[Stored]]

    async def look(self) -> Look:
        """Takes PATIENCE_SECONDS at most."""
        samples, queues, stored = await asyncio.gather(
            asyncio.gather(*(_answer_of(self._sample(task)) for task in self.tasks)),
            _answer_of(self.read_queues()),
            _answer_of(self.read_storage()),
        )
        return Look(utc_now(), dict(zip(self.tasks, samples, strict=True)), queues, stored)

    async def _sample(self, task: Task) -> Sample:
        response = await self.http.get(task.metrics_url)
        return Sample.parse(response.raise_for_status().text, time.monotonic())


async def _answer_of(work: Awaitable[T]) -> T | Down:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await work
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one source, the others are still shown
        return Down(fault=_fault(error), detail=str(error))


def _fault(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code", "unknown")
    return type(error).__name__


@asynccontextmanager
async def open_sources(
    target: Target, tasks: Sequence[Task], *, customer: Customer | None, small: bool
) -> AsyncIterator[Sources]:
    """Nothing is connected until the first look. `small`: the orders table may be read, not only queried."""
    settings = target.settings
    async with (
        httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http,
        target.session.client("sqs", region_name=settings.aws_region, endpoint_url=settings.sqs_endpoint) as sqs,
        open_dynamo(
            target.session,
            region=settings.aws_region,
            endpoint=settings.dynamodb_endpoint,
            retries=RetryPolicy(deadline=PATIENCE_SECONDS),
        ) as dynamo,
    ):
        storage = Storage(dynamo, settings.tables, customer=customer, small=small)
        yield Sources(http, tasks, Queues(sqs, settings).depth, storage.read)
