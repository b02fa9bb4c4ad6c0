"""The rules are valid, each alert is tested firing and silent, and has a runbook."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.observability.exposed import series
from tests.observability.expressions import (
    OBSERVABILITY,
    OF_PROMETHEUS,
    ROOT,
    alerts,
    expressions,
    metrics_of,
    recorded,
)
from tests.prometheus import needs_prometheus, program

PROMETHEUS = OBSERVABILITY / "prometheus"
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))


def promtool(*arguments: str | Path) -> None:
    """Run promtool, and fail with its output if it fails."""
    command = [str(program("promtool")), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
def test_the_configuration_is_valid() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")


@needs_prometheus
def test_the_alerts_fire_when_they_should() -> None:
    promtool("test", "rules", *TESTS)


@needs_prometheus
def test_every_expression_is_valid(tmp_path: Path) -> None:
    """Dashboard expressions are checked as recording rules."""
    as_rules = [{"record": f"expression:{n}", "expr": expr} for n, expr in enumerate(expressions().values())]
    file = tmp_path / "expressions.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "expressions", "rules": as_rules}]}))
    promtool("check", "rules", file)


@pytest.mark.parametrize(("place", "expr"), expressions().items(), ids=lambda each: str(each)[:40])
def test_every_metric_is_exported(place: str, expr: str) -> None:
    unknown = metrics_of(expr) - series() - recorded() - OF_PROMETHEUS
    assert unknown == set(), f"{place} asks for what no service says"


def test_metrics_are_found_in_an_expression() -> None:
    expr = (
        'sum by (le, commit) (rate(order_a_bucket{job=~"order_x|b", le="1.0"}[5m])) / on (order_l) group_left ()'
        ' order:b:rate5m unless time() - max_over_time(order_c[1h:5m] offset 2m) > 0.99 or ALERTS{x="y"}'
    )
    assert metrics_of(expr) == {"order_a_bucket", "order:b:rate5m", "order_c", "ALERTS"}


def test_every_recorded_series_is_used() -> None:
    assert recorded() - set().union(*map(metrics_of, expressions().values())) == set()


def covered(*, firing: bool) -> set[str]:
    """Return the alerts that tests expect to fire, or to be silent."""
    cases: list[dict[str, Any]] = [
        case
        for path in TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for case in test.get("alert_rule_test", [])
    ]
    return {case["alertname"] for case in cases if bool(case.get("exp_alerts")) is firing}


def test_every_alert_is_tested_firing_and_silent() -> None:
    assert covered(firing=True) == covered(firing=False) == {alert["alert"] for alert in alerts()}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: str(alert["alert"]))
def test_every_alert_has_a_description_and_a_runbook(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    document, _, anchor = alert["annotations"]["runbook"].partition("#")
    assert anchor in anchors(ROOT / document)


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_alert_is_in_the_operators_table() -> None:
    """An alert with a CloudWatch alarm shares its row: OrderQueueAge is `queue-age`."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = text.partition("## An alarm is on")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)
    names = ["Order" + "".join(word.capitalize() for word in line.split("-")) for line in lines]
    assert sorted(names) == sorted(alert["alert"] for alert in alerts())
