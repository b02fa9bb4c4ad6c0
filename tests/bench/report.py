"""A run for readers: the goals on the terminal, and the tables and the plot of `docs/benchmarks.md`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure as Plot
from rich.table import Table

from tests.bench import latency
from tests.bench.figures import Figure
from tests.bench.goals import Measured, Outcome, judge
from tests.bench.results import DOCS, read_results

PAGE = Path("docs/benchmarks.md")
BEGIN, END = "<!-- made by make bench: begin -->", "<!-- made by make bench: end -->"
PLOT = DOCS / "latency.svg"
COLOURS = {latency.OURS: "#1f6f8b", latency.BARE: "#99a8b2"}


def goals_table(outcomes: Iterable[Outcome]) -> Table:
    table = Table("goal", "what", "ours", "peer", "ratio", "bar", "met")
    for each in outcomes:
        table.add_row(each.goal, each.what, each.ours, each.peer, each.ratio, each.bar, each.verdict)
    return table


def write_page(part: str, page: Path = PAGE) -> None:
    """Puts what was measured between the page's two marks. Raises ValueError if they are not there."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for the tables")
    page.write_text(f"{before}{begin}\n\n{part}\n\n{end}{after}", encoding="utf-8")


def made(document: Mapping[str, Any], soak: Mapping[str, Any] | None) -> str:
    """What the page has of a run and of the last soak: their two documents, in words."""
    origin, results = document["provenance"], read_results(document)
    versions = ", ".join(f"{name} {version}" for name, version in origin["versions"].items())
    where = f"{origin['processor']}, {origin['cores']} cores, {origin['system']}, Python {origin['python']}"
    parts = [
        f"{origin['day']}, commit `{origin['commit']}`, {where}, {document['minutes']} minutes. {versions}.",
        _markdown(
            ("goal", "what", "ours", "peer", "ratio", "bar", ""),
            [
                (each.goal, each.what, each.ours, each.peer, each.ratio, each.bar, each.verdict)
                for each in judge(results, soak)
            ],
        ),
        "### Every figure\n\nMedian of the rounds, least to greatest.",
        *(f"**{name}**\n\n{_figures_table(figures)}" for name, figures in results.items()),
    ]
    return "\n\n".join(parts)


def _figures_table(figures: Sequence[Figure]) -> str:
    rows = []
    for figure in figures:
        least, greatest = map(_number, figure.spread)
        quantity = figure.quantity.replace("_", " ")
        rows.append((figure.subject, quantity, _number(figure.median), f"{least} to {greatest}", figure.unit))
    return _markdown(("subject", "quantity", "median", "spread", "unit"), rows)


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw_latency(figures: Sequence[Figure], path: Path = PLOT) -> None:
    """Quantiles of both subjects against the load; equal for equal figures."""
    measured = Measured(figures)
    mpl.rcParams["svg.hashsalt"] = "latency"
    plot = Plot(figsize=(7, 3.6), layout="constrained")
    axes = plot.subplots()
    loads = [f"{share:.0%}" for share in latency.SHARES]
    for name, colour in COLOURS.items():
        for quantile, style in (("p50", "-"), ("p99", "--"), ("p99.9", ":")):
            values = [measured.get(f"{name} at {load}", quantile).median for load in loads]
            axes.plot(loads, values, style, color=colour, marker="o", label=f"{name}, {quantile}")
    axes.set_xlabel("share of what one process can take, open loop")
    axes.set_ylabel("milliseconds")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(path, metadata={"Date": None})
