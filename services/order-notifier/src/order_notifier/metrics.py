"""Metrics of the notifier, in addition to those that all services have."""

from order_notifier.webhook.metrics import WebhookMetrics
from order_shared.messaging.consumer.metrics import ConsumerMetrics
from order_shared.runtime.metrics import Metrics

APPEND_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class NotifierMetrics(Metrics):
    def __init__(self) -> None:
        super().__init__()
        self.consumer = ConsumerMetrics(self.registry)
        self._events = self._counter("order_events", "Events appended to the logs.")
        self._append_events = self._histogram("order_append_events", "Events per append.", buckets=APPEND_BUCKETS)
        self.timelines = self._counter(
            "order_timeline_orders", "Changed orders without a stored history, whose events come from their timeline."
        )

        self.webhooks = WebhookMetrics(self.registry)

    def appended(self, events: int) -> None:
        if events:
            self._events.inc(events)
            self._append_events.observe(events)
