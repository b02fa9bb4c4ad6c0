"""Metrics of the API, in addition to those that both services have."""

from functools import cache

import structlog

from order_shared.runtime.metrics import Metrics

log = structlog.get_logger(__name__)

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class ApiMetrics(Metrics):
    def __init__(self) -> None:
        super().__init__()
        requests = self._counter(
            "order_http_requests", "Requests by route, method and status.", ["route", "method", "status"]
        )
        self.requests = cache(requests.labels)  # a lookup costs three times as much as the increment
        self.accepted = self._counter("order_accepted", "Orders accepted, without repeated requests.")
        self.accept_seconds = self._histogram(
            "order_accept_seconds",
            "Seconds from the first byte of a request to the end of its 202 response.",
            buckets=LATENCY_BUCKETS,
        )
        self.in_flight = self._gauge("order_http_in_flight", "Requests in progress, without health checks and metrics.")
        self.streams = self._gauge("order_event_streams", "Open streams of events.")
        self.refused = self._counter(
            "order_http_refused", "Requests refused by a limit of the API, by limit.", ["limit"]
        )
        self._unreadable = self._counter(
            "order_unreadable_items", "Stored items left out of a list because this release cannot read them.", ["kind"]
        )

    def unreadable(self, kind: str, **item: str) -> None:
        """Count and log a stored item that a list leaves out. `item` has its key and the reason."""
        self._unreadable.labels(kind).inc()
        log.warning("item_unreadable", kind=kind, **item)
