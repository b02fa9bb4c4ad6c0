"""Metrics of a consumer. Every name begins with `order_`, as in `order_shared.runtime.metrics`."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

OUTAGE_BUCKETS = (300.0, 900.0, 3600.0, 21600.0, 86400.0)
"""Bucket bounds for delays in an outage: a quantile above the last bound would be shown as that bound."""
WAIT_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, *OUTAGE_BUCKETS)
HANDLE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

OUTCOMES = ("acknowledged", "deferred", "retried", "dead_lettered", "lease_lost", "delete_failed")


class ConsumerMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        messages = counter("order_messages", "Settled messages, by outcome.", ["outcome"])
        self.outcomes = {outcome: messages.labels(outcome) for outcome in OUTCOMES}
        self.retries = counter(
            "order_message_retries",
            "Failed handlings, by reason. The message is delivered again, or its order waits in the outbox.",
            ["reason"],
        )
        self.retries.labels("crashed")  # exported from the start, so that the first increase is counted
        self.received = histogram("order_receive_batch_messages", "Messages per receive request.", buckets=range(11))
        self.in_flight = gauge("order_messages_in_flight", "Messages received and not yet settled.")
        self.wait_seconds = histogram(
            "order_message_wait_seconds", "Time from sending a message to its first delivery.", buckets=WAIT_BUCKETS
        )
        self.handle_seconds = histogram("order_handle_seconds", "Time to handle one message.", buckets=HANDLE_BUCKETS)
        self.heartbeats = counter("order_heartbeats", "Extensions of a message's visibility timeout.")
        self.heartbeat_failures = counter(
            "order_heartbeat_failures", "Failed extensions of a message's visibility timeout."
        )
