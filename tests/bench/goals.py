"""The goals, and whether a run meets them: a figure of ours, one of the peer, the ratio of the two, the bar."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.bench import accept, events, latency, startup, streams, webhooks
from tests.bench.figures import Figure
from tests.bench.results import Results

QUEUE_PEERS = ("celery", "dramatiq_sqs", "taskiq-aio-sqs")
CLOSE_TO = 1.5
"""Conflicts are close to 1/K if at most so many times that: a few hundred buyers fall unevenly on the shards."""
LINES = 2
"""Of each order whose cost is measured."""
AS_BEFORE = 1.05
"""Ratio of two figures of the same thing that differ by the noise of a run only."""


@dataclass(frozen=True)
class Outcome:
    """One line of one goal. `ratio` and `bar` are numbers in words, such as `0.37` and `at most 0.4`.

    Without a bar there is nothing to meet: `met` is None.
    """

    goal: str
    what: str
    ours: str
    peer: str
    ratio: str
    bar: str
    met: bool | None

    @property
    def verdict(self) -> str:
        return "" if self.met is None else "met" if self.met else "NOT MET"


class Measured:
    """The figures of one comparison."""

    def __init__(self, figures: Sequence[Figure]) -> None:
        self._figures = {(figure.subject, figure.quantity): figure for figure in figures}

    def get(self, subject: str, quantity: str) -> Figure:
        return self._figures[subject, quantity]

    def ratio(self, one: str, other: str, quantity: str) -> float:
        """The median over the rounds, in each of which the two were measured side by side."""
        pairs = zip(self.get(one, quantity).values, self.get(other, quantity).values, strict=True)
        return median(mine / theirs for mine, theirs in pairs)


def _p1_p2(measured: Measured) -> list[Outcome]:
    cpu, new = (measured.ratio(subject, accept.USUAL, "cpu_per_order") for subject in (accept.OURS, accept.NEW_TOKENS))
    rate = measured.ratio(accept.OURS, accept.ECHO, "throughput")

    def per_order(subject: str) -> str:
        return f"{measured.get(subject, 'cpu_per_order').median:.2f} ms"

    usual = f"{per_order(accept.USUAL)} usual endpoint"
    echo = f"{measured.get(accept.ECHO, 'throughput').median:.0f} orders/s FastAPI echo"
    ours = f"{measured.get(accept.OURS, 'throughput').median:.0f} orders/s"
    return [
        Outcome("P1", "CPU to accept an order", per_order(accept.OURS), usual, f"{cpu:.2f}", "at most 0.4", cpu <= 0.4),
        Outcome("P1", "the same, every token new", per_order(accept.NEW_TOKENS), usual, f"{new:.2f}", "", None),
        Outcome("P2", "orders accepted per second", ours, echo, f"{rate:.2f}", "at least 0.5", rate >= 0.5),
    ]


def _p3_p4(measured: Measured) -> list[Outcome]:
    def per_message(subject: str) -> str:
        return f"{measured.get(subject, 'cpu_per_message').median:.3f} ms"

    def times(ours: str, peer: str) -> float:
        return measured.ratio(peer, ours, "cpu_per_message")

    outcomes = []
    for peer in QUEUE_PEERS:
        rate = times("ours, dispatched", peer)
        peers, mine = f"{per_message(peer)} {peer}", per_message("ours, dispatched")
        outcomes.append(
            Outcome("P3", "CPU per message, nothing to do", mine, peers, f"{rate:.1f} x", "at least 8 x", rate >= 8)
        )
    plain = times("ours, no-op", "plain aioboto3, no-op")
    peers, mine = f"{per_message('plain aioboto3, no-op')} plain aioboto3 loop", per_message("ours, no-op")
    outcomes.append(Outcome("P3", "the same, event not read", mine, peers, f"{plain:.1f} x", "", None))
    for peer in ("plain aioboto3, orders", "plain aioboto3, orders, single deletes"):
        rate = times("ours, orders", peer)
        peers, mine = f"{per_message(peer)} {peer}", per_message("ours, orders")
        outcomes.append(
            Outcome("P4", "CPU per order processed", mine, peers, f"{rate:.2f} x", "at least 3 x", rate >= 3)
        )
    return outcomes


def _p5(measured: Measured) -> list[Outcome]:
    sqs, peer, dynamodb, units = (
        measured.get(subject, quantity).median
        for subject, quantity in (
            ("ours", "sqs_requests_per_order"),
            ("unbatched", "sqs_requests_per_order"),
            ("ours", "dynamodb_requests_per_order"),
            ("ours", "write_units_per_order"),
        )
    )
    limit = 12 + 2 * LINES  # two of them for the list of a tenant (decision 44)
    return [
        Outcome(
            "P5",
            "SQS requests per order",
            f"{sqs:.2f}",
            f"{peer:.0f} unbatched",
            f"{sqs / peer:.2f}",
            "at most 0.35",
            sqs <= 0.35,
        ),
        Outcome("P5", "DynamoDB requests per order", f"{dynamodb:.2f}", "", "", "at most 2", dynamodb <= 2),
        Outcome(
            "P5",
            f"write units per order of {LINES} lines",
            f"{units:.1f}",
            "",
            "",
            f"at most {limit} (12 + 2 per line)",
            units <= limit,
        ),
    ]


def _p6(measured: Measured) -> list[Outcome]:
    outcomes = []
    for quantile, bar in (("p50", 1.3), ("p99", 2.0)):
        ours, bare = (f"{name} at 50%" for name in (latency.OURS, latency.BARE))
        ratio = measured.ratio(ours, bare, quantile)
        mine, theirs = (f"{measured.get(name, quantile).median:.1f} ms" for name in (ours, bare))
        outcomes.append(
            Outcome(
                "P6",
                f"{quantile} of the answer at half load",
                mine,
                f"{theirs} one transactional write",
                f"{ratio:.2f}",
                f"at most {bar}",
                ratio <= bar,
            )
        )
    return outcomes


def _p7(measured: Measured) -> list[Outcome]:
    outcomes = []
    for shards in (4, 16):
        name = f"{shards} shards"
        ratio = measured.ratio(name, "1 shard", "take_conflicts_per_order")
        mine, one = (measured.get(each, "take_conflicts_per_order").median for each in (name, "1 shard"))
        bar = CLOSE_TO / shards
        outcomes.append(
            Outcome(
                "P7",
                f"conflicts of takers, {name} (simulated)",
                f"{mine:.2f} per order",
                f"{one:.2f} with 1 shard",
                f"{ratio:.3f}",
                f"close to 1/{shards}: at most {bar:.3f}",
                ratio <= bar,
            )
        )
    oversold = sum(sum(measured.get(each, "oversold").values) for each in ("1 shard", "4 shards", "16 shards"))
    outcomes.append(Outcome("P7", "units oversold, all rounds", f"{oversold:.0f}", "", "", "0", oversold == 0))
    return outcomes


def _p8(measured: Measured) -> list[Outcome]:
    outcomes = []
    for name in (startup.API, startup.PROCESSOR):
        ratio = measured.ratio(name, startup.BARE, "seconds")
        mine, bare = (f"{measured.get(each, 'seconds').median:.2f} s" for each in (name, startup.BARE))
        peer = f"{bare} bare uvicorn + FastAPI"
        outcomes.append(Outcome("P8", name, mine, peer, f"{ratio:.2f}", "at most 1.5", ratio <= 1.5))
    return outcomes


def _p10(measured: Measured) -> list[Outcome]:
    alone = measured.get(events.ALONE, "write_units_per_append").median
    load = measured.get(events.AT_LOAD, "write_units_per_order").median
    rate = measured.get(events.HOT, "throughput").median
    delay, feed = (measured.get(events.AT_LOAD, quantity).median for quantity in ("delay", "delay_of_feed"))
    memory = measured.get(streams.WITH, "memory").median
    beside = measured.ratio(streams.WITH, streams.WITHOUT, "cpu_per_order")
    with_streams, without = (
        f"{measured.get(each, 'cpu_per_order').median:.2f} ms" for each in (streams.WITH, streams.WITHOUT)
    )
    return [
        Outcome("P10", "write units per append, an order alone", f"{alone:.1f}", "", "", "at most 6", alone <= 6),
        Outcome("P10", "write units of its events per order, at load", f"{load:.2f}", "", "", "at most 3", load <= 3),
        Outcome(
            "P10", "orders into one log, 4 notifiers", f"{rate:.0f} orders/s", "", "", "at least 1000", rate >= 1000
        ),
        Outcome(
            "P10",
            "end of an order to its event",
            f"{delay:.0f} ms",
            f"{feed:.0f} ms of it the emulated feed",
            "",
            "",
            None,
        ),
        Outcome("P10", "memory of 1,000 open streams", f"{memory:.0f} MB", "", "", "at most 100", memory <= 100),
        Outcome(
            "P10",
            "CPU to accept an order beside 1,000 streams",
            with_streams,
            f"{without} without streams",
            f"{beside:.2f}",
            f"as before: at most {AS_BEFORE}",
            beside <= AS_BEFORE,
        ),
    ]


def _p11(measured: Measured) -> list[Outcome]:
    p99 = measured.get(webhooks.ALONE, "delay_p99").median
    alone, beside = (measured.get(subject, "delay_median") for subject in (webhooks.ALONE, webhooks.BESIDE))
    ratio = measured.ratio(webhooks.BESIDE, webhooks.ALONE, "delay_median")
    return [
        Outcome("P11", "readable event to its webhook, p99", f"{p99:.0f} ms", "", "", "at most 50 ms", p99 <= 50),
        Outcome(
            "P11",
            "the same beside a dead and a slow receiver, median",
            f"{beside.median:.1f} ms",
            f"{alone.median:.1f} ms alone",
            f"{ratio:.2f}",
            "at most 1.1",
            ratio <= 1.1,
        ),
    ]


BY_COMPARISON: Mapping[str, Callable[[Measured], list[Outcome]]] = {
    "accept": _p1_p2,
    "consume": _p3_p4,
    "cost": _p5,
    "latency": _p6,
    "hot": _p7,
    "startup": _p8,
    "events": _p10,
    "webhooks": _p11,
}


def judge(results: Results, soak: Mapping[str, Any] | None = None) -> list[Outcome]:
    """The goals that these comparisons, and the soak, are about, in their order."""
    outcomes = [
        outcome
        for name, goals in BY_COMPARISON.items()
        if name in results
        for outcome in goals(Measured(results[name]))
    ]
    if soak is not None:
        outcomes += judge_soak(soak)
    return sorted(outcomes, key=lambda outcome: int(outcome.goal.removeprefix("P")))


def judge_soak(soak: Mapping[str, Any]) -> list[Outcome]:
    """P9, of the last soak."""
    outcomes = []
    for process in soak["processes"]:
        rest, early, late = (process[name] for name in ("cpu_percent_at_rest", "early_mb", "late_mb"))
        growth = late / early
        outcomes += [
            Outcome("P9", f"{process['name']}, CPU at rest", f"{rest:.2f} %", "", "", "under 1 %", rest < 1),
            Outcome(
                "P9",
                f"{process['name']}, memory over the hour",
                f"{late:.0f} MB late",
                f"{early:.0f} MB early",
                f"{growth:.2f}",
                "flat: at most 1.05",
                growth <= 1.05,
            ),
        ]
    return outcomes
