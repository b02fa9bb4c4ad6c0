"""The committed dashboards match the code, and their references resolve."""

import json

import yaml

from observability.dashboards.__main__ import files
from tests.observability.expressions import DASHBOARDS, OBSERVABILITY

PROVISIONING = OBSERVABILITY / "grafana" / "provisioning"


def test_the_committed_dashboards_match_the_code() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in DASHBOARDS.iterdir()}
    assert committed == files(), "run `make dashboards`"


def test_every_panel_uses_the_provisioned_data_source() -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
    for content in files().values():
        board = json.loads(content)
        panels = [panel for panel in board["panels"] if panel["type"] != "row"]
        assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
        assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels)


def test_ids_and_titles_are_unique() -> None:
    boards = [json.loads(content) for content in files().values()]
    assert len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) == 5
    for board in boards:
        ids = [panel["id"] for panel in board["panels"]]
        assert sorted(ids) == list(range(1, len(ids) + 1))


def test_no_panels_overlap() -> None:
    for content in files().values():
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(content)["panels"]:
            place = panel["gridPos"]
            columns = range(place["x"], place["x"] + place["w"])
            cells = {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}
            assert columns.stop <= 24
            assert not cells & taken, panel["title"]
            taken |= cells
