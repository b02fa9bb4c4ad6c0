"""Every alarm rings in time when its fault happens, and stays silent otherwise, however late its metrics come.

An alarm rings when it goes to ALARM, or from OK to INSUFFICIENT_DATA if it notifies of that.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise, product
from typing import Any

import pytest

from infra import alarms
from infra.alarms import LATE_MINUTES, PROCESSOR_ROLLBACK, Alarm
from order_shared.backoff import doubled
from order_shared.messaging.consumer.options import ConsumerOptions
from tests.infra.alarms.evaluation import ALARM, INSUFFICIENT, OK, AlarmDefinition, Metric, Samples, states
from tests.infra.alarms.lateness import Lateness, all_alike, arrivals, latenesses
from tests.infra.alarms.scenarios import BEGIN, FAULTS, MINUTES, UNDISTURBED, Scenario, fault
from tests.infra.synthesis import every

QUIET_MINUTES = 30


@cache
def definitions() -> dict[str, Alarm]:
    """Return the alarms of `infra/alarms.py` by their labels."""
    found = [each for each in vars(alarms).values() if isinstance(each, Alarm)]
    found += [*alarms.THROTTLES.values(), alarms.no_orders(QUIET_MINUTES)]
    return {alarm.label: alarm for alarm in found}


def series_of(metric: Mapping[str, Any]) -> str:
    """Return the name that scenarios give to a metric of the stacks."""
    dimensions = metric.get("dimensions", {})
    if "TargetGroup" in dimensions:
        (which,) = re.findall(r"aws_lb_target_group\.(\w+)_target_group", dimensions["TargetGroup"])
    elif "QueueName" in dimensions:
        dead, changes = dimensions["QueueName"].endswith("-dead"), "-order-changes" in dimensions["QueueName"]
        which = ("changes_dead" if dead else "changes") if changes else ("dead" if dead else "work")
    elif "TableName" in dimensions:
        index = dimensions.get("GlobalSecondaryIndexName")
        which = dimensions["TableName"].rpartition("-")[2] + (f"/{index}" if index else "")
    else:
        return str(metric["metric_name"])
    return f"{metric['metric_name']}/{which}"


@cache
def synthesized() -> dict[str, list[AlarmDefinition]]:
    """Return the different forms of each alarm in all stacks, by its label."""
    found: dict[str, list[AlarmDefinition]] = {}
    for resource in every("aws_cloudwatch_metric_alarm"):
        alarm = AlarmDefinition.read(resource.body, series_of)
        forms = found.setdefault(resource.name.removesuffix("_alarm"), [])
        stands_by = resource.stack.region != resource.stack.environment.home  # where nothing has to report
        if alarm not in forms and not stands_by:
            forms.append(alarm)
    return found


def rings(alarm: AlarmDefinition, scenario: Scenario, lateness: Lateness, *, fills_always: bool) -> Iterator[int]:
    """Yield the minutes at which the alarm rings."""
    arrived = arrivals(scenario, lateness)
    found = states(alarm, arrived, MINUTES, fills_always=fills_always)
    for minute, (before, after) in enumerate(pairwise([INSUFFICIENT, *found])):
        if before != after and (after == ALARM or (before, after) == (OK, INSUFFICIENT)):
            yield minute


def concerns(alarm: AlarmDefinition, scenario: Scenario) -> bool:
    """Return False for a scenario of two fleets and an alarm of one."""
    names = {metric.series.partition("/")[2] for metric in alarm.metrics.values()}
    return not scenario.has_green or "green" in names or "blue" not in names


def faults_of(alarm: AlarmDefinition, label: str) -> list[str]:
    """Return what is wrong with an alarm: when it does not ring in time, or rings without need."""
    readings = (False, True) if "FILL" in alarm.expression else (False,)
    found = (
        fault_in(scenario, label, [*rings(alarm, scenario, lateness, fills_always=fills_always)])
        for lateness, fills_always in product(latenesses(alarm), readings)
        for scenario in (*UNDISTURBED, *FAULTS[label])
        if concerns(alarm, scenario)
    )
    return [*dict.fromkeys(text for text in found if text is not None)]


def fault_in(scenario: Scenario, label: str, minutes: Sequence[int]) -> str | None:
    """Return what is wrong with the minutes at which an alarm rings in a scenario, or None."""
    if scenario in UNDISTURBED:
        return f"rings {minutes[0] - BEGIN} minutes after the beginning of {scenario.name}" if minutes else None
    if not minutes:
        return f"does not ring when {scenario.name}"
    if not BEGIN < minutes[0] <= BEGIN + definitions()[label].minutes:
        return f"rings {minutes[0] - BEGIN} minutes after it began that {scenario.name}"
    return None


def test_every_alarm_has_a_fault_and_a_definition() -> None:
    assert synthesized().keys() == FAULTS.keys() == definitions().keys()
    assert all(synthesized().values())


@pytest.mark.parametrize("label", FAULTS)
def test_it_rings_in_time_and_only_then(label: str) -> None:
    assert [fault for alarm in synthesized()[label] for fault in faults_of(alarm, label)] == []


def test_every_series_of_an_alarm_is_in_its_faults() -> None:
    """A name that no scenario has would be a metric that never reports."""
    known = {name for scenario in UNDISTURBED for name in scenario.series}
    for label, forms in synthesized().items():
        names = {metric.series for alarm in forms for metric in alarm.metrics.values()}
        assert names & (known | {name for scenario in FAULTS[label] for name in scenario.series}), label


class TestOldForms:
    """The simulation finds what was wrong with the alarms of the last release."""

    @pytest.mark.parametrize(
        ("label", "changes", "expected"),
        [
            ("api_errors", {"datapoints": 2, "periods": 2}, "does not ring when 5 % of the answers are 5xx"),
            ("no_processor", {"missing": "breaching"}, "rings -25 minutes after the beginning of a first start"),
            ("no_orders", {"missing": "breaching"}, "rings -25 minutes after the beginning of a first start"),
        ],
    )
    def test_a_form_that_is_wrong(self, label: str, changes: dict[str, Any], expected: str) -> None:
        (alarm,) = synthesized()[label][:1]
        assert expected in faults_of(replace(alarm, **changes), label)

    def test_a_filled_series_that_must_exist(self) -> None:
        """Two minutes late are two minutes of zeros, and an alarm by night."""
        alarm = AlarmDefinition(
            expression="FILL(healthy, 0)",
            metrics={"healthy": Metric("HealthyHostCount/blue", "Maximum")},
            period=1,
            datapoints=2,
            periods=2,
            threshold=1,
            below=True,
            missing="breaching",
        )
        assert "rings -25 minutes after the beginning of a normal day" in faults_of(alarm, "no_api")


class TestWrongPaymentKey:
    """Ten paid orders within a minute, a key that the provider refuses, and nothing else to do."""

    @staticmethod
    def scenario(wait_share: float) -> Scenario:
        """Return what the processor reports of its attempts, each after a share of the longest wait before it."""
        options = ConsumerOptions()
        refused: Counter[int] = Counter()
        for order in range(10):
            second, deliveries = 6.0 * order, 0
            while second < 60 * (MINUTES - BEGIN):
                refused[int(second // 60)] += 1
                second += wait_share * doubled(deliveries, base=options.retry_base, cap=options.retry_cap)
                deliveries += 1

        def attempts(minute: int) -> Samples:
            return (float(refused[minute - BEGIN]),)

        return fault("the key is wrong", Handlings=attempts, FailedHandlings=attempts, PaymentsRefused=attempts)

    @pytest.mark.parametrize("wait_share", [0.5, 1.0])
    @pytest.mark.parametrize("minutes_late", range(LATE_MINUTES + 1))
    def test_a_deployment_alarm_rings_within_three_minutes_and_the_delay(
        self, wait_share: float, minutes_late: int
    ) -> None:
        scenario = self.scenario(wait_share)
        ringing = {
            definition.label: next(rings(alarm, scenario, all_alike(minutes_late), fills_always=False), None)
            for definition in PROCESSOR_ROLLBACK
            for alarm in synthesized()[definition.label]
        }
        in_time = {label for label, minute in ringing.items() if minute and minute <= BEGIN + 3 + minutes_late}
        assert in_time == {"payments_refused", "failed_handlings"}
