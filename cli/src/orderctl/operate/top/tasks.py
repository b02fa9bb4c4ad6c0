"""Which tasks are asked for their numbers."""

import json
from dataclasses import dataclass
from pathlib import Path

from orderctl.local.stack import STACK_FILE
from orderctl.operate.target import StackNotRunning

SERVICES = API, PROCESSOR = "order-api", "order-processor"


@dataclass(frozen=True)
class Task:
    """A running copy of a service; `address` is its base URL."""

    service: str
    address: str

    @property
    def metrics_url(self) -> str:
        return f"{self.address.rstrip('/')}/metrics"


def local_tasks(state: Path) -> list[Task]:
    """Those of the stack that `orderctl local up` runs. Raises StackNotRunning."""
    try:
        described = json.loads((state / STACK_FILE).read_text())
    except FileNotFoundError:
        raise StackNotRunning(state) from None
    return [Task(API, described["api"]), Task(PROCESSOR, described["processor"])]
