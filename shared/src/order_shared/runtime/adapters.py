"""What both services stand on, opened together for the life of a process and closed together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aioboto3

from order_shared.aws.dynamodb import open_dynamo
from order_shared.aws.retries import RetryPolicy, new_quota
from order_shared.aws.sqs import open_sqs
from order_shared.messaging.queue import Queue
from order_shared.runtime.config import Settings
from order_shared.runtime.metrics import Metrics
from order_shared.runtime.tracing.port import NO_TRACING, Tracing
from order_shared.storage.inventory import DynamoInventoryRepository, InventoryRepository
from order_shared.storage.orders import DynamoOrderRepository, OrderRepository


@dataclass(frozen=True)
class Adapters:
    orders: OrderRepository
    inventory: InventoryRepository
    queue: Queue


@asynccontextmanager
async def open_adapters(
    settings: Settings,
    metrics: Metrics,
    *,
    deadline: float,
    pollers: int = 0,
    session: aioboto3.Session | None = None,
    tracing: Tracing = NO_TRACING,
) -> AsyncIterator[Adapters]:
    """Nothing is connected until it is first used. `deadline` bounds each storage call, retries included."""
    session = session or aioboto3.Session()
    quota = new_quota()  # of the process: what DynamoDB has used up, SQS has not
    retries = RetryPolicy(deadline=deadline, on_retry=metrics.dynamodb_retried, quota=quota)
    async with (
        open_dynamo(
            session,
            region=settings.aws_region,
            endpoint=settings.dynamodb_endpoint,
            retries=retries,
            decorate=tracing.transport,
        ) as dynamo,
        open_sqs(
            session,
            name=settings.queue_name,
            dead_letter_name=settings.dlq_name,
            region=settings.aws_region,
            endpoint=settings.sqs_endpoint,
            pollers=pollers,
            on_retry=metrics.sqs_retried,
            quota=quota,
        ) as queue,
    ):
        yield Adapters(
            orders=DynamoOrderRepository(dynamo, settings.tables),
            inventory=DynamoInventoryRepository(dynamo, settings.tables),
            queue=queue,
        )
