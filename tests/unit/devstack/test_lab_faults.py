"""Faults of the Lab: what they do to a process, and that a suspended one always resumes."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from devstack import sqs_gate
from devstack.lab import faults
from devstack.lab.books import Books
from devstack.lab.faults import PAYMENTS, SQS_GATE, Faults
from devstack.lab.stack_file import StackFile
from devstack.ports import is_free
from devstack.processes import Child, ProcessGroup
from tests.waiting import eventually


class NoBooks(Books):
    """Books that only note what is sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, body: str) -> None:
        self.sent.append(body)


@dataclass(frozen=True)
class Ground:
    child: Child
    books: NoBooks
    faults: Faults

    @property
    def state(self) -> str:
        """State of the process, as the kernel names it: S for sleeping, T for stopped."""
        return Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    """Give one sleeping process the part of every process of the stack."""
    monkeypatch.setattr(faults, "SUSPENDED_SECONDS", 0.1)
    with ProcessGroup(tmp_path) as group:
        child = group.start("sleeper", ["sleep", "600"], dict(os.environ))
        stack = StackFile(tmp_path / "stack.json")
        pids = dict.fromkeys(("order-processor", SQS_GATE, PAYMENTS), child.pid)
        stack.path.write_text(json.dumps({"pids": pids}))
        books = NoBooks()
        yield Ground(child, books, Faults(stack, books))


async def test_a_killed_process_dies_and_killing_it_again_is_no_error(ground: Ground) -> None:
    number = ground.faults.kill("order-processor")
    assert ground.faults.actions[number].text == f"order-processor was killed (process {ground.child.pid})"
    await eventually(lambda: not ground.child.is_alive, "its end")
    number = ground.faults.kill("order-processor")
    assert "is dead already" in ground.faults.actions[number].text


async def test_a_suspended_process_resumes_by_itself(ground: Ground) -> None:
    ground.faults.suspend(SQS_GATE)
    await eventually(lambda: ground.state == "T", "the stop")
    assert list(ground.faults.suspended) == [SQS_GATE]
    await eventually(lambda: ground.state != "T", "the return")
    await eventually(lambda: not ground.faults.suspended, "the note of it")
    assert ground.faults.actions[-1].text == "SQS responds again"


async def test_what_an_earlier_lab_suspended_resumes(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "SUSPENDED_SECONDS", 600)
    ground.faults.suspend(PAYMENTS)
    await eventually(lambda: ground.state == "T", "the stop")
    Faults(ground.faults.stack, ground.books).resume_all()
    await eventually(lambda: ground.state != "T", "the return")


async def test_a_poison_message_is_not_json(ground: Ground) -> None:
    await ground.faults.poison()
    (body,) = ground.books.sent
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(body)


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """Serve a line in capitals; yield the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_the_relay_passes_both_ways_and_closes_what_the_target_closes(echo: int, unused_tcp_port: int) -> None:
    relay = asyncio.create_task(sqs_gate.relay("127.0.0.1", unused_tcp_port, echo))
    try:
        await eventually(lambda: relay.done() or not is_free(unused_tcp_port), "the relay")
        reader, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        writer.write(b"hello\n")
        assert await reader.read() == b"HELLO\n"
        writer.close()
    finally:
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)
