"""Results of preflight and smoke checks, each with a name, a verdict and a detail."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
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
    _: KW_ONLY
    remedy: str = ""
    """Next command after FAIL."""


class Override(StrEnum):
    """Names of the checks that an operator can override with a reason: the service may be broken already."""

    ALARMS = "alarms"
    REJECTED = "rejected"
    TARGETS = "targets"
    TASKS = "tasks"


def overridden(checks: Iterable[Check], despite: Collection[str]) -> list[Check]:
    """Turn the failures that the operator overrides into SKIP."""
    return [
        replace(
            check, verdict=Verdict.SKIP, detail=f"{check.detail} (overridden with --despite {check.name})", remedy=""
        )
        if check.verdict is Verdict.FAIL and check.name in despite
        else check
        for check in checks
    ]


REQUIRED_FOR_ROLLBACK = frozenset({"architecture", "no deployment", "traffic"})
"""Names of the checks that a rollback must pass too."""


def relaxed_for_rollback(checks: Iterable[Check]) -> list[Check]:
    """Return the checks, with SKIP instead of FAIL for those that must not block a rollback of an unhealthy service."""
    return [
        replace(check, verdict=Verdict.SKIP, remedy="")
        if check.verdict is Verdict.FAIL and check.name not in REQUIRED_FOR_ROLLBACK
        else check
        for check in checks
    ]


def refusal(checks: Sequence[Check]) -> str:
    """Return the message of a refusal: the failed checks, and the next command for each."""
    failed = [check for check in checks if check.verdict is Verdict.FAIL]
    remedies = dict.fromkeys(check.remedy for check in failed if check.remedy)
    return "; ".join([f"checks marked FAIL did not pass: {', '.join(check.name for check in failed)}", *remedies])


def passed(checks: Sequence[Check]) -> bool:
    return all(check.verdict is not Verdict.FAIL for check in checks)
