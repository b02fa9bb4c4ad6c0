"""The dashboards are what the code makes of them, and Grafana finds all that they name."""

import json

import yaml

from observability.dashboards.__main__ import files
from tests.observability.expressions import DASHBOARDS, OBSERVABILITY

PROVISIONING = OBSERVABILITY / "grafana" / "provisioning"


def test_the_committed_ones_are_the_codes() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in DASHBOARDS.iterdir()}
    assert committed == files(), "run `make dashboards`"


def test_every_panel_asks_the_data_source_that_is_provisioned() -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
    for content in files().values():
        board = json.loads(content)
        panels = [panel for panel in board["panels"] if panel["type"] != "row"]
        assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
        assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels)


def test_nothing_is_there_twice() -> None:
    boards = [json.loads(content) for content in files().values()]
    assert len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) == 4
    for board in boards:
        ids = [panel["id"] for panel in board["panels"]]
        assert sorted(ids) == list(range(1, len(ids) + 1))


def test_no_panel_lies_over_another() -> None:
    for content in files().values():
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(content)["panels"]:
            place = panel["gridPos"]
            columns = range(place["x"], place["x"] + place["w"])
            cells = {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}
            assert columns.stop <= 24
            assert not cells & taken, panel["title"]
            taken |= cells
