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
    "no release of a run writes a version that another does not know; integration/test_migrate.py, "
    "e2e/test_last_release.py, unit/processor/test_message_versions.py"
)
MIGRATED_MEANWHILE = (
    "a migration between the two requests of a cancellation is rare; integration/test_migrate.py -k read_the_timeline"
)
IN_THE_SAME_WRITE = "the write that ends an order deletes its own record, so no other order can have it by then"
BY_THE_KEY = "two orders of one customer never share an instant, so the key names the order already"
OVERLAP = "status, fence and lease owner change together: with the other two, an older read can cause double work only"
SPEED = (
    "decides only how fast a sweep adds messages; unit/shared/test_consumer.py -k backlog, simulation/test_scenarios.py"
)
ENDS_EARLY = (
    "decides only how soon a sweep ends; unit/processor/test_sweeper.py -k 'look_ends or sends_no_more or stop_ends'"
)
HOLDS_BACK = "decides only whether a sweep adds one message more; unit/processor/test_sweeper.py -k holds_back"
NEXT_SWEEP = "ends one sweep, and the next goes on; unit/processor/test_sweeper.py -k 'keep_the_others or silent_end'"
WAKES_ANYWAY = "a handling that ends wakes the poller as well; unit/shared/test_consumer.py -k waits_for_a_permit"
ROTATION = "decides only which keys a sweep reads next, and a run has few keys; unit/shared/test_outbox.py"
LOGS_ONLY = "changes only what is logged or traced; unit/shared/test_logging.py, unit/shared/test_tracing.py"
MEASURES = "measures only; unit/shared/test_consumer_metrics.py"
MEASURES_TIMELINES = "measures only; unit/notifier/test_notifier.py -k timeline"
NO_SUCH_EVENT = "every event that can be read has a flow; unit/processor/test_handlers.py"
HAS_TOKEN = "only an order that must be paid is reserved, and its token stays until it ends"
MOVES_NOTHING = "a line whose shard has enough moves nothing: one read more"
READS_IN_VAIN = "in an outage of the tables one read more is tried, and fails too"
REPLACED_ANYWAY = "a cancelled payment is replaced either way: the undo of one is a step more"
PARKED_ANYWAY = "the undo finds the payment paid, and parks the order for the same reason"
HAS_DETAIL = "every reason of a dead letter has a detail; SQS would refuse an empty one; unit/shared/test_consumer.py"
PARKED_MEANWHILE = (
    "parking for an amount keeps the due time: a sweep that read it before adds one message, which does nothing"
)
NEVER_CANCELLED = "nobody cancels the result of an offered event"
ENDS_AT_ONCE = "a cancelled heartbeat sends nothing more; waiting for it orders steps within one turn of the loop"
CANCELLED_AT_ONCE = "a cancelled handling awaits nothing more: waiting for it orders steps within one turn of the loop"
NO_PERMIT_NEEDED = "no poller takes a permit after `stop`"
ONE_TOKEN = "a repeated write has the same token and succeeds; unit/api/test_http_orders.py -k response_was_lost"
LAST_RELEASE = (
    "the digest of a request without metadata differs from the last release's only, and a run has one release"
)
DELETED_LATER = (
    "a message whose deletion waits at the end of the drain time is delivered again, and its order needs no step"
)
ANOTHER_ROUND = "a cancellation of any version takes another round if the version changes meanwhile"
LOST_ONCE = "a lost delivery is not extended again"
IN_VAIN = "a sweep of what was due before 1970 finds nothing: reads only"
OF_PUBLISHER = "a run neither fills the buffer nor ends with full batches; unit/shared/test_publisher.py"
FEW_CHANGES = (
    "an order loses its status `pending`, and then what makes it cancellable: the third round always has an answer"
)
FIVE_CLASHES = "five orders of one customer would share five instants; unit/api/test_http_orders.py -k every_instant"
WAITS_BETWEEN = "the wait between two deletes of one message only spares the queue; unit/shared/test_consumer.py"
PACED = "decides only when an order that has to wait for the call rate is due; unit/processor/test_rescheduling.py"
NO_READ = "without it, an order is read before its first attempt: a read more, and the same steps"
STALE_READ = "an attempt that starts from the event is refused by its condition if it is too old, and reads the order"

EVERY_APPEND = (
    "every append moves the head and adds a page, so one of the two conditions is enough; integration/test_event_log.py"
)
NO_EXPIRY = (
    "no event of a run expires, and none is missing; integration/test_event_log.py -k 'expired or deleted or retention'"
)
NO_BEYOND = "no reader of a run has a position after the end; integration/test_event_log.py -k beyond_the_end"
NO_NEWER_ORDER = "no release of a run writes an order that another cannot read; unit/notifier/test_appender.py -k newer"
NO_DELETED_ORDER = "no order of a run is deleted; unit/notifier/test_appender.py -k does_not_exist_any_more"
ALONE = (
    "messages of a failed append are delivered again, and decide anew; "
    "unit/notifier/test_appender.py -k 'fails_alone or cannot_be_appended or outage'"
)
EMPTY_IS_FALSE = "nothing is falsy as well: no order waits, or no event is missing"
CONDITIONS_ONLY = "a run cancels transactions for failed conditions only, and the client repeats those with a conflict"
UNRETRIEVED = "asyncio logs an error that nobody retrieves once its future is collected; unit/notifier/test_appender.py"
GAP_READ = "the same pages are found by other reads: a read more or less"
PAGE_BY_PAGE = "a read takes one page of each query: reads more often, and the reader gets the same events"
OVERLAPPING = (
    "no pages of a run overlap: only those of a log that failed over may; simulation/test_log_reads.py -k overlaps"
)
MISSED_PAGE = (
    "a query of a run seldom outlasts a transaction and shows the next page before the oldest one; "
    "simulation/test_log_reads.py -k oldest_event"
)
MORE_EXAMINED = "one read examines more events, and the reader gets the same ones"

EXEMPT: Mapping[str, str] = {
    "append: always  ABSENT #2": EVERY_APPEND,
    "append: always  ABSENT #3": EVERY_APPEND,
    'append: always  F("next").equals(head.next)': EVERY_APPEND,
    "append.DynamoEventLogWriter._missing: never  first >= len(order.history)": EMPTY_IS_FALSE,
    "append.DynamoEventLogWriter.append: skipped  failed_conditions(error)": CONDITIONS_ONLY,
    "append.DynamoEventLogWriter.begin: skipped  failed_conditions(error)": CONDITIONS_ONLY,
    "appender.Appender._run: always  len(batch) < len(waiting)": EMPTY_IS_FALSE,
    "appender.Appender._append: always  orders": NO_DELETED_ORDER,
    "appender.Appender._append: never  isinstance(order, UnreadableOrder)": NO_NEWER_ORDER,
    "appender.Appender._append: always  not outcome.done()": NO_NEWER_ORDER,
    "appender.Appender._append: skipped  "
    "self._on_timelines(sum(not order.stores_history for order in orders))": MEASURES_TIMELINES,
    "appender.Appender._append: skipped  "
    "batch[Change(order.customer, order.created_at)].set_exception(ChangedOrderUnreadable(order": NO_NEWER_ORDER,
    "appender.Appender._append: never  len(batch) > 1 and not isinstance(error, StorageUnavailable)": ALONE,
    "appender.Appender._append: always  len(batch) > 1 and not isinstance(error, StorageUnavailable)": ALONE,
    "appender.Appender._append: without operand  len(batch) > 1": ALONE,
    "appender.Appender._append: without operand  not isinstance(error, StorageUnavailable)": ALONE,
    "appender.Appender.append: skipped  outcome.add_done_callback(_retrieve)": UNRETRIEVED,
    "appender._retrieve: never  not outcome.cancelled()": UNRETRIEVED,
    "appender._retrieve: always  not outcome.cancelled()": UNRETRIEVED,
    "appender._retrieve: skipped  outcome.exception()": UNRETRIEVED,
    "read.PositionExpired.__init__: skipped  "
    'super().__init__(f"no events can be read from this position: {reason}")': LOGS_ONLY,
    "read.DynamoEventLogReader.earliest: always  head is None": NO_EXPIRY,
    "read.DynamoEventLogReader.earliest: never  oldest is None": NO_EXPIRY,
    "read.DynamoEventLogReader._pages: never  page.is_expired(now)": NO_EXPIRY,
    "read.DynamoEventLogReader._pages: always  not pages or pages[0].sequence != at": GAP_READ,
    "read.DynamoEventLogReader._pages: without operand  following and page.sequence != expected": OVERLAPPING,
    "read.DynamoEventLogReader._pages: without operand  page.sequence != expected": PAGE_BY_PAGE,
    "read.DynamoEventLogReader._oldest_page: never  below and not below[0].is_expired(now)": GAP_READ,
    "read.DynamoEventLogReader._oldest_page: always  before is None": MISSED_PAGE,
    "read.DynamoEventLogReader._page_at_gap: dropped  raise PositionExpired(ExpiredReason.RETENTION)": NO_EXPIRY,
    "read.committed_page: never  item is None": NO_EXPIRY,
    "read.committed_page: without operand  page is None": NO_EXPIRY,
    "read.committed_page: without operand  page.is_expired(now)": NO_EXPIRY,
    "read.committed_page: never  page is None or page.is_expired(now)": NO_EXPIRY,
    "read.DynamoEventLogReader._oldest_page: without operand  not below[0].is_expired(now)": NO_EXPIRY,
    "read.DynamoEventLogReader._oldest_page: without operand  oldest is not None": NO_EXPIRY,
    "read.DynamoEventLogReader._oldest_page: never  before is None": NO_EXPIRY,
    "read._check: dropped  raise PositionExpired(ExpiredReason.BEYOND_END)": NO_BEYOND,
    "read._check: never  position.sequence > end": NO_BEYOND,
    "read.DynamoEventLogReader._page_at_gap: never  page is None": NO_EXPIRY,
    "read.DynamoEventLogReader._oldest_page: without operand  not first[0].is_expired(now)": NO_EXPIRY,
    "read.DynamoEventLogReader._oldest_page: never  first and not first[0].is_expired(now)": GAP_READ,
    "read.DynamoEventLogReader._oldest_page: never  found": GAP_READ,
    "read.DynamoEventLogReader.read: without operand  at - first >= MAX_EXAMINED": MORE_EXAMINED,
    "idempotency_records: always  RECORD_ABSENT #2": IN_THE_SAME_WRITE,
    "idempotency_records: never   RECORD_ABSENT": "every order of this release has the record that it deletes",
    'idempotency_records: always  F("subject").equals(subject)': IN_THE_SAME_WRITE,
    "inventory: always  VERSIONS.known()": ONE_RELEASE,
    'item_schema: always  F("item_version").does_not_exist()': ONE_RELEASE,
    'item_schema: always  F("item_version").lte(self.newest if newest is None else newest)': ONE_RELEASE,
    "order_items: always  VERSIONS.known()": ONE_RELEASE,
    'order_items: always  F("item_version").equals(ITEM_VERSION)': ONE_RELEASE,
    "order_items: always  STORES_HISTORY": ONE_RELEASE,
    "orders: always  form_condition(requested)": MIGRATED_MEANWHILE,
    "orders: always  OF_KNOWN_VERSION": ONE_RELEASE,
    'order_items: always  FIELDS["order_id"].equals(order.order_id)': BY_THE_KEY,
    'orders: always  F("order_id").equals(requested.order_id)': BY_THE_KEY,
    'order_items: always  FIELDS["status"].equals(str(order.status))': OVERLAP,
    'order_items: always  FIELDS["fence"].equals(order.fence)': OVERLAP,
    'order_items: always  FIELDS["lease_owner"].equals(order.lease.owner)': OVERLAP,
    "flows.place: always  message.data.paid or not delivery.is_first": NO_READ,
    "flows.place: without operand  not delivery.is_first": STALE_READ,
    'orders: always  F("reference").equals(before.reference)': ONE_RELEASE,
    'orders: always  F("open_shard").equals(entry.open_shard)': PARKED_MEANWHILE,
    "flows.OrderWorkflow.run: always  error.contended": READS_IN_VAIN,
    "flows.OrderWorkflow._pay: never  token is None": HAS_TOKEN,
    "flows.OrderWorkflow._pay: dropped  "
    'raise Unprocessable("no_payment_token", f"order {order.order_id} is reserved, but has no p': HAS_TOKEN,
    "flows.OrderWorkflow._pay: without operand  payment.status is not PaymentStatus.CANCELLED": REPLACED_ANYWAY,
    "flows.OrderWorkflow._pay: never  payment.status is PaymentStatus.SUCCEEDED": PARKED_ANYWAY,
    "flows.OrderWorkflow._rescheduled: always  error.retry_after is None": PACED,
    "flows.OrderWorkflow._short_line: never  line.sku not in error.skus": MOVES_NOTHING,
    "handlers.make_handler: never  trace_id := trace_id_of(message.traceparent)": LOGS_ONLY,
    "handlers.make_handler: always  trace_id := trace_id_of(message.traceparent)": LOGS_ONLY,
    "handlers.make_handler: never  flow is None": NO_SUCH_EVENT,
    'handlers.make_handler: dropped  raise Unprocessable("unhandled_type", message.type)': NO_SUCH_EVENT,
    "sweeper.Sweeper.sweep: never  self._sweeps % COUNT_EVERY == 0": SPEED,
    "sweeper.Sweeper.sweep: always  self._sweeps % COUNT_EVERY == 0": SPEED,
    "sweeper.Sweeper.sweep: skipped  await self._count_messages()": SPEED,
    "sweeper.Sweeper.sweep: never  "
    "RepublishResult.REJECTED in results or self._stopping.is_set() or sent >= allowed": ENDS_EARLY,
    "sweeper.Sweeper.sweep: without operand  RepublishResult.REJECTED in results": ENDS_EARLY,
    "sweeper.Sweeper.sweep: without operand  self._stopping.is_set()": ENDS_EARLY,
    "sweeper.Sweeper.sweep: without operand  sent >= allowed": ENDS_EARLY,
    "sweeper.Sweeper.sweep: always  "
    "RepublishResult.REJECTED in results or self._stopping.is_set() or sent >= allowed": ENDS_EARLY,
    "sweeper.Sweeper.sweep: always  before is None": HOLDS_BACK,
    "sweeper.Sweeper._republish: except removed  pass": NEXT_SWEEP,
    "sweeper.Sweeper._republish: except removed  "
    "self._oldest = max(self._oldest, self._age(entry.created_at))": NEXT_SWEEP,
    "sweeper.Sweeper._republish: except removed  "
    "self._oldest = max(self._oldest, self._age(entry.created_at)) #2": NEXT_SWEEP,
    "consumer.Consumer.stop: skipped  self._permits.release()": WAKES_ANYWAY,
    "sweeper.Sweeper.sweep: skipped  self._swept_keys.was_read(shard, found=bool(entries))": ROTATION,
    "sweeper.Sweeper._try_to_republish: skipped  self.backlog.added()": SPEED,
    "consumer.Consumer.__init__: skipped  metrics.in_flight.set_function(lambda: len(self._in_flight))": MEASURES,
    "consumer.Consumer.__init__: without operand  backlog": SPEED,
    "consumer.Consumer.__init__: without operand  Backlog()": SPEED,
    "consumer.Consumer._poll: skipped  self._observe(messages)": SPEED,
    "consumer.Consumer._process: never  outcome in FINISHED": SPEED,
    "consumer.Consumer._process: always  outcome in FINISHED": SPEED,
    "consumer.Consumer._process: skipped  self._backlog.finished()": SPEED,
    "consumer.Consumer.run: skipped  await asyncio.wait([heartbeat])": ENDS_AT_ONCE,
    "settlement.Settlement.acknowledge: skipped  "
    "await asyncio.sleep(full_jitter(attempt, base=0.1, cap=1.0))": WAITS_BETWEEN,
    "consumer.Consumer._poll: skipped  self._permits.release() #2": NO_PERMIT_NEEDED,
    "consumer.Consumer._finish: skipped  await asyncio.gather(*unfinished, return_exceptions=True)": CANCELLED_AT_ONCE,
    "consumer.Consumer._release: skipped  await self._settlement.close()": DELETED_LATER,
    "settlement.Settlement.close: skipped  "
    "await asyncio.gather(self._deletes.close(), self._visibility_changes.close())": DELETED_LATER,
    "heartbeat.Heartbeat._extend: without operand  delivery.lost": LOST_ONCE,
    "sweeper.Sweeper.sweep: never  before == 0": IN_VAIN,
    'publisher.Publisher.offer: skipped  self._settle(message, on_settled, "buffer_full")': OF_PUBLISHER,
    "publisher.Publisher.close: skipped  await self._batcher.close()": OF_PUBLISHER,
    "publisher.Publisher.send: skipped  self._settle(message, on_settled, None)": LOGS_ONLY,
    "service.PlaceOrder.fingerprint: without operand  None": LAST_RELEASE,
    "service.OrderService.cancel: never  versions is None": ANOTHER_ROUND,
    "service.OrderService._place: always  order is None or earlier.subject != order.order_id": ONE_TOKEN,
    "service.OrderService._place: dropped  "
    'raise StorageUnavailable("too many concurrent requests with one idempotency key")': FIVE_CLASHES,
    "service.OrderService.cancel: dropped  "
    'raise StorageUnavailable(f"order {order_id} was changed by others in all {CANCEL_ROUNDS} a': FEW_CHANGES,
    'settlement._plain: without operand  "-"': HAS_DETAIL,
    "publisher.Publisher.offer: never  done.cancelled()": NEVER_CANCELLED,
    "publisher.Publisher._settle: skipped  on_settled(error)": LOGS_ONLY,
}
"""Reason by mutant, as `python -m tests.simulation.mutants --list` names it."""
