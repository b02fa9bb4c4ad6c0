"""The simulated evaluation decides as AWS's page on missing data does, and metric math as its page says."""

import pytest

from tests.infra.alarms.evaluation import ALARM, INSUFFICIENT, OK, AlarmDefinition, Metric, state_of
from tests.infra.alarms.metric_math import Value, evaluate

BEFORE = "the state before"


def alarm(datapoints: int, missing: str) -> AlarmDefinition:
    return AlarmDefinition(
        expression="m",
        metrics={"m": Metric("m", "Sum")},
        period=5,
        datapoints=datapoints,
        periods=3,
        threshold=0,
        below=False,
        missing=missing,
    )


def points(text: str) -> list[Value]:
    """Read a row of AWS's tables, whose newest data point is the last."""
    values: dict[str, Value] = {"0": 0.0, "X": 1.0, "-": None}
    return [values[mark] for mark in reversed(text.split())]


@pytest.mark.parametrize(
    ("datapoints", "row", "missing", "ignore", "breaching", "not_breaching"),
    [
        (3, "0 - X - X", OK, OK, OK, OK),
        (3, "0 - - - -", OK, OK, OK, OK),
        (3, "- - - - -", INSUFFICIENT, BEFORE, ALARM, OK),
        (3, "0 X X - X", ALARM, ALARM, ALARM, ALARM),
        (3, "- - - - X", INSUFFICIENT, BEFORE, ALARM, OK),
        (3, "X - - - -", ALARM, BEFORE, ALARM, OK),
        (2, "0 - X - X", ALARM, ALARM, ALARM, ALARM),
        (2, "0 0 X 0 X", ALARM, ALARM, ALARM, ALARM),
        (2, "0 - X - -", OK, OK, ALARM, OK),
        (2, "- - - - 0", OK, OK, ALARM, OK),
        (2, "- - - - X", INSUFFICIENT, BEFORE, ALARM, OK),
    ],
)
def test_missing_data_is_treated_as_in_awss_tables(
    datapoints: int, row: str, missing: str, ignore: str, breaching: str, not_breaching: str
) -> None:
    expected = {"missing": missing, "ignore": ignore, "breaching": breaching, "notBreaching": not_breaching}
    found = {treatment: state_of(alarm(datapoints, treatment), points(row), BEFORE) for treatment in expected}
    assert found == expected


@pytest.mark.parametrize(
    ("expression", "metrics", "expected"),
    [
        ("FILL(a, 0) + FILL(b, 0)", {"a": 2.0, "b": None}, 2.0),
        ("a + b", {"a": 2.0, "b": None}, None),
        ("IF(a > 20, 100 * (FILL(b, 0)) / (a), 0)", {"a": 50.0, "b": 5.0}, 10.0),
        ("IF(a > 20, 100 * (FILL(b, 0)) / (a), 0)", {"a": 50.0, "b": None}, 0.0),
        ("IF(a > 20, 100 * (FILL(b, 0)) / (a), 0)", {"a": 3.0, "b": 3.0}, 0.0),
        ("IF(a >= 1, b, 0)", {"a": None, "b": 1.0}, None),
    ],
)
def test_expressions(expression: str, metrics: dict[str, Value], expected: Value) -> None:
    assert evaluate(expression, metrics, fills_always=False) == expected


def test_fill_without_any_data_point_is_taken_both_ways() -> None:
    assert evaluate("FILL(a, 0)", {"a": None}, fills_always=True) == 0
    assert evaluate("FILL(a, 0)", {"a": None}, fills_always=False) is None
