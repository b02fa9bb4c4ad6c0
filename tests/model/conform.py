"""`make conformance`: walk the histories of simulated seeds and of staged runs along the transition table.

The orders, and the log of their events, have a table each. Print how many histories the tables allow, and which of
their transitions they take. Exit with 1 if an effect is refused, or a transition that can be observed is never taken.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor

import typer

from tests.model.conformance import Walker
from tests.model.history import Refused
from tests.model.log.simulated import EXISTING, log_events
from tests.model.log.stages import STAGES as STAGES_OF_LOG
from tests.model.log.steps import TABLE as TABLE_OF_LOG
from tests.model.log.walker import LogWalker
from tests.model.simulated import events, limits
from tests.model.stages import STAGES as STAGES_OF_ORDERS
from tests.model.steps import TABLE as TABLE_OF_ORDERS
from tests.model.table import Step
from tests.simulation.life import live
from tests.simulation.plan import plan_of

STAGE = "stage "
STAGES = (*STAGES_OF_ORDERS, *STAGES_OF_LOG)
TABLES = {"orders": TABLE_OF_ORDERS, "log": TABLE_OF_LOG}
Taken = tuple[str, Counter[str], str]
"""Name of a run, the transitions that it took, and the refusal or an empty text."""


def conform(name: str) -> Taken:
    """Walk one run: a seed, or a stage by its number."""
    plan = None if name.startswith(STAGE) else plan_of(name)
    walker, of_log = Walker(limits()), LogWalker(EXISTING if plan is None or plan.log_exists else None)
    if plan is None:
        stage = STAGES[int(name.removeprefix(STAGE))]
        name, effects = f"{STAGE}{stage.name}", stage.play()
    else:
        name, effects = f"seed {name}", live(plan, keep_effects=True).effects or []
    try:
        walker.walk(events(effects))
        of_log.walk(log_events(effects))
    except Refused as refusal:
        return name, walker.taken + of_log.taken, str(refusal)
    return name, walker.taken + of_log.taken, ""


def untaken(part: str, table: Mapping[str, Step], by_seeds: Counter[str], by_stages: Counter[str]) -> list[str]:
    """Print which observable transitions of a table were taken. Return the others."""
    observable = [step.name for step in table.values() if not step.unseen]
    missing = [name for name in observable if not by_seeds[name] + by_stages[name]]
    staged = [name for name in observable if not by_seeds[name] and by_stages[name]]
    seen = len(observable) - len(missing)
    typer.echo(f"{part}: {seen} of {len(observable)} transitions taken; never: {', '.join(missing) or '-'}")
    typer.echo(f"{part}: taken in stages only: {', '.join(staged) or '-'}")
    return missing


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model.conform", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    runs = [*(f"{STAGE}{number}" for number in range(len(STAGES))), *map(str, range(arguments.seeds))]
    by_seeds: Counter[str] = Counter()
    by_stages: Counter[str] = Counter()
    refused = 0
    with ProcessPoolExecutor(arguments.processes) as pool:
        for name, taken, refusal in pool.map(conform, runs, chunksize=1 + len(runs) // 100):
            (by_stages if name.startswith(STAGE) else by_seeds).update(taken)
            if refusal:
                refused += 1
                typer.echo(f"REFUSED {name}: {refusal}"[:2000])
    allowed = len(runs) - refused
    typer.echo(f"{allowed} of {len(runs)} histories are allowed: {arguments.seeds} seeds, {len(STAGES)} stages")
    typer.echo(f"{by_seeds.total():,} effects of seeds, {by_stages.total():,} of stages")
    missing = [name for part, table in TABLES.items() for name in untaken(part, table, by_seeds, by_stages)]
    return 1 if refused or missing else 0


if __name__ == "__main__":
    sys.exit(main())
