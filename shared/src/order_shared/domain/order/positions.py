"""Position of a reader in the log of a tenant's events."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Position of a reader. `sequence` is the number of the next event to read."""

    epoch: int
    sequence: int
