"""Tables and queues: names, limits, and an import with the standard library only."""

import json
import subprocess
import sys

from order_shared.tables import (
    DEFAULT_OPEN_SHARDS,
    EVENTS,
    IDEMPOTENCY,
    MAX_STOCK_SHARDS,
    OPEN_SHARDS,
    ORDERS,
    TABLES,
    WEBHOOKS,
    AttributeType,
    Index,
    Key,
    TableNames,
    order_queue,
)

LOADED_BY_TABLES = """
import json, sys
before = set(sys.modules)
import order_shared.tables
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


def test_there_are_six_tables_by_these_keys() -> None:
    assert {table.name: (table.hash_key.name, table.range_key and table.range_key.name) for table in TABLES} == {
        "orders": ("customer_key", "created_at"),
        "inventory": ("product_key", "record"),
        "idempotency": ("key", None),
        "operations": ("subject", "at"),
        "events": ("feed", "sequence"),
        "webhooks": ("endpoint", "sequence"),
    }


def test_each_name_starts_with_the_prefix() -> None:
    names = TableNames.with_prefix("uat-blue-")
    assert names == TableNames(
        orders="uat-blue-orders",
        inventory="uat-blue-inventory",
        idempotency="uat-blue-idempotency",
        operations="uat-blue-operations",
        events="uat-blue-events",
        webhooks="uat-blue-webhooks",
    )


def test_the_dead_letter_queue_is_named_after_the_work_queue() -> None:
    queue = order_queue("uat-")
    assert (queue.name, queue.dead_letter_name, queue.max_receive_count) == ("uat-orders", "uat-orders-dead", 50)
    assert queue.retention_seconds == 1_209_600


def test_due_endpoints_are_found_by_time() -> None:
    assert WEBHOOKS.indexes == (Index("due_endpoints", Key("due_shard"), Key("due_at", AttributeType.NUMBER)),)


def test_orders_are_found_by_the_keys_of_four_indexes() -> None:
    assert ORDERS.indexes == (
        Index("open_orders", Key("open_shard"), Key("due_at", AttributeType.NUMBER), include=("sweeps",)),
        Index("orders_by_id", Key("order_id")),
        Index("tenant_orders", Key("tenant_shard"), Key("order_id"), include=("status",)),
        Index("orders_by_reference", Key("tenant_shard"), Key("reference_and_id")),
    )


def test_idempotency_records_events_and_deliveries_expire() -> None:
    assert {table.name: table.ttl_attribute for table in TABLES if table.ttl_attribute} == {
        IDEMPOTENCY.name: "expires_at",
        EVENTS.name: "expires_at",
        WEBHOOKS.name: "expires_at",
    }


def test_a_product_has_at_most_16_shards() -> None:
    """A transaction that brings the stock of one together names them all."""
    assert MAX_STOCK_SHARDS <= 16


def test_each_key_of_the_outbox_has_one_among_the_keys_of_the_last_release() -> None:
    assert DEFAULT_OPEN_SHARDS == 16, "the last release reads no others"
    assert OPEN_SHARDS % DEFAULT_OPEN_SHARDS == 0


def test_reading_the_tables_loads_only_the_standard_library() -> None:
    run = subprocess.run([sys.executable, "-c", LOADED_BY_TABLES], capture_output=True, check=True, text=True)
    assert set(json.loads(run.stdout)) - sys.stdlib_module_names == {"order_shared"}
