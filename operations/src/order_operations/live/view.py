"""Figures of a snapshot, as operators see them. None means unknown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from order_operations.live.queues import Depth
from order_shared.domain.clock import to_text


@dataclass(frozen=True, kw_only=True)
class PerSecond:
    """Rates per second, summed over all tasks. `requests` and `errors_5xx` exclude health checks and scrapes.

    `ended` is by final status. An order that is cancelled after its confirmation counts in both.
    """

    accepted: float | None
    ended: Mapping[str, float | None]
    requests: float | None
    errors_5xx: float | None
    aws_retries: float | None


@dataclass(frozen=True, kw_only=True)
class Quantiles:
    """Quantiles in seconds."""

    p50: float | None
    p99: float | None


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Latencies.

    `accept` is the time to accept an order, `end` the time from its acceptance, or from the request to cancel it, to
    the final status, and `queued` the time from sending a message to its first delivery.
    """

    accept: Quantiles
    end: Quantiles
    queued: Quantiles


@dataclass(frozen=True)
class OpenOrders:
    """Figures of open orders. `count` excludes parked orders. `capped` means that there may be more."""

    count: int | None
    capped: bool
    oldest_seconds: float | None
    parked: int | None


@dataclass(frozen=True, kw_only=True)
class Source:
    """State of a service or a dependency. `of` is the number of its tasks, and `up` of those that respond.

    `fault` and `detail` describe the error of the first task that does not respond.
    """

    name: str
    up: int
    of: int
    versions: Sequence[str] = ()
    fault: str | None = None
    detail: str | None = None


@dataclass(frozen=True, kw_only=True)
class OrderLine:
    """An order in the list of last orders. `total` is in minor units."""

    id: str
    tenant: str
    status: str
    parked: bool
    total: int
    currency: str
    age_seconds: float


@dataclass(frozen=True)
class View:
    """All figures of one snapshot. `where` is the name of the environment.

    `history` contains the accepted orders per second in each interval between snapshots, oldest first, for the last
    `history_seconds`.
    """

    at: datetime
    where: str
    per_second: PerSecond
    history: Sequence[float]
    history_seconds: float
    latency: Latency
    queue: Depth
    open_orders: OpenOrders
    sources: Sequence[Source]
    last_orders: Sequence[OrderLine]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "at": to_text(self.at)}
