"""Exported metrics follow the naming conventions and are documented."""

import re
import subprocess

import pytest

from tests.observability.exposed import catalogued, families, services
from tests.observability.expressions import ROOT
from tests.prometheus import needs_prometheus, program

ROW = re.compile(r"^\| `(?P<name>order_\w+)` \| (?P<type>\w+) \|", re.MULTILINE)


def test_every_name_begins_with_order() -> None:
    assert [family.name for family in families() if not family.name.startswith("order_")] == []


def test_the_catalogue_matches_the_exported_metrics() -> None:
    text = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    assert {row["name"]: row["type"] for row in ROW.finditer(text)} == catalogued()


@needs_prometheus
@pytest.mark.parametrize("service", ["order-api", "order-processor", "order-notifier"])
def test_names_follow_the_conventions(service: str) -> None:
    done = subprocess.run(
        [str(program("promtool")), "check", "metrics"],
        input=services()[service].exposition(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
