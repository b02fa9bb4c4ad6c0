"""An hour under steady load, then a minute of rest: does memory stay what it is, and what does doing nothing cost?
Goal P9. `make bench` prints what the last soak found.

`make soak` (MINUTES=60): the API takes orders and the processor processes others, `PER_SECOND` each; the AWS is canned.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from tests.bench.consume import order_bodies
from tests.bench.load import open_loop
from tests.bench.machines import Lab, Machine, open_lab
from tests.bench.orders import TWO_LINES, order_requests
from tests.bench.results import DOCS, write

RESULT = DOCS / "soak.json"
PER_SECOND = 50
STEP_SECONDS = 10
REST_SECONDS = 60
CONNECTIONS = 8
QUEUE = "soak"
MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Soaked:
    """One process. `early_mb` is its memory when a sixth of the time was over, `late_mb` in the last sixth."""

    name: str
    cpu_percent_at_rest: float
    cpu_percent_under_load: float
    early_mb: float
    late_mb: float


async def soak(minutes: float) -> list[Soaked]:
    with open_lab("soak") as lab:
        api = lab.start_service("order_api")
        processor = lab.start_service("order_processor", ORDER_QUEUE_NAME=QUEUE)
        await lab.aws.tell("Fill", queue=QUEUE, bodies=order_bodies())
        machines = {"order_api": api, "order_processor": processor}
        memory: dict[str, list[float]] = {name: [] for name in machines}
        before, started = {name: machine.cpu_seconds() for name, machine in machines.items()}, time.monotonic()
        steps = max(6, round(minutes * 60 / STEP_SECONDS))
        for step in range(1, steps + 1):
            await _step(lab, api)
            for name, machine in machines.items():
                memory[name].append(machine.memory_bytes() / MEGABYTE)
            if step % 6 == 0:
                _say(
                    f"{step * STEP_SECONDS // 60:3d} min  "
                    + "  ".join(f"{n} {m[-1]:.1f} MB" for n, m in memory.items())
                )
        seconds = time.monotonic() - started
        loaded = {name: machine.cpu_seconds() - before[name] for name, machine in machines.items()}
        _say(f"at rest for {REST_SECONDS} s")
        before = {name: machine.cpu_seconds() for name, machine in machines.items()}
        await asyncio.sleep(REST_SECONDS)
        rested = {name: machine.cpu_seconds() - before[name] for name, machine in machines.items()}
        return [
            Soaked(
                name,
                cpu_percent_at_rest=100 * rested[name] / REST_SECONDS,
                cpu_percent_under_load=100 * loaded[name] / seconds,
                early_mb=_part_of(memory[name], 1),
                late_mb=_part_of(memory[name], 5),
            )
            for name in machines
        ]


async def _step(lab: Lab, api: Machine) -> None:
    count = PER_SECOND * STEP_SECONDS
    requests = order_requests(lab.issuer, "acme", [TWO_LINES] * count, customers=20)
    load, _ = await asyncio.gather(
        open_loop(api.port, requests, per_second=PER_SECOND, connections=CONNECTIONS), _release(lab)
    )
    if load.statuses != {202: count}:
        raise api.child.failed(f"answered {dict(load.statuses)}")


async def _release(lab: Lab) -> None:
    for _ in range(STEP_SECONDS):
        await asyncio.gather(lab.aws.tell("Release", queue=QUEUE, count=PER_SECOND), asyncio.sleep(1))


def _part_of(values: Sequence[float], sixth: int) -> float:
    """The median of one sixth of the values; 0 is the first."""
    length = len(values) // 6
    return median(values[sixth * length : (sixth + 1) * length])


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the command's output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long the load lasts; 60 is kept as a result")
    minutes = parser.parse_args().minutes
    results = asyncio.run(soak(minutes))
    for each in results:
        _say(
            f"{each.name}: {each.cpu_percent_at_rest:.2f} % CPU at rest, {each.cpu_percent_under_load:.1f} % under "
            f"load; {each.early_mb:.1f} MB early, {each.late_mb:.1f} MB late"
        )
    if minutes >= 60:
        write(RESULT, {"minutes": minutes, "processes": [asdict(each) for each in results]})


if __name__ == "__main__":
    main()
