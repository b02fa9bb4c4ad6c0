"""Adapters that every service needs, opened and closed together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from aws_json_client import BotocoreCredentials, CredentialsProvider, RetryPolicy, RetryQuota
from order_shared.aws.connect import connect_by
from order_shared.aws.dynamodb import open_dynamo
from order_shared.aws.sqs import open_sqs
from order_shared.messaging.queue import Queue
from order_shared.runtime.config import Settings
from order_shared.runtime.metrics import Metrics
from order_shared.runtime.tracing.port import NO_TRACING, Tracing
from order_shared.storage.event_log.append import DynamoEventLogWriter, EventLogWriter
from order_shared.storage.event_log.read import DynamoEventLogReader, EventLogReader
from order_shared.storage.inventory import DynamoInventoryRepository, InventoryRepository
from order_shared.storage.orders import DynamoOrderRepository, OrderRepository
from order_shared.storage.tenant_orders import DynamoTenantOrders, TenantOrders
from order_shared.storage.webhooks.endpoints import DynamoEndpointRepository, EndpointRepository
from order_shared.storage.webhooks.leases import LEASE, DynamoEndpointLeases, EndpointLeases


@dataclass(frozen=True)
class Adapters:
    orders: OrderRepository
    inventory: InventoryRepository
    queue: Queue
    tenant_orders: TenantOrders
    event_reader: EventLogReader
    event_writer: EventLogWriter
    endpoints: EndpointRepository
    endpoint_leases: EndpointLeases
    former_message_types: bool = False
    """True if messages have the types that the last release reads."""


@asynccontextmanager
async def open_adapters(
    settings: Settings,
    metrics: Metrics,
    *,
    deadline: float,
    pollers: int = 0,
    credentials: CredentialsProvider | None = None,
    tracing: Tracing = NO_TRACING,
    lease: timedelta = LEASE,
) -> AsyncIterator[Adapters]:
    """Open the adapters until the end of the block. Connections are made at first use.

    `deadline` limits each storage call including its retries, in seconds. `pollers` is the number of connections for
    long polls; with 0, polls use the same pool as other requests. `lease` is the duration of the leases of endpoints.
    """
    credentials = credentials or BotocoreCredentials()
    connect = connect_by(settings.aws_client)
    quota = RetryQuota()  # for the process: DynamoDB and SQS share it
    retries = RetryPolicy(deadline=deadline, on_retry=metrics.dynamodb_retried, quota=quota)
    async with (
        open_dynamo(
            credentials,
            region=settings.aws_region,
            endpoint=settings.dynamodb_endpoint,
            retries=retries,
            decorate=tracing.transport,
            connect=connect,
        ) as dynamo,
        open_sqs(
            credentials,
            name=settings.queue_name,
            dead_letter_name=settings.dlq_name,
            region=settings.aws_region,
            endpoint=settings.sqs_endpoint,
            pollers=pollers,
            on_retry=metrics.sqs_retried,
            quota=quota,
            connect=connect,
        ) as queue,
    ):
        yield Adapters(
            orders=DynamoOrderRepository(dynamo, settings.tables, open_shards=settings.open_shards),
            inventory=DynamoInventoryRepository(
                dynamo, settings.tables, increases_counted=settings.stock_increases_counted
            ),
            queue=queue,
            tenant_orders=DynamoTenantOrders(dynamo, settings.tables),
            event_reader=DynamoEventLogReader(dynamo, settings.tables),
            event_writer=DynamoEventLogWriter(dynamo, settings.tables),
            endpoints=DynamoEndpointRepository(dynamo, settings.tables),
            endpoint_leases=DynamoEndpointLeases(dynamo, settings.tables, duration=lease),
            former_message_types=settings.former_message_types,
        )
