"""All expressions of rules and dashboards, and the metrics that they use."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
OBSERVABILITY = ROOT / "observability"
RULES = OBSERVABILITY / "prometheus" / "rules"
DASHBOARDS = OBSERVABILITY / "grafana" / "dashboards"

OF_PROMETHEUS = {"up", "ALERTS"}
"""What Prometheus itself says."""

WORDS = {"and", "or", "unless", "offset", "bool"}
GROUPINGS = ("by", "without", "on", "ignoring", "group_left", "group_right")


def rules(file: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((RULES / file).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return rules("alerts.yml")


def recorded() -> set[str]:
    return {rule["record"] for rule in rules("recording.yml")}


def panels() -> dict[str, list[str]]:
    """Return the expressions of each panel by location, in the form for Prometheus."""
    return {
        f"{path.stem}: {panel['title']}": [runnable(target["expr"]) for target in panel["targets"]]
        for path in sorted(DASHBOARDS.glob("*.json"))
        for panel in json.loads(path.read_text())["panels"]
        if panel["type"] != "row"
    }


def annotations() -> dict[str, str]:
    """Return the expression of each dashboard's annotations."""
    return {
        f"{path.stem}: {mark['name']}": mark["expr"]
        for path in sorted(DASHBOARDS.glob("*.json"))
        for mark in json.loads(path.read_text())["annotations"]["list"]
    }


def expressions() -> dict[str, str]:
    """Return all expressions by location."""
    of_rules = {rule.get("alert") or rule["record"]: rule["expr"] for rule in [*rules("recording.yml"), *alerts()]}
    of_panels = {f"{place} {n}": expr for place, exprs in panels().items() for n, expr in enumerate(exprs)}
    return of_rules | of_panels | annotations()


def runnable(expr: str) -> str:
    """Replace Grafana's variable by a range."""
    return expr.replace("$__rate_interval", "1m")


def metrics_of(expr: str) -> set[str]:
    """Return the names of the series in an expression."""
    bare = re.sub(r'"[^"]*"', "", expr)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", bare)
    bare = re.sub(rf"\b({'|'.join(GROUPINGS)})\s*\([^)]*\)", "", bare)
    names = re.findall(r"(?<![\w:.])[A-Za-z_:][\w:]*(?![\w:]|\s*\()", bare)
    return set(names) - WORDS
