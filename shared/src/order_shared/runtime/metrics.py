"""Metrics that all services share. Names follow Prometheus' conventions and start with `order_`."""

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
    """Metrics of one process, in their own registry. The composition root creates them; import registers nothing."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # unused second series of each counter
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="order", registry=self.registry)
        self._counter = partial(Counter, registry=self.registry)
        self._gauge = partial(Gauge, registry=self.registry)
        self._histogram = partial(Histogram, registry=self.registry)
        self._aws_retries = self._counter(
            "order_aws_retries", "Retried requests to AWS, by reason.", ["service", "reason"]
        )
        for service in ("dynamodb", "sqs"):
            for reason in REASONS:
                self._aws_retries.labels(service, reason)  # exported from the start: the first increase is counted
        self.publish_batch = self._histogram(
            "order_publish_batch_messages", "Messages per send request.", buckets=BATCH_BUCKETS
        )
        self.publish_failures = self._counter(
            "order_publish_failures", "Messages that SQS did not accept; the sweeper republishes them."
        )
        ended = self._counter("order_ended", "Orders that ended, by final status.", ["status"])
        # Looked up once: a lookup costs more than the increment. Also exports each series from the start.
        self._ended = {status: ended.labels(status) for status in ENDED}
        self._end_seconds = self._histogram(
            "order_end_seconds",
            "Time from the acceptance of an order, or from the request to cancel it, to its final status.",
            buckets=END_BUCKETS,
        )

    def name_build(self, service: str, commit: str) -> None:
        """Export the metric `order_build_info` for the running build. `service` is the name of the distribution."""
        build = {"service": service, "version": version(service), "commit": commit}
        Info("order_build", "Service, version and commit of the running build.", registry=self.registry).info(build)

    def dynamodb_retried(self, reason: str) -> None:
        self._aws_retries.labels("dynamodb", reason).inc()

    def sqs_retried(self, reason: str) -> None:
        self._aws_retries.labels("sqs", reason).inc()

    def order_ended(self, order: Order, at: datetime) -> None:
        self._ended[order.status].inc()
        self._end_seconds.observe(max(0.0, (at - order.open_since).total_seconds()))

    def exposition(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self.registry)
