"""Run readers and generators over the OpenAPI and the AsyncAPI document: `make check-generators`.

Each must finish without an error or a warning, and the generated clients must compile. Exits with 1 otherwise. What
needs npm is skipped, with the reason, where npm cannot be reached.
"""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from tests.generators.gates import GATES, Gate
from tests.generators.workshop import NODE, SOURCES, TYPESCRIPT_CLIENT, install_npm_packages, prepare

console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def main() -> int:
    argparse.ArgumentParser(
        prog="python -m tests.generators",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    missing = install_npm_packages(SOURCES, NODE) or install_npm_packages(TYPESCRIPT_CLIENT, TYPESCRIPT_CLIENT)
    with TemporaryDirectory() as folder:
        prepare(Path(folder))
        accepted = [is_accepted(gate, Path(folder), missing) for gate in GATES]
    return 0 if all(accepted) else 1


def is_accepted(gate: Gate, folder: Path, missing: str | None) -> bool:
    """Run the gate and print its result. `missing` is the reason why there are no packages of npm."""
    if gate.needs_npm and missing:
        console.print(f"skipped  {gate.name}: {missing}")
        return True
    started = time.monotonic()
    *_, last = gate.run(folder)
    console.print(f"{'accepted' if last.succeeded else 'REFUSED '} {gate.name}, {time.monotonic() - started:.0f} s")
    if not last.succeeded:
        console.print(last.output)
    return last.succeeded


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
