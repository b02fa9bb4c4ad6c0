"""`make conformance`: walk the histories of simulated seeds along the transition table.

Print how many histories the table allows, and which of its transitions they take. Exit with 1 if an effect is refused.
"""

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import typer

from tests.model.conformance import Refused, Walker
from tests.model.simulated import events, limits
from tests.model.steps import TABLE
from tests.simulation.life import live
from tests.simulation.plan import plan_of


def conform(token: str) -> tuple[Counter[str], str]:
    """Walk one run. Return the transitions that it took, and the refusal or an empty text."""
    walker = Walker(limits())
    try:
        walker.walk(events(live(plan_of(token), keep_effects=True).effects or []))
    except Refused as refusal:
        return walker.taken, f"seed {token}: {refusal}"
    return walker.taken, ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model.conform", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    taken: Counter[str] = Counter()
    refusals = []
    with ProcessPoolExecutor(arguments.processes) as pool:
        for steps, refusal in pool.map(conform, map(str, range(arguments.seeds)), chunksize=10):
            taken += steps
            if refusal:
                refusals.append(refusal)
                typer.echo(refusal[:2000])
    observable = [step.name for step in TABLE.values() if not step.unseen]
    missing = [name for name in observable if not taken[name]]
    allowed = arguments.seeds - len(refusals)
    typer.echo(f"{allowed} of {arguments.seeds} histories are allowed, {taken.total():,} effects")
    typer.echo(
        f"{len(observable) - len(missing)} of {len(observable)} transitions taken; never: {', '.join(missing) or '-'}"
    )
    return 1 if refusals else 0


if __name__ == "__main__":
    sys.exit(main())
