"""What an operator is shown. None stands for what is not known."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from order_operations.live.queues import Depth
from order_shared.domain.clock import to_text


@dataclass(frozen=True, kw_only=True)
class PerSecond:
    """Over all tasks; `requests` are customers'. An order that is cancelled after it was confirmed has ended twice."""

    accepted: float | None
    ended: Mapping[str, float | None]
    requests: float | None
    errors_5xx: float | None
    aws_retries: float | None


@dataclass(frozen=True, kw_only=True)
class Quantiles:
    """In seconds."""

    p50: float | None
    p99: float | None


@dataclass(frozen=True, kw_only=True)
class Latency:
    """`accept` is what the customer waited for, `end` from accepted to an end state, `queued` what a message waited."""

    accept: Quantiles
    end: Quantiles
    queued: Quantiles


@dataclass(frozen=True)
class OpenOrders:
    """`capped` if there may be more."""

    count: int | None
    capped: bool
    oldest_seconds: float | None
    parked: int | None


@dataclass(frozen=True, kw_only=True)
class Source:
    """A service, or what it stands on: how many of its tasks answer, and in which versions.

    `fault` and `detail` tell what came instead of an answer, from the first that gave none.
    """

    name: str
    up: int
    of: int
    versions: Sequence[str] = ()
    fault: str | None = None
    detail: str | None = None


@dataclass(frozen=True, kw_only=True)
class OrderLine:
    """`total` is in minor units."""

    id: str
    tenant: str
    status: str
    parked: bool
    total: int
    currency: str
    age_seconds: float


@dataclass(frozen=True)
class View:
    """`where` names the environment; `history` is what was accepted per second, look by look, in `history_seconds`."""

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
