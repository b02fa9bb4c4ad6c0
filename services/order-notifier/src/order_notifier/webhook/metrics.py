"""Metrics of webhook deliveries. Every name begins with `order_webhook_`."""

from datetime import datetime
from functools import partial

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from order_notifier.webhook.deliveries import Census
from order_shared.domain.order.events import OrderEvent
from order_shared.domain.webhook.attempt import Attempt
from order_shared.domain.webhook.health import EndpointState
from order_shared.messaging.consumer.metrics import OUTAGE_BUCKETS

log = structlog.get_logger(__name__)

ATTEMPT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
AGE_BUCKETS = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, *OUTAGE_BUCKETS)


class WebhookMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        histogram = partial(Histogram, registry=registry)
        gauge = partial(Gauge, registry=registry)
        attempts = counter("order_webhook_attempts", "Requests to webhook endpoints, by outcome.", ["outcome"])
        self._delivered, self._failed = attempts.labels("delivered"), attempts.labels("failed")
        self._seconds = histogram(
            "order_webhook_attempt_seconds", "Duration of a request to a webhook endpoint.", buckets=ATTEMPT_BUCKETS
        )
        self._age = histogram(
            "order_webhook_age_seconds",
            "Time from the change of an order to the request that delivered its event.",
            buckets=AGE_BUCKETS,
        )
        self.errors = counter("order_webhook_errors", "Deliveries that failed here, and not at the receiver.")
        self._unreadable = counter("order_webhook_unreadable_orders", "Orders that webhooks were sent without.")
        self._endpoints = gauge(
            "order_webhook_endpoints",
            "Webhook endpoints by state. Only the notifier that made the last check counts them.",
            ["state"],
        )
        self._lagging = gauge(
            "order_webhook_endpoints_lagging",
            "Active webhook endpoints that were behind the log of their tenant at the last check.",
        )
        self.counted(None)  # exported from the start

    def attempted(self, event: OrderEvent, attempt: Attempt) -> None:
        self._seconds.observe(attempt.milliseconds / 1000)
        if not attempt.succeeded:
            self._failed.inc()
            return
        self._delivered.inc()
        self._age.observe(_seconds(event.at, attempt.at))

    def left_out(self, _what: str, **fields: object) -> None:
        """Note an order that cannot be read, so that its event was sent without it."""
        self._unreadable.inc()
        log.warning("webhook_order_unreadable", **fields)

    def counted(self, census: Census | None) -> None:
        """Show the result of a check. A notifier that did not make the last one shows 0."""
        for state in EndpointState:
            self._endpoints.labels(str(state)).set(0 if census is None else census.states[state])
        self._lagging.set(0 if census is None else census.lagging)


def _seconds(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds())
