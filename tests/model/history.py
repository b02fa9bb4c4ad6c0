"""Events of a recorded history, as the walker reads them: writes, provider calls, messages and kills."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


class Refused(Exception):
    """An effect that no step of the table explains."""


@dataclass(frozen=True, kw_only=True)
class ItemWrite:
    """One item of a write, as plain values. `claimed` has what the write's own condition says of the item before.

    In `claimed`, a value of None means that the condition requires the attribute's absence.
    """

    table: str
    key: tuple[str, str]
    before: Json | None
    after: Json | None
    claimed: Json | None = None


@dataclass(frozen=True, kw_only=True)
class Write:
    """Items that one request wrote together, by a host."""

    by: str
    items: tuple[ItemWrite, ...]


@dataclass(frozen=True, kw_only=True)
class Call:
    """Effect of one provider call. `result` is the outcome's name; for `create` also the id of the new payment."""

    by: str
    call: str
    order: str
    payment: str | None
    attempts: Mapping[str, int]
    result: str
    created: str | None = None
    matches: bool = True
    declined: bool = False


@dataclass(frozen=True, kw_only=True)
class Message:
    """Effect on the queue: send, receive, delete, extend, postpone, give_back, dead_letter, duplicate."""

    by: str
    call: str
    message: str
    order: str
    receives: int = 0


@dataclass(frozen=True, kw_only=True)
class Response:
    """Response of the provider as a host received it, and what it may mean to the host, as results of the table.

    A history has these instead of calls if it knows single requests only: a gateway's call may consist of several.
    """

    by: str
    order: str
    payment: str | None
    results: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Kill:
    by: str


Event = Write | Call | Response | Message | Kill


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Values of the constants in the code that runs, and the hosts by role."""

    max_attempts: int
    defer_after: int
    overdue_sweeps: int
    outage_sweeps: int
    workers: str = "processor"
    """Prefix of the names of hosts that process orders."""
    operators: str = "operator"

    def role(self, host: str) -> str:
        """Return the sort of actor that writes orders from this host."""
        if host.startswith(self.workers):
            return "worker"
        return "operator" if host.startswith(self.operators) else "customer"
