"""Indexes that were released: none changes under its name.

DynamoDB deletes such an index and builds it anew, and its readers fail meanwhile. docs/evolution.md has the way: a new
index under a new name, readers that move to it, and then the old one goes.
"""

from order_shared.tables import INVENTORY, ORDERS, TABLES, WEBHOOKS, Index, Table

RELEASED: dict[str, dict[str, tuple[str, str | None, tuple[str, ...]]]] = {
    ORDERS.name: {
        "open_orders": ("open_shard", "due_at", ("sweeps",)),
        "orders_by_id": ("order_id", None, ()),
        "tenant_orders": ("tenant_shard", "order_id", ("status",)),
        "orders_by_reference": ("tenant_shard", "reference_and_id", ()),
    },
    INVENTORY.name: {
        "products_by_tenant": (
            "tenant",
            "sku",
            ("name", "unit_price", "currency", "stock_shards", "updated_at", "item_version"),
        ),
    },
    WEBHOOKS.name: {"due_endpoints": ("due_shard", "due_at", ())},
}
"""Each index that an environment may have, by table and name: hash key, range key, attributes. A line is added with a
new index and never changed; it stays when the index goes, so that the name does not come back as another one."""


def definition(index: Index) -> tuple[str, str | None, tuple[str, ...]]:
    return index.hash_key.name, index.range_key.name if index.range_key else None, index.include


def changed(table: Table) -> list[str]:
    """Return the indexes of a table that are not as they were released."""
    released = RELEASED.get(table.name, {})
    return [index.name for index in table.indexes if released.get(index.name) != definition(index)]


def test_no_index_changes_under_its_name() -> None:
    """Row 22."""
    assert {table.name: changed(table) for table in TABLES if changed(table)} == {}


def test_another_definition_is_found() -> None:
    """Row 22. Of a key or of an attribute, and of an index that nobody has recorded."""
    first, second, *_ = ORDERS.indexes
    for other in (
        Index(second.name, hash_key=first.hash_key),
        Index(second.name, hash_key=second.hash_key, include=("status",)),
        Index("unrecorded", hash_key=second.hash_key),
    ):
        table = Table(ORDERS.name, ORDERS.hash_key, ORDERS.range_key, indexes=(first, other))
        assert changed(table) == [other.name]
