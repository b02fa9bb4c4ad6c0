"""Play a scenario with numbers of your own, and print what was measured."""

import argparse
import dataclasses
import sys
import time
from typing import Any

from rich.console import Console

from tests.simulation.scenarios.backlog import (
    BacklogNumbers,
    OutboxNumbers,
    play_backlog,
    play_outbox_alone,
)
from tests.simulation.scenarios.outage import OutageNumbers, play_outage
from tests.simulation.scenarios.saved_errors import SavedErrorNumbers, play_saved_errors
from tests.simulation.scenarios.sold_out import SoldOutNumbers, play_sold_out

SCENARIOS: dict[str, tuple[Any, Any]] = {
    "outage": (OutageNumbers, play_outage),
    "backlog": (BacklogNumbers, play_backlog),
    "outbox": (OutboxNumbers, play_outbox_alone),
    "saved-errors": (SavedErrorNumbers, play_saved_errors),
    "sold-out": (SoldOutNumbers, play_sold_out),
}
console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("numbers", nargs="*", metavar="NAME=VALUE", help="such as scale=100 or rest=88200")
    parser.add_argument("--seed", default="1")
    options = parser.parse_args()
    numbers_class, play = SCENARIOS[options.scenario]
    kinds: dict[str, Any] = {field.name: type(field.default) for field in dataclasses.fields(numbers_class)}
    given = dict(each.split("=", 1) for each in options.numbers)
    if unknown := given.keys() - kinds.keys():
        parser.error(f"{options.scenario} has no {', '.join(sorted(unknown))}, but {', '.join(kinds)}")
    numbers = numbers_class(**{name: kinds[name](value) for name, value in given.items()})
    started = time.process_time()
    result = play(options.seed, numbers)
    for name, value in dataclasses.asdict(result).items():
        console.print(f"{name:22} {value}")
    console.print(f"{'CPU':22} {time.process_time() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
