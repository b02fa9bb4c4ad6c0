"""Proves that no acknowledged order is lost and that every effect happens once, and exits with 1 if that is not so.

Real services, an embedded AWS and a payment sandbox run on this machine, with a proxy between them. It kills a process
before and after each of its requests, and injects every kind of fault, alone and mixed. Once all is quiet, what the
customers were told is held against orders, stock, payments and queues.

A scenario that fails is named with its seed: `--only` runs it again, with the same faults. The services' logs are kept.
"""

import argparse
import asyncio
import shutil
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from devstack.lab.history import Fault
from devstack.stack import Stack, running_infrastructure
from tests.chaos.crashes import ONE_OF_EACH, Lane, Step, find_points
from tests.chaos.crashes import SETTINGS as LANE_SETTINGS
from tests.chaos.faults import ALL_KINDS
from tests.chaos.scenarios import FAILED, REFUSED, Result, run_cancels, run_crowd, run_outage, run_saved_errors
from tests.chaos.scenes import SCENES, Scene
from tests.chaos.world import TWO_OF_EACH, World, open_world

TABLE_WIDTH = 130
STATE = Path(".local/chaos")
CROWD_WORLDS = 2
RECORDING_WORLDS = 2
LANES = 6
KILLS = 2
MIXED = "faults, all mixed"
CANCELS = "cancels that race with processing"
OUTAGE_SECONDS = 60.0
OUTAGE = f"payment provider away for {OUTAGE_SECONDS:.0f} s"
REFUSALS = f"payment provider refuses our requests for {OUTAGE_SECONDS:.0f} s"
SERVER_ERRORS = f"payment provider saves server errors for {OUTAGE_SECONDS:.0f} s"
PAYMENT_CALLS = ("POST /v1/payment_intents", "POST /v1/payment_intents/{id}/confirm", "POST /v1/refunds")
OUTAGE_CUSTOMERS = 100
OUTAGE_SETTINGS = {"ORDER_RETRY_CAP_SECONDS": "8"}
CANCELS_AT_ONCE = 1_000
"""Orders of one trial: to look at all of them again and again must stay cheap."""

console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=TABLE_WIDTH)


@dataclass
class Report:
    results: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Told at once, as progress."""
        self.results.append(result)
        mark = "ok    " if result.verdict.holds else "FAILED"
        ends = ", ".join(f"{count} {status}" for status, count in sorted(result.ends.items()))
        console.print(f"{mark}  {result.scenario}: {result.injected} faults, {ends}, {result.seconds:.1f} s")
        for detail in result.verdict.details:
            console.print(f"        {detail}")

    @property
    def holds(self) -> bool:
        return bool(self.results) and all(result.verdict.holds for result in self.results)

    def table(self, rows: list[str]) -> Table:
        """A row holds the results whose scenario has its name before the colon."""
        table = Table("scenario", "orders", "faults injected", *Fault)
        table.columns[0].no_wrap = True
        for column in table.columns[1:]:
            column.justify = "right"
        by_row = {row: [result for result in self.results if result.scenario.partition(":")[0] == row] for row in rows}
        for row, results in by_row.items():
            if results:
                _add_row(table, row, results)
        table.add_section()
        _add_row(table, "all", self.results)
        return table


def _add_row(table: Table, name: str, results: list[Result]) -> None:
    faults: Counter[Fault] = sum((result.verdict.faults for result in results), Counter())
    numbers = [sum(result.orders for result in results), sum(result.injected for result in results)]
    table.add_row(name, *map(str, numbers), *(str(faults[fault]) for fault in Fault))


@dataclass(frozen=True)
class Crowd:
    """A scenario of many customers."""

    name: str
    kinds: tuple[str, ...]
    customers: int
    kills: int = 0


def crowds(seeds: int, customers: int) -> list[Crowd]:
    alone = [Crowd(f"fault, {kind}", (kind,), customers // 2) for kind in ALL_KINDS]
    return [*alone, *(Crowd(f"{MIXED}: seed {seed}", ALL_KINDS, customers, KILLS) for seed in range(1, seeds + 1))]


async def run_all(stack: Stack, options: argparse.Namespace, report: Report) -> None:
    """Everything that is asked for, side by side, each in a world of its own."""
    waiting = [crowd for crowd in crowds(options.seeds, options.customers) if options.only in crowd.name]

    async def run_crowds(world: World) -> None:
        while waiting:
            crowd = waiting.pop(0)
            report.add(await run_crowd(world, crowd.name, crowd.kinds, crowd.customers, kills=crowd.kills))

    async def be_without_provider(world: World) -> None:
        report.add(await run_outage(world, OUTAGE, OUTAGE_CUSTOMERS, OUTAGE_SECONDS))

    async def be_refused(world: World) -> None:
        report.add(await run_saved_errors(world, REFUSALS, REFUSED, customers=OUTAGE_CUSTOMERS, seconds=OUTAGE_SECONDS))

    async def meet_server_errors(world: World) -> None:
        report.add(
            await run_saved_errors(
                world,
                SERVER_ERRORS,
                FAILED,
                customers=OUTAGE_CUSTOMERS,
                seconds=OUTAGE_SECONDS,
                operations=PAYMENT_CALLS,
            )
        )

    async with asyncio.TaskGroup() as group:
        for number in range(min(CROWD_WORLDS, len(waiting))):
            group.create_task(in_world(stack, f"crowd{number}-", run_crowds, records=True))
        if options.only in OUTAGE:
            group.create_task(in_world(stack, "outage-", be_without_provider, OUTAGE_SETTINGS))
        if options.only in REFUSALS:
            group.create_task(in_world(stack, "refusals-", be_refused, OUTAGE_SETTINGS))
        if options.only in SERVER_ERRORS:
            group.create_task(in_world(stack, "errors-", meet_server_errors, OUTAGE_SETTINGS))
        group.create_task(run_crashes(stack, options.only, report))


async def run_crashes(stack: Stack, only: str, report: Report) -> None:
    """Scenes are recorded first; then several lanes share the points."""
    scenes = [scene for scene in SCENES if only in scene.name or only.startswith(scene.name)]
    unrecorded = list(scenes)
    recorded: dict[Scene, list[Step]] = {}

    async def record(world: World) -> None:
        lane = Lane(world)
        while unrecorded:
            scene = unrecorded.pop(0)
            recorded[scene] = await lane.record(scene)

    async with asyncio.TaskGroup() as group:
        for number in range(min(RECORDING_WORLDS, len(scenes))):
            group.create_task(in_world(stack, f"record{number}-", record, LANE_SETTINGS, ONE_OF_EACH, records=True))
    in_order = {scene: recorded[scene] for scene in scenes}
    points = [point for point in find_points(in_order) if only in str(point)]
    console.print(f"found  {len(points)} crash points in {len(scenes)} scenes")

    async def run_points(world: World) -> None:
        lane = Lane(world)
        while points:
            report.add(await lane.run(points.pop(0)))

    async with asyncio.TaskGroup() as group:
        for number in range(min(LANES, len(points))):
            group.create_task(in_world(stack, f"lane{number}-", run_points, LANE_SETTINGS, ONE_OF_EACH, records=True))


async def run_all_cancels(stack: Stack, cancels: int, report: Report) -> None:
    async def run(world: World) -> None:
        for first in range(0, cancels, CANCELS_AT_ONCE):
            last = min(first + CANCELS_AT_ONCE, cancels)
            report.add(await run_cancels(world, f"{CANCELS}: {first + 1} to {last}", last - first))

    await in_world(stack, "cancels-", run)


async def in_world(
    stack: Stack,
    prefix: str,
    play: Callable[[World], Awaitable[None]],
    settings: Mapping[str, str] | None = None,
    processes: Collection[str] = TWO_OF_EACH,
    *,
    records: bool = False,
) -> None:
    async with open_world(stack, prefix, processes, settings=settings, records=records) as world:
        await play(world)


def main() -> int:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", metavar="N", type=int, default=20, help="seeds of mixed faults (20)")
    parser.add_argument("--customers", metavar="N", type=int, default=105, help="customers of each seed (105)")
    parser.add_argument("--only", metavar="TEXT", default="", help="the scenarios and crash points whose name has TEXT")
    parser.add_argument(
        "--cancels", metavar="N", type=int, help="so many cancels that race with processing, and no more"
    )
    options = parser.parse_args()
    report = Report()
    started = time.monotonic()
    shutil.rmtree(STATE, ignore_errors=True)
    with running_infrastructure(STATE) as stack:
        if options.cancels:
            uvloop.run(run_all_cancels(stack, options.cancels, report))
        else:
            uvloop.run(run_all(stack, options, report))
    if not report.results:
        parser.error(f"no scenario and no crash point has {options.only!r} in its name; a run lists them all")
    rows = [
        *(scene.name for scene in SCENES),
        *(f"fault, {kind}" for kind in ALL_KINDS),
        MIXED,
        OUTAGE,
        REFUSALS,
        SERVER_ERRORS,
        CANCELS,
    ]
    console.print(report.table(rows))
    verdict = "nothing lost, nothing doubled" if report.holds else f"FAILED; the logs are in {STATE}/logs"
    console.print(f"{verdict}; {time.monotonic() - started:.0f} s")
    return 0 if report.holds else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
