"""Takes tenant, customer and acting caller out of each key and check in turn; the isolation suite must fail for each.

Each mutant replaces text that stands exactly once in its file, so that the table cannot rot unnoticed: a change of the
sources that touches a key stops the run until the table follows.
"""

from dataclasses import dataclass
from pathlib import Path

from tests.chaos.mutation import Mutant, Suite, run

SUITE = Suite(("tests/unit/api/test_isolation.py", "tests/integration/test_isolation.py"))

SHARED = Path("shared/src/order_shared")
API = Path("services/order-api/src/order_api")


@dataclass(frozen=True, slots=True)
class Removal:
    """`edits` are pairs of what stands in the file, once, and what is put in its place; in the order of the file."""

    path: Path
    what: str
    edits: tuple[tuple[str, str], ...]

    def mutant(self, root: Path) -> Mutant:
        """The one span of the file that holds all edits; raises ValueError if it is not as the table says."""
        source = (root / self.path).read_text(encoding="utf-8")
        for old, _ in self.edits:
            if source.count(old) != 1:
                raise ValueError(f"{self.path} has {old!r} {source.count(old)} times, not once: {self.what}")
        start = source.index(self.edits[0][0])
        end = source.index(self.edits[-1][0]) + len(self.edits[-1][0])
        replacement = source[start:end]
        for old, new in self.edits:
            replacement = replacement.replace(old, new)
        begin, line = len(source[:start].encode()), source.count("\n", 0, start) + 1
        return Mutant(self.path, line, begin, len(source[:end].encode()), self.what, replacement)


def removal(path: Path, what: str, *edits: tuple[str, str]) -> Removal:
    return Removal(path, what, edits)


REMOVALS = (
    removal(
        SHARED / "domain/order/models.py",
        "tenant out of the key of a customer",
        ('return f"{self.tenant}#{self.stored_id}"', 'return f"-#{self.stored_id}"'),
    ),
    removal(
        SHARED / "domain/order/models.py",
        "customer out of the key of a customer",
        ('return f"{self.tenant}#{self.stored_id}"', 'return f"{self.tenant}#-"'),
    ),
    removal(
        SHARED / "storage/order_items.py",
        "tenant out of a customer read back",
        ("return Customer.of_stored(tenant, stored_id)", 'return Customer.of_stored("-", stored_id)'),
    ),
    removal(
        SHARED / "storage/orders.py",
        "tenant out of the look-up by id",
        ("if owner is None or owner.tenant != tenant:", "if owner is None:"),
    ),
    removal(
        SHARED / "storage/orders.py",
        "tenant out of the record of a reference",
        (
            "record_key(customer, RecordKind.REFERENCE",
            'record_key(Customer(tenant="-", id=customer.id), RecordKind.REFERENCE',
        ),
    ),
    removal(
        SHARED / "storage/orders.py",
        "customer out of the record of a reference",
        (
            "record_key(customer, RecordKind.REFERENCE",
            'record_key(Customer(tenant=customer.tenant, id="-"), RecordKind.REFERENCE',
        ),
    ),
    removal(
        SHARED / "domain/idempotency.py",
        "tenant out of the key of every record",
        ('return f"{customer.key}#{kind}', 'return f"{customer.id}#{kind}'),
    ),
    removal(
        SHARED / "domain/idempotency.py",
        "customer out of the key of every record",
        ('return f"{customer.key}#{kind}', 'return f"{customer.tenant}#{kind}'),
    ),
    removal(
        API / "order/service.py",
        "tenant out of the idempotency key of an order",
        ("record_key(request.customer, ", 'record_key(Customer(tenant="-", id=request.customer.id), '),
    ),
    removal(
        API / "order/service.py",
        "customer out of the idempotency key of an order",
        ("record_key(request.customer, ", 'record_key(Customer(tenant=request.customer.tenant, id="-"), '),
    ),
    removal(
        API / "product/service.py",
        "tenant out of the idempotency key of a change of stock",
        ("record_key(caller, ", 'record_key(Customer(tenant="-", id=caller.id), '),
    ),
    removal(
        API / "product/service.py",
        "customer out of the idempotency key of a change of stock",
        ("record_key(caller, ", 'record_key(Customer(tenant=caller.tenant, id="-"), '),
    ),
    removal(
        SHARED / "storage/inventory.py",
        "tenant out of the key of a product",
        ('return f"{tenant}#{sku}"', 'return f"-#{sku}"'),
    ),
    removal(
        SHARED / "storage/inventory.py",
        "tenant out of the key of stock",
        (
            '{"product_key": product_key(tenant, sku), "record": stock_record(shard)}',
            '{"product_key": product_key("-", sku), "record": stock_record(shard)}',
        ),
    ),
    removal(
        SHARED / "storage/inventory.py",
        "tenant out of the index of products",
        (
            'HashKey("tenant", tenant) & RangeKey("sku").gt(after) if after else HashKey("tenant", tenant)',
            'HashKey("tenant", "-") & RangeKey("sku").gt(after) if after else HashKey("tenant", "-")',
        ),
        ('F("tenant").set(product.tenant)', 'F("tenant").set("-")'),
    ),
    removal(
        API / "product/catalogue.py",
        "tenant out of the cache of prices",
        ("self._cache.get((tenant, sku)", 'self._cache.get(("-", sku)'),
        ("self._cache[tenant, sku]", 'self._cache["-", sku]'),
    ),
    removal(
        API / "order/listing.py",
        "tenant out of the cursor of orders",
        ('"customer": self.customer.key,', '"customer": self.customer.id,'),
    ),
    removal(
        API / "order/listing.py",
        "customer out of the cursor of orders",
        ('"customer": self.customer.key,', '"customer": self.customer.tenant,'),
    ),
    removal(
        SHARED / "storage/tenant_keys.py",
        "tenant out of the keys under which an order is listed",
        ('return f"{tenant}#{crc32', 'return f"-#{crc32'),
        ('[f"{tenant}#{shard}"', '[f"-#{shard}"'),
    ),
    removal(
        SHARED / "storage/tenant_orders.py",
        "tenant out of the search by customer",
        ("Customer(tenant=self.tenant, id=self.customer)", 'Customer(tenant="-", id=self.customer)'),
    ),
    removal(
        SHARED / "storage/tenant_orders.py",
        "customer out of the search by customer",
        ("Customer(tenant=self.tenant, id=self.customer)", 'Customer(tenant=self.tenant, id="-")'),
    ),
    removal(
        API / "tenant_order/service.py",
        "tenant out of the cursor of a tenant's orders",
        ('"tenant": self.tenant,', '"tenant": "-",'),
    ),
    removal(
        API / "tenant_order/views.py",
        "tenant out of the list of a tenant's orders",
        ("tenant=identity_of(request).customer.tenant,", 'tenant="-",'),
    ),
    removal(
        API / "tenant_order/views.py",
        "scope out of the list of a tenant's orders: for every customer as for staff",
        ('@requires("orders:admin", ', '@requires("orders:read", '),
    ),
    removal(
        API / "event/views.py",
        "customer out of the events of a customer",
        (
            "Feed(tenant=customer.tenant, customer=customer, types=query.type)",
            "Feed(tenant=customer.tenant, types=query.type)",
        ),
    ),
    removal(
        API / "event/views.py",
        "tenant out of the events of a tenant",
        ("Feed(tenant=identity_of(request).customer.tenant, types=query.type)", 'Feed(tenant="-", types=query.type)'),
    ),
    removal(
        API / "event/views.py",
        "scope out of the events of a tenant: for every customer as for staff",
        (
            '@requires("orders:admin", InvalidPosition, PositionGone)',
            '@requires("orders:read", InvalidPosition, PositionGone)',
        ),
    ),
    removal(
        API / "event/views.py",
        "scope out of the stream of a tenant: for every customer as for staff",
        (
            '@requires("orders:admin", InvalidPosition, PositionGone, TooManyStreams)',
            '@requires("orders:read", InvalidPosition, PositionGone, TooManyStreams)',
        ),
    ),
    removal(
        API / "event/service.py",
        "tenant out of the position in the events of a customer",
        ('"customer": self.customer.key}', '"customer": self.customer.id}'),
    ),
    removal(
        API / "event/service.py",
        "customer out of the position in the events of a customer",
        ('"customer": self.customer.key}', '"customer": self.customer.tenant}'),
    ),
    removal(
        API / "event/service.py",
        "tenant out of the position in the events of a tenant",
        ('"tenant": self.tenant}', '"tenant": "-"}'),
    ),
    removal(
        API / "event/service.py",
        "customer out of the filter of events",
        ("EventFilter(customer=self.customer, ", "EventFilter(customer=None, "),
    ),
    removal(
        API / "event/stream.py",
        "customer out of the choice of streams that get an event",
        (
            "(self._streams.get(customer, ()) for customer in (None, each.event.customer))",
            "(self._streams.get(customer, ()) for customer in list(self._streams))",
        ),
        ("and stream.matching.matches(each.event)", ""),
    ),
    removal(
        API / "event/stream.py",
        "tenant out of the tails of the streams",
        ("tail = self._tails.get(tenant)", 'tail = self._tails.get("-")'),
        ("self._tails[tenant] = _Tail(", 'self._tails["-"] = _Tail('),
    ),
    removal(
        SHARED / "storage/event_log/items.py",
        "tenant out of the key of a page of events",
        ('return {"feed": tenant, "sequence": sequence}', 'return {"feed": "-", "sequence": sequence}'),
    ),
    removal(
        API / "product/service.py",
        "tenant out of the cursor of products",
        ('{"list": "products", "tenant": tenant}', '{"list": "products"}'),
    ),
    removal(
        API / "order/service.py",
        "customer out of the reading of an order: for everybody as for staff",
        ("if ADMIN_SCOPE not in identity.scopes:", "if False:"),
    ),
    removal(
        API / "middleware.py",
        "tenant out of the rate limit",
        ("self._buckets.take(identity.customer.tenant)", 'self._buckets.take("-")'),
    ),
    removal(
        API / "auth.py",
        "tenant out of the identity",
        ("Identity(Customer(tenant=tenant, id=subject)", 'Identity(Customer(tenant="-", id=subject)'),
    ),
    removal(
        API / "auth.py",
        "customer out of the identity",
        ("Identity(Customer(tenant=tenant, id=subject)", 'Identity(Customer(tenant=tenant, id="-")'),
    ),
    removal(
        API / "auth.py",
        "what separates tenant and customer, allowed in the tenant's name",
        ("or not NAME.fullmatch(tenant)", "or not tenant"),
    ),
    removal(
        SHARED / "domain/identity.py",
        "what separates tenant and customer, stored as it is",
        ('re.compile(r"[^A-Za-z0-9._:@|-]")', 're.compile(r"[^A-Za-z0-9._:@|#-]")'),
    ),
    removal(
        SHARED / "domain/identity.py",
        "the sign of encoding, stored as it is",
        ('re.compile(r"[^A-Za-z0-9._:@|-]")', 're.compile(r"[^A-Za-z0-9._:@|%-]")'),
    ),
    removal(
        API / "auth.py",
        "scope out of acting for another",
        ("if ACT_SCOPE not in self.scopes:", "if False:"),
    ),
    removal(
        API / "auth.py",
        "scope out of acting for oneself",
        ("if ACT_SCOPE not in self.scopes:", "if ACT_SCOPE not in self.scopes and subject != self.customer.id:"),
    ),
    removal(
        API / "auth.py",
        "tenant out of acting for another: that in the header, if it has one",
        (
            "customer=replace(self.customer, id=subject)",
            (
                'customer=Customer(tenant=(subject.split("#")[:-1] or [self.customer.tenant])[0], '
                'id=subject.split("#")[-1])'
            ),
        ),
    ),
    removal(
        API / "auth.py",
        "tenant out of acting for another",
        ("customer=replace(self.customer, id=subject)", 'customer=Customer(tenant="-", id=subject)'),
    ),
    removal(
        API / "auth.py",
        "customer out of acting for another: keys and references stay the caller's",
        ("customer=replace(self.customer, id=subject)", "customer=self.customer"),
    ),
    removal(
        API / "auth.py",
        "caller out of acting for another",
        ("actor=self.customer.id)", "actor=subject)"),
    ),
    removal(
        API / "order/views.py",
        "caller out of an order placed for another",
        ("placed_by=identity.actor,", ""),
    ),
    removal(
        SHARED / "storage/order_items.py",
        "caller out of the item of an order placed for another",
        (
            '"placed_by": None if order.placed_by is None else encode_subject(order.placed_by),',
            '"placed_by": None,',
        ),
    ),
    removal(
        SHARED / "domain/webhook/models.py",
        "tenant out of the key of a webhook endpoint and of its deliveries",
        ('return f"{tenant}/{endpoint_id}"', 'return f"-/{endpoint_id}"'),
    ),
    removal(
        SHARED / "storage/webhooks/items.py",
        "tenant out of the directory of webhook endpoints",
        ('{"endpoint": f"tenant#{tenant}", "sequence": 0}', '{"endpoint": "tenant#-", "sequence": 0}'),
    ),
    removal(
        API / "webhook/service.py",
        "tenant out of the idempotency key of a webhook endpoint",
        (
            "record_key(caller, RecordKind.ENDPOINT",
            'record_key(Customer(tenant="-", id=caller.id), RecordKind.ENDPOINT',
        ),
    ),
    removal(
        API / "webhook/service.py",
        "customer out of the idempotency key of a webhook endpoint",
        (
            "record_key(caller, RecordKind.ENDPOINT",
            'record_key(Customer(tenant=caller.tenant, id="-"), RecordKind.ENDPOINT',
        ),
    ),
    removal(
        API / "webhook/service.py",
        "tenant out of the cursor of webhook endpoints",
        ('"webhook_endpoints", "tenant": tenant}', '"webhook_endpoints"}'),
    ),
    removal(
        API / "dependencies.py",
        "header of the customer ignored if it is empty",
        ("    if not named:", "    if not any(named):"),
    ),
    removal(
        API / "dependencies.py",
        "second header of the customer ignored",
        ("if len(named) > 1 or not", "if not"),
    ),
)


def find_mutants(root: Path) -> list[Mutant]:
    """All of the table; raises ValueError if the sources under `root` are not as it says."""
    return [each.mutant(root) for each in REMOVALS]


if __name__ == "__main__":
    run("tests.chaos.tenant_mutants", __doc__ or "", find_mutants, SUITE)
