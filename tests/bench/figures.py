"""What a comparison measures: a figure of one subject, once in each round."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

Say = Callable[[str], None]
"""Tells the reader how it goes, a line at a time."""


@dataclass(frozen=True)
class Figure:
    """`subject` is what was measured, `quantity` what of it, in `unit`; `values` has one value of each round.

    Rounds of different subjects are interleaved, so that values of one round were measured side by side.
    """

    subject: str
    quantity: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest."""
        return min(self.values), max(self.values)
