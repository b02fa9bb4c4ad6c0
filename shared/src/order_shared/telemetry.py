"""Metrics that both services have. Names follow Prometheus' conventions; every name starts with `order_`."""

import re

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

EXPOSITION_CONTENT_TYPE = CONTENT_TYPE_LATEST

TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, version 00: what is taken from a request and written into its messages."""


class Metrics:
    """One registry per process, made by its composition root; nothing is registered at import."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.aws_retries = Counter(
            "order_aws_retries", "DynamoDB requests sent again, by reason.", ["reason"], registry=self.registry
        )
        self.publish_failures = Counter(
            "order_publish_failures", "Messages that SQS did not take; the sweeper sends them.", registry=self.registry
        )

    def retried(self, reason: str) -> None:
        self.aws_retries.labels(reason).inc()

    def exposition(self) -> bytes:
        """The text form that Prometheus scrapes."""
        return generate_latest(self.registry)


class ConsumerMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.messages = Counter("order_messages", "Messages by what became of them.", ["outcome"], registry=registry)
        self.received = Histogram(
            "order_receive_batch_messages", "Messages per receive.", buckets=range(11), registry=registry
        )
        self.in_flight = Gauge("order_messages_in_flight", "Messages taken and not yet done with.", registry=registry)
        self.heartbeat_failures = Counter(
            "order_heartbeat_failures", "Extensions of a message's visibility that failed.", registry=registry
        )
