"""A line of a preflight: what was looked at, and whether it holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "OK"
    SKIP = "SKIP"
    """It could not be looked at, or does not apply; the line says why."""
    NG = "NG"


@dataclass(frozen=True)
class Check:
    name: str
    verdict: Verdict
    detail: str


def passed(checks: Sequence[Check]) -> bool:
    return all(check.verdict is not Verdict.NG for check in checks)
