"""`make model`: check every property of every model exhaustively, then show what each guard is for.

Exit with 1 if a property does not hold, a search is not exhaustive, or the removal of a guard breaks nothing and
no `redundant.py` says why.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import typer

from tests.model.guards import verdicts
from tests.model.log.appending import MISTAKE
from tests.model.log.models import LOG_MODELS
from tests.model.log.redundant import REDUNDANT as REDUNDANT_OF_LOG
from tests.model.models import MODELS
from tests.model.promela import guards_of
from tests.model.redundant import REDUNDANT
from tests.model.spin import Result, Verifier, missing_programs

REASONS = {**REDUNDANT, **REDUNDANT_OF_LOG}
SEARCHES = 2
"""Searches at the same time."""
TRACE_STEPS = 60

Check = tuple[Verifier, tuple[str, ...], int | None]
"""One search: a model, the properties that it checks, and the number of the one of liveness; None for all of safety."""


def checks(verifiers: Sequence[Verifier]) -> Iterator[Check]:
    """Yield the searches that check every property: one for all of a model's states, one for each kind of cycle."""
    for verifier in verifiers:
        if verifier.model.always:
            yield verifier, tuple(verifier.model.always), None
        for number, name in enumerate(verifier.model.again):
            yield verifier, (name,), number


def run(each: Check) -> Result:
    verifier, _, number = each
    return verifier.always() if number is None else verifier.again(number)


def print_properties(verifiers: Sequence[Verifier], pool: Executor) -> bool:
    """Check every property and print one line for each. Return whether all hold, and every step of a model is taken."""
    started, searches, hold = perf_counter(), list(checks(verifiers)), True
    taken: set[str] = set()
    typer.echo(f"{'model':11} {'property':65} {'states':>10} {'seconds':>8}")
    for (verifier, names, _), result in zip(searches, pool.map(run, searches), strict=True):
        for number, name in enumerate(names):
            is_broken = result.violated and (len(names) == 1 or number == result.number)
            verdict = "VIOLATED" if is_broken else "not decided" if result.violated else "exhaustive"
            typer.echo(f"{verifier.model.name:11} {name:65} {result.states:10,} {result.seconds:8.1f} {verdict}")
        for step in result.trace[-TRACE_STEPS:]:
            typer.echo(f"{'':11} {step}")
        hold &= not result.violated
        taken |= result.taken
    steps = (step for verifier in verifiers for step in verifier.model.table if step.unseen != MISTAKE)
    untaken = {step.name for step in steps} - taken
    typer.echo(f"steps that no model takes: {', '.join(sorted(untaken)) or '-'}")
    count = sum(len(names) for _, names, _ in searches)
    typer.echo(f"{count} properties of {len(verifiers)} models, {perf_counter() - started:.0f} s; the properties")
    typer.echo("of a model's states are checked together, in one search\n")
    return hold and not untaken


def print_guards(verifiers: Sequence[Verifier], only: str, pool: Executor) -> bool:
    """Remove each guard and print what breaks. Return whether each is needed, or has a reason in REDUNDANT."""
    started = perf_counter()
    concerned = (verifier.model for verifier in verifiers if only in verifier.model.name)
    guards = list(dict.fromkeys(guard for model in concerned for guard in guards_of(model)))
    explained, unexplained = 0, 0
    typer.echo(f"{'without the guard':42} breaks")
    for name, text, is_right in verdicts(verifiers, guards, REASONS, pool):
        explained += is_right and name in REASONS
        unexplained += not is_right
        typer.echo(f"{name:42} {text}")
    breaking = len(guards) - explained - unexplained
    typer.echo(
        f"{len(guards)} guards: {breaking} break a property, {explained} have a reason in redundant.py, "
        f"{unexplained} have neither; {perf_counter() - started:.0f} s"
    )
    unknown = [] if only else sorted(REASONS.keys() - {name for name, _ in guards})
    if unknown:
        typer.echo(f"redundant.py names guards that do not exist: {', '.join(unknown)}")
    return not unexplained and not unknown


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only", default="", help="part of the names of models: check their properties, and remove their guards"
    )
    parser.add_argument("--properties", action="store_true", help="do not remove guards")
    arguments = parser.parse_args()
    if sentence := missing_programs():
        typer.echo(sentence, err=True)
        return 1
    concerned = [models for models in (LOG_MODELS, MODELS) if any(arguments.only in model.name for model in models)]
    models = [model for models in concerned for model in models]  # those of one protocol share guards
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # progress is seen in a file too
    with TemporaryDirectory() as folder, ThreadPoolExecutor(SEARCHES) as pool:
        started = perf_counter()
        verifiers = list(pool.map(partial(Verifier, folder=Path(folder)), models))
        typer.echo(f"{len(verifiers)} models built, {perf_counter() - started:.0f} s\n")
        hold = print_properties([each for each in verifiers if arguments.only in each.model.name], pool)
        return 0 if hold and (arguments.properties or print_guards(verifiers, arguments.only, pool)) else 1


if __name__ == "__main__":
    sys.exit(main())
