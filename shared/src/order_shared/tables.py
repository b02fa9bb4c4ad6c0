"""Definitions of all tables, indexes and queues. Standard library only: infrastructure imports this module too."""

from dataclasses import dataclass
from enum import StrEnum

OPEN_SHARDS = 128
"""Number of hash keys of the `open_orders` index; every process reads all of them. DynamoDB limits each key to 1,000
write units per second, and throttles writes to the base table if a key exceeds the limit."""

DEFAULT_OPEN_SHARDS = 16
"""Number of hash keys that are written unless `ORDER_OPEN_SHARDS` is 128. The last release reads only these keys."""

TENANT_SHARDS = 16
"""Number of hash keys over which the orders of a tenant are spread in the indexes `tenant_orders` and
`orders_by_reference`. A list reads all of them. The number never changes, because stored orders keep their key."""

MAX_STOCK_SHARDS = 16

WEBHOOK_SHARDS = 4
"""Number of hash keys of the index `due_endpoints`. Every notifier reads all of them each second. Only endpoints with
failed deliveries change in it."""

MAX_RECEIVE_COUNT = 50
"""Receives after which SQS itself moves a message to the dead-letter queue.

This is a last resort: the consumer dead-letters an unprocessable message at its first delivery.
"""

MESSAGE_RETENTION_SECONDS = 14 * 24 * 3600  # SQS's maximum


class AttributeType(StrEnum):
    STRING = "S"
    NUMBER = "N"


@dataclass(frozen=True)
class Key:
    name: str
    type: AttributeType = AttributeType.STRING


@dataclass(frozen=True)
class Index:
    """A global secondary index. `include` lists the projected attributes other than the keys."""

    name: str
    hash_key: Key
    range_key: Key | None = None
    include: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    name: str
    hash_key: Key
    range_key: Key | None = None
    indexes: tuple[Index, ...] = ()
    ttl_attribute: str | None = None
    streamed: bool = False
    """True if the table has a stream of its changes."""


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A standard queue and its dead-letter queue."""

    name: str
    dead_letter_name: str
    max_receive_count: int = MAX_RECEIVE_COUNT
    retention_seconds: int = MESSAGE_RETENTION_SECONDS


OPEN_ORDERS_INDEX = "open_orders"
ORDERS_BY_ID_INDEX = "orders_by_id"
TENANT_ORDERS_INDEX = "tenant_orders"
ORDERS_BY_REFERENCE_INDEX = "orders_by_reference"
PRODUCTS_BY_TENANT_INDEX = "products_by_tenant"
DUE_ENDPOINTS_INDEX = "due_endpoints"

ORDERS = Table(
    name="orders",
    hash_key=Key("customer_key"),
    range_key=Key("created_at"),
    indexes=(
        Index(
            OPEN_ORDERS_INDEX,
            hash_key=Key("open_shard"),
            range_key=Key("due_at", AttributeType.NUMBER),
            include=("sweeps",),
        ),
        Index(ORDERS_BY_ID_INDEX, hash_key=Key("order_id")),
        Index(TENANT_ORDERS_INDEX, hash_key=Key("tenant_shard"), range_key=Key("order_id"), include=("status",)),
        Index(ORDERS_BY_REFERENCE_INDEX, hash_key=Key("tenant_shard"), range_key=Key("reference_and_id")),
    ),
    streamed=True,
)

INVENTORY = Table(
    name="inventory",
    hash_key=Key("product_key"),
    range_key=Key("record"),
    indexes=(
        Index(
            PRODUCTS_BY_TENANT_INDEX,
            hash_key=Key("tenant"),
            range_key=Key("sku"),
            include=("name", "unit_price", "currency", "stock_shards", "updated_at", "item_version"),
        ),
    ),
)

IDEMPOTENCY = Table(name="idempotency", hash_key=Key("key"), ttl_attribute="expires_at")

OPERATIONS = Table(name="operations", hash_key=Key("subject"), range_key=Key("at"))
"""Table of the audit trail: each operator's action, its subject, time and reason."""

EVENTS = Table(
    name="events", hash_key=Key("feed"), range_key=Key("sequence", AttributeType.NUMBER), ttl_attribute="expires_at"
)
"""Table of the order events: the log of each tenant. `order_shared.storage.event_log` describes its items."""

WEBHOOKS = Table(
    name="webhooks",
    hash_key=Key("endpoint"),
    range_key=Key("sequence", AttributeType.NUMBER),
    indexes=(Index(DUE_ENDPOINTS_INDEX, hash_key=Key("due_shard"), range_key=Key("due_at", AttributeType.NUMBER)),),
    ttl_attribute="expires_at",
)
"""Table of the webhook endpoints and their deliveries. `order_shared.storage.webhooks.items` describes its items."""

TABLES = (ORDERS, INVENTORY, IDEMPOTENCY, OPERATIONS, EVENTS, WEBHOOKS)


@dataclass(frozen=True, kw_only=True)
class TableNames:
    """Table names of one environment."""

    orders: str
    inventory: str
    idempotency: str
    operations: str
    events: str
    webhooks: str

    @classmethod
    def with_prefix(cls, prefix: str) -> "TableNames":
        return cls(**{table.name: prefix + table.name for table in TABLES})


@dataclass(frozen=True, kw_only=True)
class ChangeFeed:
    """Path of the changes of a table to a queue: stream, EventBridge pipe, SNS topic, queue.

    A message names the key of the changed item, and never contains the item. Other queues can subscribe to the topic.
    """

    table: Table
    pipe: str
    topic: str
    queue: Queue


def order_queue(prefix: str) -> Queue:
    return Queue(name=f"{prefix}orders", dead_letter_name=f"{prefix}orders-dead")


def order_changes(prefix: str) -> ChangeFeed:
    name = f"{prefix}order-changes"
    return ChangeFeed(table=ORDERS, pipe=name, topic=name, queue=Queue(name=name, dead_letter_name=f"{name}-dead"))
