"""Rates of counters, and quantiles of histograms."""

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from order_operations.live.exposition import Sample, Series
from order_operations.live.rates import Rates, growth_per_second, quantile

NAMES = ("a_total", "b_total", "c_total")
BOUNDS = (0.1, 0.5, 1.0, 5.0)

counts = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 10_000).map(float))
seconds = st.sampled_from((0.5, 1.0, 2.0, 8.0))
observations = st.lists(st.floats(0.001, 10.0), min_size=1, max_size=50)


def sample(at: float, counters: dict[str, float]) -> Sample:
    series: dict[Series, float] = {(name, frozenset()): value for name, value in counters.items()}
    return Sample(
        at=at, families=frozenset(name.removesuffix("_total") for name in counters), counters=series, gauges={}
    )


def buckets_of(values: list[float]) -> list[tuple[float, float]]:
    """Return cumulative buckets, as a histogram exports them."""
    return [*((bound, float(sum(value <= bound for value in values))) for bound in BOUNDS), (math.inf, len(values))]


@given(counts, counts, seconds)
def test_a_rate_is_the_increase_per_second(start: dict[str, float], added: dict[str, float], elapsed: float) -> None:
    after = {name: start.get(name, 0.0) + added.get(name, 0.0) for name in {*start, *added}}
    growth = growth_per_second(sample(10.0, start), sample(10.0 + elapsed, after))
    assert {name: rate * elapsed for (name, _), rate in growth.items()} == {
        name: pytest.approx(added.get(name, 0.0)) for name in after
    }


@given(counts, counts, seconds)
def test_a_rate_is_never_negative(before: dict[str, float], after: dict[str, float], elapsed: float) -> None:
    growth = growth_per_second(sample(0.0, before), sample(elapsed, after))
    assert all(rate >= 0 for rate in growth.values())


def test_after_a_restart_all_counters_start_at_zero() -> None:
    before = sample(0.0, {"a_total": 100.0, "b_total": 1.0})
    after = sample(2.0, {"a_total": 4.0, "b_total": 6.0})
    assert growth_per_second(before, after) == {("a_total", frozenset()): 2.0, ("b_total", frozenset()): 3.0}


def test_a_missing_series_is_a_restart_too() -> None:
    before = sample(0.0, {"a_total": 3.0, "b_total": 5.0})
    assert growth_per_second(before, sample(1.0, {"b_total": 5.0})) == {("b_total", frozenset()): 5.0}


def test_rates_of_tasks_with_different_intervals_are_added() -> None:
    one = sample(0.0, {"a_total": 0.0}), sample(2.0, {"a_total": 10.0})
    other = sample(0.0, {"a_total": 50.0}), sample(1.0, {"a_total": 51.0})
    rates = Rates.between([one, other])
    assert rates.counter("a") == 6.0
    assert rates.counter("b") is None
    assert Rates.between([]).counter("a") is None


@given(observations, st.floats(0.01, 1.0))
def test_a_quantile_is_in_the_bucket_of_its_rank(values: list[float], q: float) -> None:
    found = quantile(buckets_of(values), q)
    rank = max(1, math.ceil(q * len(values)))
    bucket = bisect_left(BOUNDS, sorted(values)[rank - 1])
    assert found is not None
    if bucket == len(BOUNDS):
        assert found == BOUNDS[-1]
    else:
        assert (0.0, *BOUNDS)[bucket] <= found <= BOUNDS[bucket]


@given(observations, st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_a_higher_quantile_is_never_lower(values: list[float], one: float, other: float) -> None:
    low, high = (quantile(buckets_of(values), q) for q in sorted((one, other)))
    assert low is not None
    assert high is not None
    assert low <= high + 1e-9


def test_a_quantile_is_interpolated_within_its_bucket() -> None:
    assert quantile([(1.0, 0.0), (2.0, 10.0), (math.inf, 10.0)], 0.5) == 1.5
    assert quantile([(1.0, 4.0), (2.0, 4.0), (math.inf, 8.0)], 0.99) == 2.0


def test_there_is_no_quantile_without_observations() -> None:
    assert quantile([], 0.5) is None
    assert quantile([(1.0, 0.0), (math.inf, 0.0)], 0.5) is None


def test_the_output_of_a_registry_is_parsed() -> None:
    registry = CollectorRegistry()
    ended = Counter("ended", "…", ["status"], registry=registry)
    took = Histogram("took_seconds", "…", buckets=BOUNDS, registry=registry)
    parked = Gauge("parked", "…", ["shard"], registry=registry)
    before = Sample.parse(generate_latest(registry).decode(), 0.0)
    ended.labels("confirmed").inc(3)
    ended.labels("rejected").inc()
    for value in (0.2, 0.2, 0.7, 7.0):
        took.observe(value)
    parked.labels("1").set(2)
    parked.labels("2").set(7)
    after = Sample.parse(generate_latest(registry).decode(), 2.0)
    rates = Rates.between([(before, after)])
    assert rates.counter("ended") == 2.0
    assert rates.counter("ended", lambda labels: labels["status"] == "rejected") == 0.5
    assert rates.quantile("took_seconds", 0.5) == 0.5
    assert rates.quantile("took_seconds", 0.99) == 5.0
    assert (after.gauge("parked"), after.gauge("absent")) == (7.0, None)


def test_a_counter_without_increments_is_zero_and_a_missing_metric_is_unknown() -> None:
    registry = CollectorRegistry()
    Counter("ended", "…", ["status"], registry=registry)
    looks = [Sample.parse(generate_latest(registry).decode(), at) for at in (0.0, 1.0)]
    rates = Rates.between([(looks[0], looks[1])])
    assert (rates.counter("ended"), rates.counter("begun"), rates.quantile("took_seconds", 0.5)) == (0.0, None, None)


def test_text_that_is_not_an_exposition_is_rejected() -> None:
    with pytest.raises(ValueError, match="invalid metric name"):
        Sample.parse("<html>moved</html>", 0.0)
