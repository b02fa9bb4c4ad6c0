"""Mutants that the simulation need not find, each with its reason, and functions that it does not run."""

from collections.abc import Mapping

NOT_SIMULATED: Mapping[str, str] = {
    "service.OrderService.get_when": "waiting for an order changes nothing; unit/api/test_http_waiting.py",
    "service.OrderService.list_orders": "a list changes nothing; unit/api/test_http_listing.py",
    "sweeper.Sweeper.report": "reports only; unit/processor/test_outbox_report.py",
    "sweeper.Sweeper.count_parked": "reports only; unit/processor/test_outbox_report.py",
    "sweeper.Sweeper._count_messages": "decides only how fast a sweep adds messages; simulation/test_scenarios.py",
    "consumer.Consumer._observe": "measures only; unit/shared/test_consumer_metrics.py",
}

ONE_RELEASE = (
    "the simulation has items of one release only; e2e/test_last_release.py, processor/test_events_versions.py"
)
IN_THE_SAME_WRITE = "the write that ends an order deletes its own record, so no other order can have it by then"
BY_THE_KEY = "two orders of one customer never share an instant, so the key names the order already"
OVERLAP = "status, fence and lease owner change together: with the other two, an older read can cause double work only"
NO_READ = "without it, an order is read before its first attempt: a read more, and the same steps"
STALE_READ = "an attempt that starts from the event is refused by its condition if it is too old, and reads the order"

EXEMPT: Mapping[str, str] = {
    "idempotency_records: always  RECORD_ABSENT #2": IN_THE_SAME_WRITE,
    "idempotency_records: never   RECORD_ABSENT": "every order of this release has the record that it deletes",
    'idempotency_records: always  F("subject").equals(subject)': IN_THE_SAME_WRITE,
    "inventory: always  VERSIONS.known()": ONE_RELEASE,
    'item_schema: always  F("item_version").does_not_exist()': ONE_RELEASE,
    'item_schema: always  F("item_version").lte(self.readable)': ONE_RELEASE,
    "order_items: always  VERSIONS.known()": ONE_RELEASE,
    "order_items: always  OF_KNOWN_VERSION": ONE_RELEASE,
    "orders: always  OF_KNOWN_VERSION": ONE_RELEASE,
    "orders: always  OF_KNOWN_VERSION #2": ONE_RELEASE,
    'order_items: always  FIELDS["order_id"].equals(order.order_id)': BY_THE_KEY,
    'orders: always  F("order_id").equals(requested.order_id)': BY_THE_KEY,
    'order_items: always  FIELDS["status"].equals(str(order.status))': OVERLAP,
    'order_items: always  FIELDS["fence"].equals(order.fence)': OVERLAP,
    'order_items: always  FIELDS["lease_owner"].equals(order.lease.owner)': OVERLAP,
    "flows.place: always  event.data.paid or not delivery.is_first": NO_READ,
    "flows.place: without operand  not delivery.is_first": STALE_READ,
}
"""Reason by mutant, as `python -m tests.simulation.mutants --list` names it."""
