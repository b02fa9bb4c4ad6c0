"""`make model`: check every property of every model exhaustively, then show what each guard is for.

Exit with 1 if a property does not hold, a search is not exhaustive, or the removal of a guard breaks nothing and
`redundant.py` does not say why.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import typer

from tests.model.models import MODELS
from tests.model.promela import Guard, Model, guards_of
from tests.model.redundant import REDUNDANT
from tests.model.spin import Result, Verifier, missing_programs


@dataclass(frozen=True)
class Finding:
    """What the removal of guards breaks: a property of a model."""

    model: str
    broken: str
    result: Result


def properties(model: Model) -> Iterator[tuple[str, int, bool]]:
    """Yield every property of a model: its name, its number, and whether it is one of liveness."""
    yield from ((name, number, False) for number, name in enumerate(model.always))
    yield from ((name, number, True) for number, name in enumerate(model.again))


def check(verifier: Verifier, number: int, *, is_live: bool) -> Result:
    return verifier.again(number) if is_live else verifier.always(number)


def broken_by(verifiers: list[Verifier], guards: tuple[Guard, ...]) -> Finding | None:
    """Return the first property that does not hold without these guards."""
    for verifier in verifiers:
        model = verifier.model
        numbers = guards_of(model)
        removed = [numbers.index(guard) for guard in guards if guard in numbers]
        if len(removed) < len(guards):
            continue
        if model.always:
            result = verifier.always(removed=removed)
            if result.violated:
                return Finding(model.name, list(model.always)[result.number], result)
        for number, name in enumerate(model.again):
            result = verifier.again(number, removed)
            if result.violated:
                return Finding(model.name, name, result)
    return None


def print_properties(verifiers: list[Verifier]) -> bool:
    """Check every property and print one line for each. Return whether all hold."""
    hold = True
    typer.echo(f"{'model':10} {'property':70} {'states':>10} {'seconds':>8}")
    started = perf_counter()
    for verifier in verifiers:
        for name, number, is_live in properties(verifier.model):
            result = check(verifier, number, is_live=is_live)
            hold &= not result.violated
            verdict = "VIOLATED" if result.violated else "exhaustive"
            typer.echo(f"{verifier.model.name:10} {name:70} {result.states:10,} {result.seconds:8.1f} {verdict}")
    typer.echo(f"{'':10} {'all properties':70} {'':10} {perf_counter() - started:8.1f}\n")
    return hold


def print_guards(verifiers: list[Verifier]) -> bool:
    """Remove each guard and print what breaks. Return whether each is needed, or has a reason in REDUNDANT."""
    needed = True
    guards = dict.fromkeys(guard for verifier in verifiers for guard in guards_of(verifier.model))
    by_name = {name: (name, text) for name, text in guards}
    typer.echo(f"{'without the guard':58} breaks")
    for guard in guards:
        name = guard[0]
        finding = broken_by(verifiers, (guard,))
        if finding is not None:
            typer.echo(f"{name:58} {finding.model}: {finding.broken}")
        elif name in REDUNDANT:
            reason, partners = REDUNDANT[name]
            together = broken_by(verifiers, (guard, *(by_name[each] for each in partners))) if partners else None
            needed &= not partners or together is not None
            also = f"; without {' and '.join(partners)} too: {together.broken}" if together else ""
            typer.echo(f"{name:58} nothing: {reason}{also}")
        else:
            needed = False
            typer.echo(f"{name:58} NOTHING, and redundant.py does not say why")
    return needed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="name of one model")
    parser.add_argument("--properties", action="store_true", help="do not remove guards")
    arguments = parser.parse_args()
    if sentence := missing_programs():
        typer.echo(sentence, err=True)
        return 1
    with TemporaryDirectory() as folder:
        verifiers = [Verifier(model, Path(folder)) for model in MODELS if arguments.only in model.name]
        hold = print_properties(verifiers)
        return 0 if hold and (arguments.properties or print_guards(verifiers)) else 1


if __name__ == "__main__":
    sys.exit(main())
