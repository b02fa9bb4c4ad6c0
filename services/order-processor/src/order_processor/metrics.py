"""Metrics of the processor, besides those that both services have."""

from prometheus_client import Counter, Gauge

from order_processor.payments.gateway import FailureReason
from order_shared.messaging.consumer.metrics import ConsumerMetrics
from order_shared.messaging.queue import Depth
from order_shared.runtime.metrics import Metrics


class ProcessorMetrics(Metrics):
    def __init__(self) -> None:
        super().__init__()
        self.consumer = ConsumerMetrics(self.registry)
        self.open_oldest = Gauge(
            "order_open_oldest_seconds",
            "Age of the oldest order that the looks of the last minute found overdue.",
            registry=self.registry,
        )
        self.unsent_oldest = Gauge(
            "order_unsent_oldest_seconds",
            "Age of the oldest of them whose message SQS did not take.",
            registry=self.registry,
        )
        self.parked = Gauge("order_parked", "Open orders that wait for an operator.", registry=self.registry)
        self.sweeps = Counter("order_sweeps", "Messages sent again by a sweep.", registry=self.registry)
        self._payment_failures = Counter(
            "order_payment_failures",
            "Payment calls that settled nothing, by reason; `refused` is a fault of ours.",
            ["reason"],
            registry=self.registry,
        )
        for reason in FailureReason:
            self._payment_failures.labels(reason)  # a counter that begins with its first failure has no rate
        self.reported = Gauge(
            "order_outbox_report_timestamp_seconds",
            "When the outbox was last looked through and counted.",
            registry=self.registry,
        )
        self._queued = Gauge("order_queue_messages", "Messages that wait, by queue.", ["queue"], registry=self.registry)

    def payment_failed(self, reason: str) -> None:
        self._payment_failures.labels(reason).inc()

    def queues_counted(self, depth: Depth) -> None:
        """Set the depths of the queues. They are not exposed before the first count: 0 would mean none."""
        self._queued.labels("work").set(depth.work)
        self._queued.labels("dead").set(depth.dead)
