"""How long a process takes from its start until it does its work: the API's first answer, the processor's first poll;
against the first answer of a bare FastAPI under uvicorn. Goal P8."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from tests.bench.figures import Figure, Say
from tests.bench.machines import Lab, Machine, open_lab

API, PROCESSOR, BARE = "order_api, first answer", "order_processor, first poll", "bare uvicorn + FastAPI, first answer"
PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.002
QUEUE = "startup"


@dataclass(frozen=True)
class Start:
    seconds: float
    cpu_seconds: float


async def measure(rounds: int, say: Say) -> list[Figure]:
    starts: dict[str, list[Start]] = {API: [], PROCESSOR: [], BARE: []}
    with open_lab() as lab:
        for number in range(rounds + 1):
            for name, start in (
                (API, await _first_answer(lambda: lab.start_service("order_api"))),
                (PROCESSOR, await _first_poll(lab)),
                (BARE, await _first_answer(lambda: lab.start_web_peer("echo", "echo:app"))),
            ):
                if number:  # the first ones fill the file cache
                    starts[name].append(start)
                    say(f"start, round {number}: {name:<38}{start.seconds:6.2f} s, {start.cpu_seconds:5.2f} s CPU")
    return [
        figure
        for name, values in starts.items()
        for figure in (
            Figure(name, "seconds", "s", tuple(start.seconds for start in values)),
            Figure(name, "cpu", "s", tuple(start.cpu_seconds for start in values)),
        )
    ]


async def _first_answer(start: Callable[[], Machine]) -> Start:
    started = time.perf_counter()
    machine = await asyncio.to_thread(start)
    async with aiohttp.ClientSession() as http:

        async def answers() -> bool:
            try:
                async with http.get(f"http://127.0.0.1:{machine.port}/healthz"):
                    return True
            except aiohttp.ClientError:
                return False

        await _until(machine, answers)
    return _end(machine, started)


async def _first_poll(lab: Lab) -> Start:
    before = await lab.aws.count("ReceiveMessage")
    started = time.perf_counter()
    machine = await asyncio.to_thread(lab.start_service, "order_processor", "", ORDER_QUEUE_NAME=QUEUE)

    async def polls() -> bool:
        return await lab.aws.count("ReceiveMessage") > before

    await _until(machine, polls)
    return _end(machine, started)


async def _until(machine: Machine, holds: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await holds():
        machine.child.ensure_alive()
        if time.monotonic() > deadline:
            raise machine.child.failed(f"did nothing within {PATIENCE_SECONDS:.0f} s")
        await asyncio.sleep(LOOK_SECONDS)


def _end(machine: Machine, started: float) -> Start:
    start = Start(time.perf_counter() - started, machine.cpu_seconds())
    machine.child.process.kill()  # how it stops is not measured
    machine.child.process.wait()
    return start
