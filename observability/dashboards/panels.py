"""Building blocks of dashboards. Each panel queries Prometheus and has a description."""

from itertools import count
from string import ascii_uppercase

from grafana_foundation_sdk.builders import common, dashboard, stat, timeseries
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, TooltipDisplayMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
)

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
"""Data source that `observability/grafana/provisioning` defines."""

COLUMNS = 24  # columns of Grafana's grid
GRAPH_WIDTH, GRAPH_HEIGHT = COLUMNS // 3, 8
FIGURE_WIDTH, FIGURE_HEIGHT = COLUMNS // 6, 4

BUILD_LABELS = "service, version, commit"
BUILDS = f"count by ({BUILD_LABELS}) (order_build_info)"
NEW_BUILDS = f"{BUILDS} unless count by ({BUILD_LABELS}) (order_build_info offset 2m)"
"""PromQL query for the builds that run now and did not run two minutes ago."""

Row = tuple[str, list[timeseries.Panel | stat.Panel]]
"""Heading and panels of a dashboard row."""


def graph(title: str, description: str, queries: dict[str, str], *, unit: str = "short") -> timeseries.Panel:
    """Return a time series panel. `queries` has PromQL expressions by legend; `unit` is a unit's name in Grafana."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit(unit)
        .min(0)
        .span(GRAPH_WIDTH)
        .height(GRAPH_HEIGHT)
        .fill_opacity(10)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )
    for query in _targets(queries):
        panel.with_target(query)
    return panel


def figure(
    title: str, description: str, expr: str, *, unit: str = "short", bad_from: float | None = None
) -> stat.Panel:
    """Return a panel with the latest value of a PromQL expression, shown in red if it is at least `bad_from`."""
    steps = [Threshold(value=None, color="green")]
    if bad_from is not None:
        steps.append(Threshold(value=bad_from, color="red"))
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit(unit)
        .span(FIGURE_WIDTH)
        .height(FIGURE_HEIGHT)
        .thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
    )
    for query in _targets({title: expr}):
        panel.with_target(query)
    return panel


def board(name: str, title: str, description: str, rows: list[Row]) -> dashboard.Dashboard:
    """Return the builder of a dashboard at `/d/order-{name}`. Annotations mark deployments on its graphs."""
    builder = (
        dashboard.Dashboard(title)
        .uid(f"order-{name}")
        .description(description)
        .tags(["order-platform"])
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-3h", "now")
        .timezone("utc")
        .refresh("30s")
        .annotation(
            dashboard.AnnotationQuery()
            .name("Deployments")
            .datasource(PROMETHEUS)
            .enable(enable=True)
            .icon_color("blue")
            .expr(NEW_BUILDS)
        )
        .link(
            dashboard.DashboardLink("Other dashboards")
            .tags(["order-platform"])
            .as_dropdown(as_dropdown=True)
            .keep_time(keep_time=True)
        )
    )
    ids = count(1)
    for heading, panels in rows:
        builder.with_row(dashboard.Row(heading).id(next(ids)))
        for panel in panels:
            builder.with_panel(panel.id(next(ids)))
    return builder


def _targets(queries: dict[str, str]) -> list[Dataquery]:
    return [
        Dataquery().ref_id(letter).expr(expr).legend_format(legend)
        for letter, (legend, expr) in zip(ascii_uppercase, queries.items(), strict=False)
    ]
