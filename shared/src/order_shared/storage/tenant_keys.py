"""Keys of the indexes `tenant_orders` and `orders_by_reference`, in which the orders of a tenant are listed.

    tenant_shard      acme#7                  tenant and shard; the shard is a hash of the order id
    reference_and_id  PO-2026-0042␟ord_019a…  reference as stored, and order id; only orders with a reference have it

`␟` is the unit separator, U+001F. References have no control characters, so the keys of one reference are exactly those
that begin with it and the separator, and they are sorted by order id.

An index with the tenant alone as hash key would take 1,000 write units per second for all of the tenant's orders.
"""

from zlib import crc32

from order_shared.tables import TENANT_SHARDS

SEPARATOR = "\x1f"


def tenant_shard_of(tenant: str, order_id: str) -> str:
    """Return the hash key of an order in both indexes. It never changes."""
    return f"{tenant}#{crc32(order_id.encode()) % TENANT_SHARDS}"


def listing_attributes(tenant: str, order_id: str, reference: str | None) -> dict[str, str]:
    """Return the attributes by which both indexes list an order."""
    attributes = {"tenant_shard": tenant_shard_of(tenant, order_id)}
    return attributes if reference is None else attributes | {"reference_and_id": reference_and_id(reference, order_id)}


def tenant_shards(tenant: str) -> list[str]:
    """Return all hash keys of a tenant."""
    return [f"{tenant}#{shard}" for shard in range(TENANT_SHARDS)]


def reference_and_id(reference: str, order_id: str) -> str:
    """Return the range key of an order in `orders_by_reference`, where orders with one reference are sorted by time."""
    return f"{reference}{SEPARATOR}{order_id}"


def id_of(reference_key: str) -> str:
    """Return the order id in a range key of `orders_by_reference`."""
    return reference_key.rpartition(SEPARATOR)[2]
