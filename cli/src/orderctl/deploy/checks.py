"""A line of a preflight: what was looked at, and whether it holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Verdict(StrEnum):
    OK = "OK"
    SKIP = "SKIP"
    """It could not be looked at, does not apply, or is not asked for; the line says why."""
    FAIL = "FAIL"


@dataclass(frozen=True)
class Check:
    name: str
    verdict: Verdict
    detail: str


NEEDED_ON_THE_WAY_BACK = frozenset({"architecture", "no deployment", "traffic"})
"""By name: without these it leads nowhere."""


def eased(checks: Iterable[Check]) -> list[Check]:
    """For a way back, which is taken because something is wrong: that is told, and keeps nobody from it."""
    return [
        replace(check, verdict=Verdict.SKIP)
        if check.verdict is Verdict.FAIL and check.name not in NEEDED_ON_THE_WAY_BACK
        else check
        for check in checks
    ]


def passed(checks: Sequence[Check]) -> bool:
    return all(check.verdict is not Verdict.FAIL for check in checks)
