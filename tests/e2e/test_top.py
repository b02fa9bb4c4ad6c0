"""`orderctl top` over a running stack: what it tells, and that it lives in a terminal of 80x24."""

import asyncio
import contextlib
import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.stack import Stack, published
from tests.e2e.conftest import Shop
from tests.waiting import eventually

TOP = [sys.executable, "-m", "orderctl.main", "top", "--local", "--state"]
ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def state(stack: Stack, tmp_path: Path) -> Iterator[Path]:
    """The folder by which the running stack is found."""
    with published(stack, tmp_path / "stack.json"):
        yield tmp_path


async def test_one_view_for_programs(shop: Shop, state: Path) -> None:
    await shop.stock("TEA", 100_000)
    looking = await asyncio.create_subprocess_exec(
        *TOP, str(state), "--once", "--output", "json", "--every", "1", stdout=asyncio.subprocess.PIPE
    )
    answer = asyncio.ensure_future(looking.communicate())
    placed: list[str] = []
    while not answer.done():
        placed += await shop.accepted(1)
    view = json.loads((await answer)[0])
    assert looking.returncode == 0
    rates, latency = view["per_second"], view["latency"]
    assert min(rates["accepted"], rates["requests"], rates["ended"]["confirmed"]) > 0
    assert 0 < latency["accept"]["p50"] <= latency["accept"]["p99"]
    assert 0 < latency["end"]["p50"] <= latency["end"]["p99"]
    assert {order["id"] for order in view["last_orders"]} <= set(placed)
    assert {order["total"] for order in view["last_orders"]} == {590}
    assert [(each["name"], each["up"], each["of"]) for each in view["sources"]] == [
        ("order-api", 1, 1),
        ("order-processor", 1, 1),
        ("order-notifier", 1, 1),
        ("sqs", 1, 1),
        ("dynamodb", 1, 1),
    ]
    assert all(view["sources"][number]["versions"] for number in (0, 1, 2))
    assert all(isinstance(value, int) for value in view["queue"].values())


class Terminal:
    """What a program writes to a terminal whose size we set."""

    def __init__(self) -> None:
        self.ours, self.theirs = os.openpty()
        os.set_blocking(self.ours, False)
        self._written = b""

    def resize(self, columns: int, rows: int) -> None:
        """What was written before is forgotten."""
        self.read()
        self._written = b""
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self) -> str:
        """All that was written since, without its colours; a program that writes on waits for it to be read."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.ours, 65536):
                self._written += chunk
        return ESCAPES.sub(b"", self._written).decode(errors="replace")


@contextlib.contextmanager
def terminal(columns: int, rows: int) -> Iterator[Terminal]:
    opened = Terminal()
    try:
        opened.resize(columns, rows)
        yield opened
    finally:
        os.close(opened.ours)
        os.close(opened.theirs)


def shows(text: str, process: subprocess.Popen[bytes], screen: Terminal) -> bool:
    shown = screen.read()
    assert text in shown or process.poll() is None, shown
    return text in shown


def has_ended(process: subprocess.Popen[bytes], screen: Terminal) -> bool:
    screen.read()
    return process.poll() is not None


async def test_in_a_terminal_it_lives_until_ctrl_c(shop: Shop, state: Path) -> None:
    await shop.stock("TEA", 1)
    (order_id,) = await shop.accepted(1)
    await shop.ended(order_id)
    whose = ("--tenant", shop.tenant, "--customer", "ada")
    unsized = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    with terminal(80, 24) as screen:
        process = subprocess.Popen(
            [*TOP, str(state), *whose, "--every", "0.5", "--svg", str(state / "top.svg")],
            stdin=screen.theirs,
            stdout=screen.theirs,
            stderr=screen.theirs,
            env=unsized | {"TERM": "xterm-256color"},
        )
        try:
            await eventually(lambda: shows(order_id, process, screen), "the order")
            screen.resize(79, 24)
            needed = "needs 80x24; this terminal is 79x24"
            await eventually(lambda: shows(needed, process, screen), needed)
            screen.resize(200, 50)
            await eventually(lambda: shows(order_id, process, screen), "the order again")
            process.send_signal(signal.SIGINT)
            await eventually(lambda: has_ended(process, screen), "the end")
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0
    picture = (state / "top.svg").read_text(encoding="utf-8")
    assert order_id in picture
    assert 'url("http' not in picture
