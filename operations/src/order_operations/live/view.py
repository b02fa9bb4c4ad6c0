"""Figures for an operator. None means unknown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from order_operations.live.queues import Depth
from order_shared.domain.clock import to_text


@dataclass(frozen=True, kw_only=True)
class PerSecond:
    """Rates over all tasks. `requests` excludes health checks and scrapes.

    An order that is cancelled after its confirmation counts twice in `ended`.
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
    """Latencies: `accept` of the request, `end` from acceptance to a final status, `queued` of a message."""

    accept: Quantiles
    end: Quantiles
    queued: Quantiles


@dataclass(frozen=True)
class OpenOrders:
    """Open orders. `capped` means that there may be more."""

    count: int | None
    capped: bool
    oldest_seconds: float | None
    parked: int | None


@dataclass(frozen=True, kw_only=True)
class Source:
    """A service or one of its dependencies: the number of its tasks, how many respond, and their versions.

    `fault` and `detail` are the error of the first one that does not respond.
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
    """All figures of one snapshot. `where` is the environment.

    `history` has the accepted orders per second between snapshots, over the last `history_seconds`.
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
