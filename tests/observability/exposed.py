"""Metrics that the services export, from their registries."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from order_api.metrics import ApiMetrics
from order_notifier.metrics import NotifierMetrics
from order_processor.metrics import ProcessorMetrics
from order_shared.runtime.metrics import Metrics

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",), "gauge": ("",)}


def services() -> dict[str, Metrics]:
    """Create the metrics of each service, as its composition root does."""
    made: dict[str, Metrics] = {
        "order-api": ApiMetrics(),
        "order-processor": ProcessorMetrics(),
        "order-notifier": NotifierMetrics(),
    }
    for service, metrics in made.items():
        metrics.name_build(service, "unknown")
    return made


def families() -> Iterator[Metric]:
    for metrics in services().values():
        yield from metrics.registry.collect()


def series() -> set[str]:
    """Return every possible sample name, including those without a sample."""
    return {family.name + suffix for family in families() for suffix in SUFFIXES[family.type]}


def catalogued() -> dict[str, str]:
    """Return the type of each metric, by its name in expressions."""
    return {
        family.name + (SUFFIXES[family.type][0] if family.type in {"counter", "info"} else ""): family.type
        for family in families()
    }
