"""Faults of the Lab: kill a process, suspend one for a time, send an unreadable message."""

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from devstack.lab.books import Books
from devstack.lab.stack_file import StackFile
from order_shared.domain.clock import utc_now
from order_shared.naming import SERVICE_NAMES

KILLED = SERVICE_NAMES
SQS_GATE = "sqs-gate"
PAYMENTS = "payments"
SUSPENDED = {SQS_GATE: "SQS", PAYMENTS: "the payment provider"}
SUSPENDED_SECONDS = 15.0
POISON = '{"type": "order.unknown.v1", "data": '


@dataclass(frozen=True)
class Action:
    at: datetime
    text: str


@dataclass
class Faults:
    """Faults in the order in which they were made."""

    stack: StackFile
    books: Books
    actions: list[Action] = field(default_factory=list)
    suspended: dict[str, datetime] = field(default_factory=dict)
    """End of each suspension, by the name of the process."""
    _resuming: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def note(self, text: str) -> int:
        """Record an action; return its number."""
        self.actions.append(Action(utc_now(), text))
        return len(self.actions) - 1

    def kill(self, name: str) -> int:
        """Kill the process of a service. The supervisor starts it again."""
        pid = self.stack.pid(name)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return self.note(f"{name} is dead already; the supervisor is starting it again")
        return self.note(f"{name} was killed (process {pid})")

    def suspend(self, name: str) -> int:
        """Suspend a process for a time: it keeps its connections, and answers nothing."""
        pid = self.stack.pid(name)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        if name in self._resuming:
            self._resuming[name].cancel()
        self.suspended[name] = utc_now() + timedelta(seconds=SUSPENDED_SECONDS)
        self._resuming[name] = asyncio.create_task(self._resume_later(name, pid))
        return self.note(f"{SUSPENDED[name]} does not respond for {SUSPENDED_SECONDS:.0f} s")

    async def poison(self) -> int:
        """Send a message that cannot be parsed. The processor moves it to the dead-letter queue."""
        await self.books.send(POISON)
        return self.note("a message that cannot be read was sent; it must become a dead letter")

    def resume_all(self) -> None:
        """Resume every process that can be suspended, also those that an earlier process of the Lab suspended."""
        for name in SUSPENDED:
            with suppress(ProcessLookupError, KeyError):
                os.kill(self.stack.pid(name), signal.SIGCONT)

    async def _resume_later(self, name: str, pid: int) -> None:
        await asyncio.sleep(SUSPENDED_SECONDS)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        self.suspended.pop(name, None)
        self.note(f"{SUSPENDED[name]} responds again")
