"""Write the dashboards as JSON files for Grafana."""

import json
from collections.abc import Callable
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from observability.dashboards.customer import customer
from observability.dashboards.deployment import deployment
from observability.dashboards.invariants import invariants
from observability.dashboards.processor import processor
from observability.dashboards.webhooks import webhooks

DIRECTORY = Path(__file__).parents[1] / "grafana" / "dashboards"
BOARDS: tuple[Callable[[], Dashboard], ...] = (customer, processor, webhooks, deployment, invariants)


def files() -> dict[str, str]:
    """Return the content of each dashboard file, by file name."""
    return {
        f"{make.__name__}.json": json.dumps(make().build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        for make in BOARDS
    }


if __name__ == "__main__":
    for name, content in files().items():
        (DIRECTORY / name).write_text(content)
