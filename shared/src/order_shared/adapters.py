"""What both services stand on, opened together for the life of a process and closed together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aioboto3

from order_shared.aws.dynamodb import open_dynamo
from order_shared.aws.retries import RetryPolicy
from order_shared.aws.sqs import open_sqs
from order_shared.config import Settings
from order_shared.inventory.repository import DynamoInventoryRepository, InventoryRepository
from order_shared.messaging.queue import Queue
from order_shared.operations import AuditTrail, DynamoAuditTrail
from order_shared.order.repository import DynamoOrderRepository, OrderRepository
from order_shared.telemetry import Metrics

if TYPE_CHECKING:
    from order_shared.tracing.spans import Tracing


@dataclass(frozen=True)
class Adapters:
    orders: OrderRepository
    inventory: InventoryRepository
    queue: Queue
    audit: AuditTrail


@asynccontextmanager
async def open_adapters(
    settings: Settings,
    metrics: Metrics,
    *,
    deadline: float,
    pollers: int = 0,
    session: aioboto3.Session | None = None,
    tracing: "Tracing | None" = None,
) -> AsyncIterator[Adapters]:
    """Nothing is connected until it is first used. `deadline` bounds each storage call, retries included."""
    session = session or aioboto3.Session()
    retries = RetryPolicy(deadline=deadline, on_retry=metrics.dynamodb_retried)
    async with (
        open_dynamo(
            session, region=settings.aws_region, endpoint=settings.dynamodb_endpoint, retries=retries, tracing=tracing
        ) as dynamo,
        open_sqs(
            session,
            name=settings.queue_name,
            dead_letter_name=settings.dlq_name,
            region=settings.aws_region,
            endpoint=settings.sqs_endpoint,
            pollers=pollers,
            on_retry=metrics.sqs_retried,
        ) as queue,
    ):
        yield Adapters(
            orders=DynamoOrderRepository(dynamo, settings.tables),
            inventory=DynamoInventoryRepository(dynamo, settings.tables),
            queue=queue,
            audit=DynamoAuditTrail(dynamo, settings.tables.operations),
        )
