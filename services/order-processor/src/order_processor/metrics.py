"""What the processor counts, besides what both services count."""

from datetime import datetime

from prometheus_client import Counter, Gauge, Histogram

from order_shared.order.models import Order
from order_shared.telemetry import ConsumerMetrics, Metrics

END_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class ProcessorMetrics(Metrics):
    def __init__(self) -> None:
        super().__init__()
        self.consumer = ConsumerMetrics(self.registry)
        self.ended = Counter("order_ended", "Orders by end state.", ["status"], registry=self.registry)
        self.end_seconds = Histogram(
            "order_end_seconds", "From accepted to an end state.", buckets=END_BUCKETS, registry=self.registry
        )
        self.open_oldest = Gauge(
            "order_open_oldest_seconds", "Age of the oldest open order that is overdue.", registry=self.registry
        )
        self.parked = Gauge("order_parked", "Open orders that wait for an operator.", registry=self.registry)
        self.sweeps = Counter("order_sweeps", "Messages sent again by a sweep.", registry=self.registry)

    def order_ended(self, order: Order, at: datetime) -> None:
        self.ended.labels(order.status).inc()
        self.end_seconds.observe(max(0.0, (at - order.created_at).total_seconds()))
