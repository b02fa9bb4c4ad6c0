"""`make model`: check every property of every model exhaustively, then show what each guard is for.

Exit with 1 if a property does not hold, a search is not exhaustive, or the removal of a guard breaks nothing and
`redundant.py` does not say why.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import typer

from tests.model.guards import verdicts
from tests.model.models import MODELS
from tests.model.promela import guards_of
from tests.model.redundant import REDUNDANT
from tests.model.spin import Result, Verifier, missing_programs

SEARCHES = 2
"""Searches at the same time."""
TRACE_STEPS = 60

Property = tuple[Verifier, str, int, bool]
"""A property with its model: its name, its number, and whether it is one of liveness."""


def properties(verifiers: Sequence[Verifier]) -> list[Property]:
    return [
        (verifier, name, number, is_live)
        for verifier in verifiers
        for is_live, named in ((False, verifier.model.always), (True, verifier.model.again))
        for number, name in enumerate(named)
    ]


def check(each: Property) -> Result:
    verifier, _, number, is_live = each
    return verifier.again(number) if is_live else verifier.always(number)


def print_properties(verifiers: Sequence[Verifier], pool: Executor) -> bool:
    """Check every property and print one line for each. Return whether all hold."""
    hold = True
    typer.echo(f"{'model':10} {'property':65} {'states':>10} {'seconds':>8}")
    started, checked = perf_counter(), properties(verifiers)
    for (verifier, name, _, _), result in zip(checked, pool.map(check, checked), strict=True):
        hold &= not result.violated
        verdict = "VIOLATED" if result.violated else "exhaustive"
        typer.echo(f"{verifier.model.name:10} {name:65} {result.states:10,} {result.seconds:8.1f} {verdict}")
        for step in result.trace[-TRACE_STEPS:]:
            typer.echo(f"{'':10} {step}")
    typer.echo(f"{len(checked)} properties of {len(verifiers)} models, {perf_counter() - started:.0f} s\n")
    return hold


def print_guards(verifiers: Sequence[Verifier], only: str, pool: Executor) -> bool:
    """Remove each guard and print what breaks. Return whether each is needed, or has a reason in REDUNDANT."""
    started = perf_counter()
    guards = list(
        dict.fromkeys(each for verifier in verifiers if only in verifier.model.name for each in guards_of(verifier.model))
    )
    explained, unexplained = 0, 0
    typer.echo(f"{'without the guard':42} breaks")
    for name, text, is_right in verdicts(verifiers, guards, REDUNDANT, pool):
        explained += is_right and name in REDUNDANT
        unexplained += not is_right
        typer.echo(f"{name:42} {text}")
    breaking = len(guards) - explained - unexplained
    typer.echo(
        f"{len(guards)} guards: {breaking} break a property, {explained} have a reason in redundant.py, "
        f"{unexplained} have neither; {perf_counter() - started:.0f} s"
    )
    unknown = [] if only else sorted(REDUNDANT.keys() - {name for name, _ in guards})
    if unknown:
        typer.echo(f"redundant.py names guards that do not exist: {', '.join(unknown)}")
    return not unexplained and not unknown


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="name of one model: check its properties, and remove its guards")
    parser.add_argument("--properties", action="store_true", help="do not remove guards")
    arguments = parser.parse_args()
    if sentence := missing_programs():
        typer.echo(sentence, err=True)
        return 1
    with TemporaryDirectory() as folder, ThreadPoolExecutor(SEARCHES) as pool:
        verifiers = list(pool.map(partial(Verifier, folder=Path(folder)), MODELS))
        hold = print_properties([each for each in verifiers if arguments.only in each.model.name], pool)
        return 0 if hold and (arguments.properties or print_guards(verifiers, arguments.only, pool)) else 1


if __name__ == "__main__":
    sys.exit(main())
