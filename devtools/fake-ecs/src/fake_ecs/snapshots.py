"""The fake's state at one moment, given back as often as wanted: a fresh account without a new fake."""

import copy
from collections.abc import Sequence
from typing import Any, Protocol


class Part(Protocol):
    @property
    def changing(self) -> tuple[str, ...]:
        """Names of the attributes that requests and time change; all else stays as it was made."""


class Snapshot:
    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._states: list[dict[str, Any]] = []

    def take(self) -> None:
        self._states = [copy.deepcopy({name: getattr(part, name) for name in part.changing}) for part in self._parts]

    def restore(self) -> None:
        """Nobody may be asking the fake meanwhile."""
        for part, state in zip(self._parts, self._states, strict=True):
            vars(part).update(copy.deepcopy(state))
