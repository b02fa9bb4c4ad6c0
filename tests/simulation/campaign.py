"""Play many seeds, and check that nothing is lost, doubled, or left undone. `make sim` runs it.

Each seed draws its own customers, faults and failing machines: `tests.simulation.plan`. A violation is printed with a
token, which replays the run exactly, and with the smallest part of its plan that still fails.
"""

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from tests.simulation.life import Outcomes, live
from tests.simulation.plan import plan_of
from tests.simulation.plans import Plan, Theme
from tests.simulation.schedules import SCENARIOS, explore

SEEDS = 1000
CHUNK = 50
HANG_SECONDS = 20.0
"""CPU time after which a run has got stuck. Most take less than half a second."""
SHRINKS = 200
"""Runs that the search for a smaller plan may take."""

console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


@dataclass
class Campaign:
    """Sums over many runs."""

    seeds: int = 0
    orders: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    steps: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    failed: list[Outcomes] = field(default_factory=list)

    def add(self, outcomes: Outcomes) -> None:
        self.seeds += 1
        self.orders += outcomes.orders
        self.seconds += outcomes.seconds
        self.steps += outcomes.steps
        self.faults.update(outcomes.faults)
        self.statuses.update(outcomes.statuses)
        if outcomes.violations:
            self.failed.append(outcomes)

    def merge(self, other: "Campaign") -> None:
        self.seeds += other.seeds
        self.orders += other.orders
        self.seconds += other.seconds
        self.cpu += other.cpu
        self.steps += other.steps
        self.faults.update(other.faults)
        self.statuses.update(other.statuses)
        self.failed += other.failed


def play_seeds(tokens: Iterable[str]) -> Campaign:
    """Play one run after the other in this process."""
    campaign, started = Campaign(), time.process_time()
    for token in tokens:
        campaign.add(live(plan_of(token)))
    campaign.cpu = time.process_time() - started
    return campaign


def shrink(plan: Plan) -> tuple[Plan, Outcomes]:
    """Return a small part of a plan that fails, and what its run came to. The plan itself must fail."""
    outcomes = live(plan)
    runs = 0

    def try_without(part: str) -> bool:
        nonlocal plan, outcomes, runs
        runs += 1
        smaller = plan.without(part)
        found = live(smaller)
        if found.violations:
            plan, outcomes = smaller, found
        return bool(found.violations)

    again = True
    while again and runs < SHRINKS:
        again = sum(try_without(part) for part in list(plan.parts()) if part in set(plan.parts())) > 0
    lowest, highest = 0, sum(outcomes.faults.values())
    while lowest < highest and runs < SHRINKS:
        middle = (lowest + highest) // 2
        if try_without(f"n{middle}"):
            highest = middle
        else:
            lowest = middle + 1
    return plan, outcomes


def explain(plan: Plan, outcomes: Outcomes) -> Iterator[str]:
    """Return a failing run in words."""
    yield f"token {plan.token}: python -m tests.simulation.campaign --seed {plan.token}"
    yield f"  machines: {plan.apis} API, {plan.processors} processors, clocks {plan.skews}"
    yield from (f"  {order}" for order in plan.orders)
    yield from (f"  at {event.at:.1f} s, {event.seconds:.1f} s long: {event.kind}" for event in plan.events)
    yield f"  faults: {outcomes.faults}"
    yield from (f"  VIOLATION {violation}" for violation in outcomes.violations)


def report(campaign: Campaign) -> None:
    console.print(
        f"{campaign.seeds} seeds, {campaign.orders} orders, {campaign.seconds / 3600:.1f} virtual hours, "
        f"{campaign.steps} steps in {campaign.cpu / 60:.1f} CPU-minutes: "
        f"{campaign.seeds / max(campaign.cpu / 60, 1e-9):.0f} seeds per CPU-minute"
    )
    console.print(
        "orders ended: " + ", ".join(f"{count} {status}" for status, count in campaign.statuses.most_common())
    )
    table = Table("fault", "times")
    for fault, count in campaign.faults.most_common():
        table.add_row(fault, str(count))
    console.print(table)
    console.print(f"violations {len(campaign.failed)}")
    for failed in campaign.failed:
        console.print(f"  {failed.token}: {failed.violations[0]}")


def themes_first(seeds: Iterable[int]) -> list[str]:
    """Return the seeds as tokens, storms last: a theme finds a change sooner."""
    return sorted(map(str, seeds), key=lambda seed: plan_of(seed).theme is Theme.STORM)


class Stuck(KeyboardInterrupt):
    """A run takes too long. Tasks pass this on, as no other error."""


def play_until_failure(seeds: Iterable[str]) -> str | None:
    """Return the first seed that fails, and how. A run that raises, or does not return, fails too."""

    def give_up(*_: object) -> None:
        raise Stuck(f"the run takes more than {HANG_SECONDS} s")

    signal.signal(signal.SIGVTALRM, give_up)
    for seed in seeds:
        signal.setitimer(signal.ITIMER_VIRTUAL, HANG_SECONDS, 1.0)
        try:
            violations = live(plan_of(seed)).violations
        except (Exception, Stuck) as error:  # noqa: BLE001 - whatever it is, the change has been found
            violations = [f"{type(error).__name__}: {error}"]
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        if violations:
            return f"seed {seed}: {violations[0]:.200}".replace("\n", " ")
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.campaign", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"play so many seeds ({SEEDS})")
    parser.add_argument("--first", type=int, default=1, help="the first of them (1)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--seed", metavar="TOKEN", help="replay one run, and print it")
    parser.add_argument("--deviations", type=int, default=3, help="from the default schedule, in small scenarios (3)")
    options = parser.parse_args()
    if options.seed is not None:
        plan = plan_of(options.seed)
        outcomes = live(plan)
        for line in explain(plan, outcomes):
            console.print(line)
        console.print(f"digest {outcomes.digest}, {outcomes.steps} steps, {outcomes.seconds:.1f} virtual seconds")
        return 1 if outcomes.violations else 0
    seeds = [str(seed) for seed in range(options.first, options.first + options.seeds)]
    campaign = Campaign()
    with ProcessPoolExecutor(options.jobs) as pool:
        for part in pool.map(play_seeds, [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]):
            campaign.merge(part)
        explored = list(pool.map(explore, SCENARIOS, [options.deviations] * len(SCENARIOS)))
    report(campaign)
    schedules = sum(each.schedules for each in explored)
    console.print(f"{schedules} schedules of {len(SCENARIOS)} small scenarios, up to {options.deviations} deviations")
    broken = [(str(scenario), each) for scenario, each in zip(SCENARIOS, explored, strict=True) if each.violations]
    for scenario, each in broken:
        console.print(f"  VIOLATION in {scenario} with {each.deviations}: {each.violations}")
    for failed in campaign.failed[:3]:
        for line in explain(*shrink(plan_of(failed.token))):
            console.print(line)
    return 1 if campaign.failed or broken else 0


if __name__ == "__main__":
    sys.exit(main())
