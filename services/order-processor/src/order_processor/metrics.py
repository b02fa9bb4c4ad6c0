"""Metrics of the processor, besides those that both services have."""

from order_processor.payments.gateway import FailureReason
from order_shared.messaging.consumer.metrics import ConsumerMetrics
from order_shared.messaging.queue import Depth
from order_shared.runtime.metrics import Metrics


class ProcessorMetrics(Metrics):
    def __init__(self) -> None:
        super().__init__()
        self.consumer = ConsumerMetrics(self.registry)
        self.open_oldest = self._gauge(
            "order_open_oldest_seconds", "Age of the oldest order that the looks of the last minute found overdue."
        )
        self.unsent_oldest = self._gauge(
            "order_unsent_oldest_seconds", "Age of the oldest of them whose message SQS did not take."
        )
        self.parked = self._gauge("order_parked", "Open orders that wait for an operator.")
        self.sweeps = self._counter("order_sweeps", "Messages sent again by a sweep.")
        self._payment_failures = self._counter(
            "order_payment_failures",
            "Payment calls that settled nothing, by reason; `refused` is a fault of ours.",
            ["reason"],
        )
        for reason in FailureReason:
            self._payment_failures.labels(reason)  # a counter that begins with its first failure has no rate
        self.reported = self._gauge(
            "order_outbox_report_timestamp_seconds", "When the outbox was last looked through and counted."
        )
        self._queued = self._gauge("order_queue_messages", "Messages that wait, by queue.", ["queue"])
        self._in_flight = self._gauge(
            "order_queue_in_flight_messages",
            "Messages of the queue that are received or postponed, by queue.",
            ["queue"],
        )

    def payment_failed(self, reason: str) -> None:
        self._payment_failures.labels(reason).inc()

    def queues_counted(self, depth: Depth) -> None:
        """Set the depths of the queues. They are not exposed before the first count: 0 would mean none."""
        self._queued.labels("work").set(depth.work)
        self._queued.labels("dead").set(depth.dead)
        self._in_flight.labels("work").set(depth.in_flight)
