"""Removal of guards: which property of which model breaks without each guard of the table."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from tests.model.promela import Guard, guards_of
from tests.model.spin import Truncated, Verifier

Reasons = Mapping[str, tuple[str, tuple[str, ...]]]
"""Reason and partners of each guard whose removal breaks nothing: REDUNDANT."""


@dataclass(frozen=True)
class Finding:
    """Result of the removal of one guard. `broken` is empty if every property of every model still holds."""

    guard: Guard
    broken: str = ""
    unfinished: str = ""
    """Model whose search ended early, so that nothing is proved."""


def search(verifiers: Sequence[Verifier], guards: tuple[Guard, ...]) -> Finding:
    """Return the first property that does not hold without these guards. States are searched before cycles."""
    numbers = {verifier: guards_of(verifier.model) for verifier in verifiers}
    removed = {
        verifier: [known.index(guard) for guard in guards if guard in known] for verifier, known in numbers.items()
    }
    concerned = [verifier for verifier in verifiers if len(removed[verifier]) == len(guards)]
    unfinished = ""
    for verifier in concerned:
        if verifier.model.always:
            try:
                result = verifier.always(removed=removed[verifier])
            except Truncated:
                unfinished = verifier.model.name
                continue
            if result.violated:
                return Finding(guards[0], f"{verifier.model.name}: {list(verifier.model.always)[result.number]}")
    for verifier in concerned:
        for number, name in enumerate(verifier.model.again):
            try:
                result = verifier.again(number, removed[verifier])
            except Truncated:
                unfinished = verifier.model.name
                continue
            if result.violated:
                return Finding(guards[0], f"{verifier.model.name}: {name}")
    return Finding(guards[0], unfinished=unfinished)


def verdicts(
    verifiers: Sequence[Verifier], guards: Sequence[Guard], reasons: Reasons, pool: Executor
) -> Iterator[tuple[str, str, bool]]:
    """Yield the name of each guard, what its removal breaks, and whether that is as it should be."""
    named = {guard[0]: guard for verifier in verifiers for guard in guards_of(verifier.model)}

    def judge(guard: Guard) -> tuple[str, str, bool]:
        name = guard[0]
        finding = search(verifiers, (guard,))
        if finding.broken:
            stale = "; redundant.py gives a reason that is not needed" if name in reasons else ""
            return name, finding.broken + stale, not stale
        if finding.unfinished:
            return name, f"UNKNOWN: the search of {finding.unfinished} ended early", False
        if name not in reasons:
            return name, "NOTHING, and redundant.py gives no reason", False
        reason, partners = reasons[name]
        if not partners:
            return name, f"nothing: {reason}", True
        together = search(verifiers, (guard, *(named[each] for each in partners))).broken
        without = f"without {', '.join(partners)} too: {together or 'NOTHING'}"
        return name, f"nothing: {reason}; {without}", bool(together)

    yield from pool.map(judge, guards)
