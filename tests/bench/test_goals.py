"""What a run is held to: each bar just met and just missed, on figures that are made up."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.bench.figures import Figure
from tests.bench.goals import Outcome, judge, judge_soak

Key = tuple[str, str, str]
"""Comparison, subject, quantity."""

CONFLICTS, OVERSOLD = "take_conflicts_per_order", "oversold"
ACCEPT_CPU: Key = ("accept", "ours", "cpu_per_order")

AT_THE_BARS: Mapping[Key, tuple[float, ...]] = {
    ACCEPT_CPU: (0.4,),
    ("accept", "ours, every token new", "cpu_per_order"): (0.5,),
    ("accept", "usual endpoint", "cpu_per_order"): (1,),
    ("accept", "ours", "throughput"): (500,),
    ("accept", "FastAPI echo", "throughput"): (1000,),
    ("consume", "ours, dispatched", "cpu_per_message"): (1,),
    ("consume", "celery", "cpu_per_message"): (8,),
    ("consume", "dramatiq_sqs", "cpu_per_message"): (8,),
    ("consume", "taskiq-aio-sqs", "cpu_per_message"): (8,),
    ("consume", "ours, no-op", "cpu_per_message"): (1,),
    ("consume", "plain aioboto3, no-op", "cpu_per_message"): (1,),
    ("consume", "ours, orders", "cpu_per_message"): (1,),
    ("consume", "plain aioboto3, orders", "cpu_per_message"): (3,),
    ("consume", "plain aioboto3, orders, single deletes", "cpu_per_message"): (3,),
    ("cost", "ours", "sqs_requests_per_order"): (0.35,),
    ("cost", "unbatched", "sqs_requests_per_order"): (3,),
    ("cost", "ours", "dynamodb_requests_per_order"): (2,),
    ("cost", "ours", "write_units_per_order"): (14,),
    ("latency", "ours at 50%", "p50"): (1.3,),
    ("latency", "ours at 50%", "p99"): (2,),
    ("latency", "one transactional write at 50%", "p50"): (1,),
    ("latency", "one transactional write at 50%", "p99"): (1,),
    ("hot", "1 shard", CONFLICTS): (1,),
    ("hot", "4 shards", CONFLICTS): (1.5 / 4,),
    ("hot", "16 shards", CONFLICTS): (1.5 / 16,),
    ("hot", "1 shard", OVERSOLD): (0, 0, 0),
    ("hot", "4 shards", OVERSOLD): (0, 0, 0),
    ("hot", "16 shards", OVERSOLD): (0, 0, 0),
    ("events", "order alone", "write_units_per_append"): (6,),
    ("events", "at load", "write_units_per_order"): (3,),
    ("events", "at load", "delay"): (700,),
    ("events", "at load", "delay_of_feed"): (600,),
    ("events", "one tenant, 4 notifiers", "throughput"): (1000,),
    ("events", "1,000 streams", "memory"): (100,),
    ("events", "1,000 streams", "cpu_per_order"): (1.05,),
    ("events", "no stream", "cpu_per_order"): (1,),
    ("startup", "order_api, first answer", "seconds"): (1.5,),
    ("startup", "order_processor, first poll", "seconds"): (1.5,),
    ("startup", "bare uvicorn + FastAPI, first answer", "seconds"): (1,),
    ("webhooks", "healthy receiver alone", "delay_median"): (10,),
    ("webhooks", "healthy receiver alone", "delay_p99"): (50,),
    ("webhooks", "beside a dead and a slow one", "delay_median"): (11,),
}
"""Figures that only just meet every goal."""


def run(changed: Mapping[Key, tuple[float, ...]]) -> dict[str, list[Figure]]:
    """The figures at the bars, some of them changed."""
    results: dict[str, list[Figure]] = {}
    for (comparison, subject, quantity), values in {**AT_THE_BARS, **changed}.items():
        results.setdefault(comparison, []).append(Figure(subject, quantity, "", values))
    return results


def missed(outcomes: list[Outcome]) -> list[tuple[str, str, str]]:
    return [(each.goal, each.what, each.peer) for each in outcomes if each.verdict == "NOT MET"]


def test_at_its_bar_every_goal_is_met() -> None:
    outcomes = judge(run({}))
    assert {each.goal for each in outcomes} == {"P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P10", "P11"}
    assert {each.verdict for each in outcomes if each.bar} == {"met"}


def test_what_is_only_told_is_not_judged() -> None:
    told = [each for each in judge(run({})) if not each.bar]
    assert [(each.goal, each.what) for each in told] == [
        ("P1", "the same, every token new"),
        ("P3", "the same, event not read"),
        ("P10", "end of an order to its event"),
    ]
    assert {each.verdict for each in told} == {""}


@pytest.mark.parametrize(
    ("key", "beyond", "line"),
    [
        (ACCEPT_CPU, (0.401,), ("P1", "CPU to accept an order", "1.00 ms usual endpoint")),
        (("accept", "ours", "throughput"), (499,), ("P2", "orders accepted per second", "1000 orders/s FastAPI echo")),
        *(
            (
                ("consume", peer, "cpu_per_message"),
                (7.99,),
                ("P3", "CPU per message, nothing to do", f"7.990 ms {peer}"),
            )
            for peer in ("celery", "dramatiq_sqs", "taskiq-aio-sqs")
        ),
        *(
            (("consume", peer, "cpu_per_message"), (2.99,), ("P4", "CPU per order processed", f"2.990 ms {peer}"))
            for peer in ("plain aioboto3, orders", "plain aioboto3, orders, single deletes")
        ),
        (("cost", "ours", "sqs_requests_per_order"), (0.351,), ("P5", "SQS requests per order", "3 unbatched")),
        (("cost", "ours", "dynamodb_requests_per_order"), (2.01,), ("P5", "DynamoDB requests per order", "")),
        (("cost", "ours", "write_units_per_order"), (16.1,), ("P5", "write units per order of 2 lines", "")),
        *(
            (
                ("latency", "ours at 50%", quantile),
                (beyond,),
                ("P6", f"{quantile} of the answer at half load", "1.0 ms one transactional write"),
            )
            for quantile, beyond in (("p50", 1.301), ("p99", 2.001))
        ),
        *(
            (
                ("hot", f"{shards} shards", CONFLICTS),
                (1.5 / shards + 0.001,),
                ("P7", f"conflicts of takers, {shards} shards (simulated)", "1.00 with 1 shard"),
            )
            for shards in (4, 16)
        ),
        *(
            (("hot", shards, OVERSOLD), (0, 1, 0), ("P7", "units oversold, all rounds", ""))
            for shards in ("1 shard", "4 shards", "16 shards")
        ),
        (
            ("events", "order alone", "write_units_per_append"),
            (6.01,),
            ("P10", "write units per append, an order alone", ""),
        ),
        (
            ("events", "at load", "write_units_per_order"),
            (3.01,),
            ("P10", "write units of its events per order, at load", ""),
        ),
        (
            ("events", "one tenant, 4 notifiers", "throughput"),
            (999,),
            ("P10", "orders into one log, 4 notifiers", ""),
        ),
        (("events", "1,000 streams", "memory"), (100.1,), ("P10", "memory of 1,000 open streams", "")),
        (
            ("events", "1,000 streams", "cpu_per_order"),
            (1.051,),
            ("P10", "CPU to accept an order beside 1,000 streams", "1.00 ms without streams"),
        ),
        (
            ("webhooks", "healthy receiver alone", "delay_p99"),
            (50.1,),
            ("P11", "readable event to its webhook, p99", ""),
        ),
        (
            ("webhooks", "beside a dead and a slow one", "delay_median"),
            (11.01,),
            ("P11", "the same beside a dead and a slow receiver, median", "10.0 ms alone"),
        ),
        *(
            (("startup", name, "seconds"), (1.501,), ("P8", name, "1.00 s bare uvicorn + FastAPI"))
            for name in ("order_api, first answer", "order_processor, first poll")
        ),
    ],
)
def test_just_beyond_its_bar_a_goal_is_missed_and_no_other(
    key: Key, beyond: tuple[float, ...], line: tuple[str, str, str]
) -> None:
    assert missed(judge(run({key: beyond}))) == [line]


def test_a_ratio_is_the_median_of_what_the_rounds_say() -> None:
    """0.2, 1 and 0.75, though the medians are 4 and 8: only what was measured side by side is compared."""
    changed: Mapping[Key, tuple[float, ...]] = {
        ACCEPT_CPU: (2, 4, 6),
        ("accept", "ours, every token new", "cpu_per_order"): (2, 4, 6),
        ("accept", "usual endpoint", "cpu_per_order"): (10, 4, 8),
    }
    accepted = judge(run(changed))[0]
    assert (accepted.ours, accepted.peer, accepted.ratio) == ("4.00 ms", "8.00 ms usual endpoint", "0.75")
    assert accepted.met is False


def test_rounds_without_a_counterpart_are_not_compared() -> None:
    with pytest.raises(ValueError, match="zip"):
        judge(run({ACCEPT_CPU: (0.4, 0.4)}))


@pytest.mark.parametrize(
    ("comparison", "goals"),
    [
        ("accept", {"P1", "P2"}),
        ("consume", {"P3", "P4"}),
        ("cost", {"P5"}),
        ("latency", {"P6"}),
        ("hot", {"P7"}),
        ("startup", {"P8"}),
        ("events", {"P10"}),
        ("webhooks", {"P11"}),
    ],
)
def test_a_part_of_a_run_is_judged_by_its_own_goals(comparison: str, goals: set[str]) -> None:
    assert {each.goal for each in judge({comparison: run({})[comparison]})} == goals


def test_the_goals_come_in_their_order_however_the_run_went() -> None:
    backwards = dict(reversed(run({}).items()))
    goals = [each.goal for each in judge(backwards, soaked())]
    assert goals == sorted(goals, key=lambda goal: int(goal[1:]))
    assert goals[-1] == "P11"


def soaked(**changed: float) -> dict[str, Any]:
    """A soak of one process that only just meets the goal."""
    figures = {"cpu_percent_at_rest": 0.999, "cpu_percent_under_load": 50.0, "early_mb": 100.0, "late_mb": 105.0}
    return {"minutes": 60, "processes": [{"name": "order_api", **figures, **changed}]}


@pytest.mark.parametrize(
    ("changed", "verdicts"),
    [
        ({}, ["met", "met"]),
        ({"cpu_percent_at_rest": 1.0}, ["NOT MET", "met"]),
        ({"late_mb": 105.1}, ["met", "NOT MET"]),
        ({"late_mb": 50.0}, ["met", "met"]),
    ],
    ids=["at the bars", "busy at rest", "grown", "shrunk"],
)
def test_a_soak_is_judged_by_rest_and_by_growth(changed: Mapping[str, float], verdicts: list[str]) -> None:
    outcomes = judge_soak(soaked(**changed))
    assert [each.what for each in outcomes] == ["order_api, CPU at rest", "order_api, memory over the hour"]
    assert [each.verdict for each in outcomes] == verdicts


def test_every_process_of_a_soak_is_judged() -> None:
    soak = soaked()
    soak["processes"].append({**soak["processes"][0], "name": "order_processor", "cpu_percent_at_rest": 2.0})
    assert missed(judge({}, soak)) == [("P9", "order_processor, CPU at rest", "")]
