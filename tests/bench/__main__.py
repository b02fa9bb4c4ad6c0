"""Measures the platform against what people write by hand and against its peers, side by side, and says which goals it
meets. A whole run takes about eight minutes and writes docs/benchmarks.md; a part of it (`--only`) writes nothing.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from rich.console import Console

from tests.bench import accept, consume, cost, events, hot, latency, startup, webhooks
from tests.bench.figures import Figure, Say
from tests.bench.goals import judge
from tests.bench.report import draw_latency, goals_table, made, write_page
from tests.bench.results import LATEST, read, write_results
from tests.bench.soak import RESULT as SOAK

COMPARISONS: Mapping[str, Callable[[int, Say], Awaitable[list[Figure]]]] = {
    "accept": accept.measure,
    "consume": consume.measure,
    "cost": cost.measure,
    "latency": latency.measure,
    "startup": startup.measure,
    "hot": hot.measure,
    "events": events.measure,
    "webhooks": webhooks.measure,
}
ROUNDS = 5
TABLE_WIDTH = 150

console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=TABLE_WIDTH)


async def run(names: list[str], rounds: int) -> dict[str, list[Figure]]:
    results: dict[str, list[Figure]] = {}
    for number, name in enumerate(names, start=1):
        console.print(f"\n{name} ({number} of {len(names)})")
        results[name] = await COMPARISONS[name](rounds, console.print)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", metavar="NAMES", default="", help=f"some of {', '.join(COMPARISONS)}; comma separated"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"interleaved rounds of each (default {ROUNDS})")
    options = parser.parse_args()
    names = [name.strip() for name in options.only.split(",") if name.strip()] or list(COMPARISONS)
    if unknown := set(names) - set(COMPARISONS):
        parser.error(f"there is no comparison {', '.join(sorted(unknown))}; there are {', '.join(COMPARISONS)}")
    started = time.monotonic()
    results = asyncio.run(run(names, options.rounds))
    is_whole = names == list(COMPARISONS)
    soak = read(SOAK) if is_whole and SOAK.exists() else None
    console.print()
    console.print(goals_table(judge(results, soak)))
    if is_whole and options.rounds >= ROUNDS:
        write_results(results, (time.monotonic() - started) / 60)
        draw_latency(results["latency"])
        write_page(made(read(LATEST), soak))
        console.print("docs/benchmarks.md has these figures now")


if __name__ == "__main__":
    main()
