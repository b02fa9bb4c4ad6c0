"""Computation of an operator's figures from successive snapshots."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from order_operations.live.exposition import Sample
from order_operations.live.queues import Depth
from order_operations.live.rates import Labels, Rates
from order_operations.live.sources import Down, Look, Stored
from order_operations.live.tasks import Task
from order_operations.live.view import Latency, OpenOrders, OrderLine, PerSecond, Quantiles, Source, View
from order_shared.domain.order.models import ENDED, Order
from order_shared.naming import SERVICE_NAMES

HISTORY = 80
OPERATIONAL = frozenset({"/healthz", "/serving", "/readyz", "/metrics"})
"""Routes of health checks and scrapes. Requests to them are not counted as requests of customers."""


class Watch:
    """Computation of figures for the environment `where`. It keeps the previous snapshot and the history."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._before: dict[Task, Sample] = {}
        self._looked_at: datetime | None = None
        self._accepted: deque[tuple[datetime, float]] = deque(maxlen=HISTORY)
        """Start time and accepted orders per second of each interval between two snapshots."""

    def see(self, look: Look) -> View:
        """Return the figures of a snapshot. Rates of a task are since its last sample in an earlier snapshot."""
        samples = {task: sample for task, sample in look.tasks.items() if isinstance(sample, Sample)}
        rates = Rates.between((self._before[task], sample) for task, sample in samples.items() if task in self._before)
        self._before |= samples
        per_second = _per_second(rates)
        if per_second.accepted is not None and self._looked_at is not None:
            self._accepted.append((self._looked_at, per_second.accepted))
        self._looked_at = look.at
        return View(
            at=look.at,
            where=self._where,
            per_second=per_second,
            history=[rate for _, rate in self._accepted],
            history_seconds=(look.at - self._accepted[0][0]).total_seconds() if self._accepted else 0.0,
            latency=Latency(
                accept=_quantiles(rates, "order_accept_seconds"),
                end=_quantiles(rates, "order_end_seconds"),
                queued=_quantiles(rates, "order_message_wait_seconds"),
            ),
            queue=Depth() if isinstance(look.queues, Down) else look.queues,
            open_orders=_open_orders(look, samples.values()),
            sources=[
                *(_service(service, look.tasks) for service in SERVICE_NAMES),
                _dependency("sqs", look.queues),
                _dependency("dynamodb", look.stored),
            ],
            last_orders=_last_orders(look),
        )


def _per_second(rates: Rates) -> PerSecond:
    def is_customers(labels: Labels) -> bool:
        return labels.get("route") not in OPERATIONAL

    return PerSecond(
        accepted=rates.counter("order_accepted"),
        ended={str(status): rates.counter("order_ended", _has_status(status)) for status in sorted(ENDED)},
        requests=rates.counter("order_http_requests", is_customers),
        errors_5xx=rates.counter(
            "order_http_requests", lambda labels: is_customers(labels) and labels.get("status", "").startswith("5")
        ),
        aws_retries=rates.counter("order_aws_retries"),
    )


def _has_status(status: str) -> Callable[[Labels], bool]:
    return lambda labels: labels.get("status") == status


def _quantiles(rates: Rates, histogram: str) -> Quantiles:
    return Quantiles(p50=rates.quantile(histogram, 0.5), p99=rates.quantile(histogram, 0.99))


def _open_orders(look: Look, samples: Collection[Sample]) -> OpenOrders:
    """Return the figures of open orders from storage or, if storage does not respond, from the processors' metrics."""
    if isinstance(look.stored, Down):
        parked = _largest(samples, "order_parked")
        oldest = _largest(samples, "order_open_oldest_seconds")
        return OpenOrders(None, capped=False, oldest_seconds=oldest, parked=None if parked is None else int(parked))
    outbox = look.stored.outbox
    oldest = _age(outbox.oldest, look.at) if outbox.oldest else 0.0
    return OpenOrders(len(outbox.swept), outbox.capped, oldest, len(outbox.parked))


def _largest(samples: Collection[Sample], gauge: str) -> float | None:
    """Return the largest value of a gauge over all tasks; None if no task exports it.

    Every processor exports the total of the environment, so the values must not be added.
    """
    values = (sample.gauge(gauge) for sample in samples)
    return max((value for value in values if value is not None), default=None)


def _age(since: datetime, at: datetime) -> float:
    """Return the seconds from `since` to `at`; 0 if `since` is later, because another machine's clock is ahead."""
    return max(0.0, (at - since).total_seconds())


def _service(name: str, tasks: Mapping[Task, Sample | Down]) -> Source:
    answers = [answer for task, answer in tasks.items() if task.service == name]
    samples = [answer for answer in answers if isinstance(answer, Sample)]
    versions = {version for each in samples if (version := each.label("order_build_info", "version"))}
    source = Source(name=name, up=len(samples), of=len(answers), versions=sorted(versions))
    return _with_fault(source, answers)


def _dependency(name: str, answer: Depth | Stored | Down) -> Source:
    return _with_fault(Source(name=name, up=0 if isinstance(answer, Down) else 1, of=1), [answer])


def _with_fault(source: Source, answers: Iterable[object]) -> Source:
    down = next((answer for answer in answers if isinstance(answer, Down)), None)
    return source if down is None else replace(source, fault=down.fault, detail=down.detail)


def _last_orders(look: Look) -> list[OrderLine]:
    orders = look.stored.last_orders if isinstance(look.stored, Stored) else ()
    return [_line(order, look.at) for order in orders]


def _line(order: Order, at: datetime) -> OrderLine:
    return OrderLine(
        id=order.order_id,
        tenant=order.customer.tenant,
        status=str(order.status),
        parked=order.parking.parked is not None,
        total=order.total,
        currency=order.currency,
        age_seconds=_age(order.created_at, at),
    )
