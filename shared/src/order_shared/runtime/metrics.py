"""Metrics that both services have. Names follow Prometheus' conventions; every name starts with `order_`."""

from datetime import datetime
from functools import partial
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from aws_json_client.errors import REASONS
from order_shared.domain.order.models import ENDED, Order
from order_shared.messaging.consumer.metrics import OUTAGE_BUCKETS
from order_shared.messaging.queue import MAX_BATCH

EXPOSITION_CONTENT_TYPE = CONTENT_TYPE_LATEST

BATCH_BUCKETS = range(1, MAX_BATCH + 1)
END_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, *OUTAGE_BUCKETS)


class Metrics:
    """One registry per process, made by its composition root; nothing is registered at import."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # second series of each counter that nobody reads
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="order", registry=self.registry)
        self._counter = partial(Counter, registry=self.registry)
        self._gauge = partial(Gauge, registry=self.registry)
        self._histogram = partial(Histogram, registry=self.registry)
        self._aws_retries = self._counter(
            "order_aws_retries", "Requests to AWS sent again, by reason.", ["service", "reason"]
        )
        for service in ("dynamodb", "sqs"):
            for reason in REASONS:
                self._aws_retries.labels(service, reason)  # from the start: its first increase is not missed
        self.publish_batch = self._histogram(
            "order_publish_batch_messages", "Messages per send.", buckets=BATCH_BUCKETS
        )
        self.publish_failures = self._counter(
            "order_publish_failures", "Messages that SQS did not take; the sweeper sends them."
        )
        ended = self._counter("order_ended", "Orders by end state.", ["status"])
        # Bound once: a look-up costs more than the count. And a series that is there from the start misses no increase.
        self._ended = {status: ended.labels(status) for status in ENDED}
        self._end_seconds = self._histogram(
            "order_end_seconds", "From accepted, or from the wish to cancel, to an end state.", buckets=END_BUCKETS
        )

    def name_build(self, service: str, commit: str) -> None:
        """Says what runs here; `service` is the name of its distribution."""
        build = {"service": service, "version": version(service), "commit": commit}
        Info("order_build", "What runs, and what it was built from.", registry=self.registry).info(build)

    def dynamodb_retried(self, reason: str) -> None:
        self._aws_retries.labels("dynamodb", reason).inc()

    def sqs_retried(self, reason: str) -> None:
        self._aws_retries.labels("sqs", reason).inc()

    def order_ended(self, order: Order, at: datetime) -> None:
        self._ended[order.status].inc()
        self._end_seconds.observe(max(0.0, (at - order.open_since).total_seconds()))

    def exposition(self) -> bytes:
        """The text form that Prometheus scrapes."""
        return generate_latest(self.registry)
