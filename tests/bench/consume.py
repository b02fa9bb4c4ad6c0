"""What a message costs: our consumer against those that people use, on the same canned queue.

All are started and warmed up, then take turns. A turn is one `Bench.Release`: it ends when so many messages are
deleted. That each of them was also handled is seen from the tally that every handler keeps.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from order_shared.domain.inventory.models import Product
from order_shared.domain.order.messages import ProcessingRequested
from order_shared.domain.order.models import Customer, Order
from tests.bench.figures import Figure, Say
from tests.bench.machines import Lab, Machine, open_lab
from tests.bench.peers.tally import TALLY_BYTES

BODIES = 300
TURN_SECONDS = 60.0
SEND_SECONDS = 30.0
WATCH_SECONDS = 0.5
TALLY_SECONDS = 2.0  # what is acknowledged as it begins may be handled a moment later
START = datetime(2026, 1, 31, 9, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Subject:
    """A consumer: the `command` that starts it, and how many messages it takes in a second or two.

    `sender` is the module that sends its messages; without one they are ours. Ours are modules of our own environment.
    """

    name: str
    messages: int
    command: Sequence[str]
    sender: str | None = None
    ours: bool = False
    tallied: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def queue(self) -> str:
        return "consume-" + "".join(letter for letter in self.name if letter.isalnum())


PEERS = "tests.bench.peers"
CELERY = ("celery", "--app", f"{PEERS}.celery_worker", "worker", "--pool", "gevent", "--concurrency", "100")
CELERY_QUIET = ("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat")

SUBJECTS = (
    Subject("ours, no-op", 25000, ["tests.bench.ours"], ours=True),
    Subject("ours, dispatched", 20000, ["tests.bench.ours"], ours=True, environment={"DISPATCH": "1"}),
    Subject("ours, orders", 5000, ["order_processor"], ours=True, tallied=False),
    Subject("celery", 1000, [*CELERY, *CELERY_QUIET], sender=f"{PEERS}.celery_worker"),
    Subject(
        "dramatiq_sqs",
        1000,
        ["dramatiq", f"{PEERS}.dramatiq_worker", "--processes", "1", "--threads", "8"],
        sender=f"{PEERS}.dramatiq_worker",
        environment={"dramatiq_worker_timeout": "20000"},
    ),
    Subject(
        "taskiq-aio-sqs",
        1200,
        ["taskiq", "worker", f"{PEERS}.taskiq_worker:broker", "--workers", "1", "--log-level", "WARNING"],
        sender=f"{PEERS}.taskiq_worker",
    ),
    Subject("plain aioboto3, no-op", 6000, ["python", "-m", f"{PEERS}.plain_loop"]),
    Subject("plain aioboto3, orders", 1500, ["python", "-m", f"{PEERS}.plain_orders"]),
    Subject(
        "plain aioboto3, orders, single deletes",
        600,
        ["python", "-m", f"{PEERS}.plain_orders"],
        environment={"SINGLE_DELETES": "1"},
    ),
)


async def measure(rounds: int, say: Say, subjects: Sequence[Subject] = SUBJECTS) -> list[Figure]:
    """CPU milliseconds for a message, and messages per second of wall time, of each subject.

    Raises ChildFailed for one that ends, does not delete its messages in time, or deletes what it has not handled.
    """
    with TemporaryDirectory() as tallies, open_lab() as lab:
        consumers = [await _start(lab, subject, Path(tallies) / subject.queue) for subject in subjects]
        try:
            for consumer in consumers:
                await consumer.take(consumer.subject.messages)
            turns = [[await consumer.turn(number, say) for consumer in consumers] for number in range(1, rounds + 1)]
            for consumer in consumers:
                await consumer.check_tally()
        finally:
            for consumer in consumers:
                consumer.kill()
    return [
        figure
        for subject, values in zip(subjects, zip(*turns, strict=True), strict=True)
        for figure in _figures(subject.name, values)
    ]


@dataclass(frozen=True)
class Turn:
    """`cpu_ms` is for one message."""

    cpu_ms: float
    per_second: float


def _figures(name: str, turns: Sequence[Turn]) -> list[Figure]:
    return [
        Figure(name, "cpu_per_message", "ms", tuple(turn.cpu_ms for turn in turns)),
        Figure(name, "throughput", "messages/s", tuple(turn.per_second for turn in turns)),
    ]


class Consumer:
    """A subject that runs."""

    def __init__(self, lab: Lab, subject: Subject, machine: Machine, tally: Path) -> None:
        self.subject = subject
        self._lab = lab
        self._machine = machine
        self._tally = tally
        self._taken = 0

    async def turn(self, number: int, say: Say) -> Turn:
        count = self.subject.messages
        cpu_before, started = self._machine.cpu_seconds(), time.perf_counter()
        await self.take(count)
        seconds = time.perf_counter() - started
        turn = Turn((self._machine.cpu_seconds() - cpu_before) * 1000 / count, count / seconds)
        say(
            f"round {number}  {self.subject.name:<40}"
            f"{turn.cpu_ms:8.3f} ms CPU/message {turn.per_second:8.0f} messages/s"
        )
        return turn

    async def take(self, count: int) -> None:
        """Returns when it has deleted so many messages."""
        release = asyncio.create_task(self._lab.aws.tell("Release", queue=self.subject.queue, count=count))
        deadline = time.monotonic() + TURN_SECONDS
        try:
            while not (await asyncio.wait([release], timeout=WATCH_SECONDS))[0]:
                self._machine.child.ensure_alive()
                if time.monotonic() > deadline:
                    raise self._machine.child.failed(f"has not deleted {count} messages in {TURN_SECONDS:.0f} s")
            await release
        finally:
            release.cancel()
        self._taken += count

    def kill(self) -> None:
        """At once: asked to stop, each would wait for the end of its long poll, one after the other."""
        if self._machine.child.process.poll() is None:
            for process in self._machine.processes:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self._machine.child.process.wait()

    async def check_tally(self) -> None:
        """Every message was handled, once."""
        if not self.subject.tallied:
            return
        deadline = time.monotonic() + TALLY_SECONDS
        while (handled := int.from_bytes(self._tally.read_bytes(), "little")) != self._taken:
            if time.monotonic() > deadline:
                raise self._machine.child.failed(f"deleted {self._taken} messages, but handled {handled}")
            await asyncio.sleep(WATCH_SECONDS)


async def _start(lab: Lab, subject: Subject, tally: Path) -> Consumer:
    tally.write_bytes(bytes(TALLY_BYTES))
    environment = {**subject.environment, "QUEUE": subject.queue, "PYTHONPATH": str(Path.cwd()), "TALLY": str(tally)}
    bodies = await _sent_bodies(lab, subject, environment) if subject.sender else order_bodies()
    await lab.aws.tell("Fill", queue=subject.queue, bodies=bodies)
    if subject.ours:
        machine = lab.start_service(subject.command[0], subject.queue, ORDER_QUEUE_NAME=subject.queue, **environment)
    else:
        machine = lab.start_peer(subject.queue, subject.command, environment)
    return Consumer(lab, subject, machine, tally)


async def _sent_bodies(lab: Lab, subject: Subject, environment: Mapping[str, str]) -> list[str]:
    """What the subject's own library sends."""
    name = f"{subject.queue}-sender"
    sender = lab.start_peer(name, ["python", "-m", str(subject.sender), str(BODIES)], environment).child
    if await asyncio.to_thread(sender.process.wait, SEND_SECONDS) != 0:
        raise sender.failed("could not send")
    bodies: list[str] = await lab.aws.tell("Sent", queue=subject.queue)
    if len(bodies) != BODIES:
        raise sender.failed(f"sent {len(bodies)} messages, not {BODIES}")
    return bodies


def order_bodies() -> list[str]:
    """Events of orders of two lines, each of another customer."""
    products = [
        Product(
            tenant="acme",
            sku=f"TEA-{number:03d}",
            name=f"Tea {number}",
            unit_price=1250,
            currency="EUR",
            updated_at=START,
        )
        for number in range(20)
    ]
    orders = (
        Order.place(
            Customer(tenant="acme", id=f"customer-{number}"),
            [(products[number % 20], 1 + number % 3), (products[(number + 7) % 20], 2)],
            at=START + timedelta(milliseconds=number),
            due_at=0,
        )
        for number in range(BODIES)
    )
    return [ProcessingRequested.of(order).to_json() for order in orders]
