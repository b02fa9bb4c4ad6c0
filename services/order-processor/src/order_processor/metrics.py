"""Metrics of the processor, in addition to those that both services have."""

from order_processor.payments.gateway import FailureReason
from order_shared.messaging.consumer.metrics import ConsumerMetrics
from order_shared.messaging.queue import Depth
from order_shared.runtime.metrics import Metrics


class ProcessorMetrics(Metrics):
    def __init__(self) -> None:
        super().__init__()
        self.consumer = ConsumerMetrics(self.registry)
        self.open_oldest = self._gauge(
            "order_open_oldest_seconds", "Age of the oldest overdue order that sweeps of the last minute found."
        )
        self.unsent_oldest = self._gauge(
            "order_unsent_oldest_seconds", "Age of the oldest overdue order whose message SQS rejected."
        )
        self.parked = self._gauge("order_parked", "Parked orders: open, and waiting for an operator.")
        self.sweeps = self._counter("order_sweeps", "Messages republished by the sweeper.")
        self._payment_failures = self._counter(
            "order_payment_failures",
            "Payment calls without a result, by reason; `refused` means an error on our side.",
            ["reason"],
        )
        for reason in FailureReason:
            self._payment_failures.labels(reason)  # start at 0: a counter without a first value has no rate
        self.reported = self._gauge("order_outbox_report_timestamp_seconds", "Time of the last outbox report.")
        self._queued = self._gauge("order_queue_messages", "Messages waiting, by queue.", ["queue"])
        self._in_flight = self._gauge(
            "order_queue_in_flight_messages", "Messages in flight (received or postponed), by queue.", ["queue"]
        )

    def payment_failed(self, reason: str) -> None:
        self._payment_failures.labels(reason).inc()

    def queues_counted(self, depth: Depth) -> None:
        """Set the depths of the queues. They are not exposed before the first count: 0 would mean an empty queue."""
        self._queued.labels("work").set(depth.work)
        self._queued.labels("dead").set(depth.dead)
        self._in_flight.labels("work").set(depth.in_flight)
