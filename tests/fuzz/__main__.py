"""Sends thousands of generated requests to the running API, and exits with 1 if one of them finds a fault.

Schemathesis reads the API's own document and makes requests that fit it and requests that do not, alone and in
sequences. Every check is on: no 5xx, no status, header or body that is not documented, nothing accepted that should be
refused, no method or token that should not be answered. The API runs with the whole stack behind it. A request that
fits the document may be refused with 400 only for a rule that no schema can state (`hooks.py`).

A seed gives the same requests each time, except those that use earlier responses. Each failing request is sent again,
and kept as a curl command in `.local/fuzz/`; `--replay` sends all that are kept.
"""

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from tests.fuzz.failing import FOLDER, commands_in, keep, replay
from tests.fuzz.rounds import Round, fuzzed_stack, run_round

EXAMPLES = 150
"""Generated for each operation in a round."""

console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def main() -> int:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", metavar="N", type=int, default=20_000, help="how many requests at least (20000)")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="of the first round; each next one adds one")
    parser.add_argument("--jobs", metavar="N", type=int, default=2, help="rounds at a time (2)")
    parser.add_argument(
        "--replay", action="store_true", help="only send the kept requests again, and print the responses"
    )
    options = parser.parse_args()
    if options.replay:
        return replay_kept()
    started = time.monotonic()
    with TemporaryDirectory() as folder, fuzzed_stack(Path(folder)) as target:
        done: list[Round] = []
        seeds = count(options.seed)

        def run_next(seed: int) -> Round:
            return run_round(target, seed, EXAMPLES, Path(folder))

        with ThreadPoolExecutor(options.jobs) as pool:
            while sum(each.cases for each in done) < options.cases and all(each.holds for each in done):
                for finished in pool.map(run_next, islice(seeds, options.jobs)):
                    done.append(finished)
                    console.print(f"seed {finished.seed}: {finished.cases} cases, {finished.seconds:.0f} s")
        for failed in (each for each in done if not each.holds):
            console.print(f"\nseed {failed.seed}\n{failed.output}")
            for path in keep(failed.seed, commands_in(failed.output, target.api, target.token)):
                console.print(f"{path}, sent again:\n{replay(path, target.api, target.token)}")
    verdict = "no fault" if all(each.holds for each in done) else "FAILED"
    console.print(f"{verdict} in {sum(each.cases for each in done)} cases; {time.monotonic() - started:.0f} s")
    return 0 if all(each.holds for each in done) else 1


def replay_kept() -> int:
    """Send the kept requests to a new stack and print the responses."""
    files = sorted(FOLDER.glob("*.sh"))
    with TemporaryDirectory() as folder, fuzzed_stack(Path(folder)) as target:
        for path in files:
            console.print(f"{path}\n{replay(path, target.api, target.token)}\n")
    console.print(f"{len(files)} requests were kept")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
