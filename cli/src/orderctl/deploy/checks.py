"""Results of preflight and smoke checks, each with a name, a verdict and a detail."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Verdict(StrEnum):
    OK = "OK"
    SKIP = "SKIP"
    """Not checked: impossible, not applicable or not requested. The detail gives the reason."""
    FAIL = "FAIL"


@dataclass(frozen=True)
class Check:
    name: str
    verdict: Verdict
    detail: str


REQUIRED_FOR_ROLLBACK = frozenset({"architecture", "no deployment", "traffic"})
"""Names of the checks that a rollback must pass too."""


def relaxed_for_rollback(checks: Iterable[Check]) -> list[Check]:
    """Return the checks, with SKIP instead of FAIL for those that must not block a rollback of an unhealthy service."""
    return [
        replace(check, verdict=Verdict.SKIP)
        if check.verdict is Verdict.FAIL and check.name not in REQUIRED_FOR_ROLLBACK
        else check
        for check in checks
    ]


def passed(checks: Sequence[Check]) -> bool:
    return all(check.verdict is not Verdict.FAIL for check in checks)
