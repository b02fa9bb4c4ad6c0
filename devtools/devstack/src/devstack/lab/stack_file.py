"""Addresses and process ids of the running stack, as the supervisor writes them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class StackFile:
    """The file `stack.json`. It is read at each use, because a restarted process has another id."""

    path: Path

    def read(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.path.read_bytes())
        return content

    def pid(self, name: str) -> int:
        return int(self.read()["pids"][name])
