"""What the services expose, from their own registries."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from order_api.metrics import ApiMetrics
from order_processor.metrics import ProcessorMetrics
from order_shared.runtime.metrics import Metrics

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",), "gauge": ("",)}


def services() -> dict[str, Metrics]:
    """As each composition root makes them."""
    made: dict[str, Metrics] = {"order-api": ApiMetrics(), "order-processor": ProcessorMetrics()}
    for service, metrics in made.items():
        metrics.name_build(service, "unknown")
    return made


def families() -> Iterator[Metric]:
    for metrics in services().values():
        yield from metrics.registry.collect()


def series() -> set[str]:
    """Every name that a sample can have, also of those that have none yet."""
    return {family.name + suffix for family in families() for suffix in SUFFIXES[family.type]}


def catalogued() -> dict[str, str]:
    """Each metric's type by its name, as it is written in expressions."""
    return {
        family.name + (SUFFIXES[family.type][0] if family.type in {"counter", "info"} else ""): family.type
        for family in families()
    }
