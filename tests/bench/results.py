"""What a run has found, as it is kept: JSON beside the documents that show it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure
from tests.bench.provenance import Provenance

DOCS = Path("docs/benchmarks")
LATEST = DOCS / "latest.json"

Results = Mapping[str, Sequence[Figure]]
"""Figures by comparison."""


def write(path: Path, content: Mapping[str, Any]) -> None:
    """With where it comes from."""
    document = {"provenance": asdict(Provenance.of_this_run()), **content}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def write_results(results: Results, minutes: float) -> None:
    comparisons = {
        name: [
            {**asdict(figure), "median": figure.median, "spread": figure.spread, "values": list(figure.values)}
            for figure in figures
        ]
        for name, figures in results.items()
    }
    write(LATEST, {"minutes": round(minutes, 1), "comparisons": comparisons})


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def read_results(document: Mapping[str, Any]) -> dict[str, list[Figure]]:
    return {
        name: [
            Figure(each["subject"], each["quantity"], each["unit"], tuple(map(float, each["values"])))
            for each in figures
        ]
        for name, figures in document["comparisons"].items()
    }
