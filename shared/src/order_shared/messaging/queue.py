"""What the platform asks of a queue. `order_shared.aws.sqs` is the real one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

MAX_BATCH = 10  # SQS hard limit, entries per request
MAX_BATCH_BYTES = 256 * 1024  # below SQS's limit on one request, bodies and attributes together
MAX_WAIT_SECONDS = 20  # SQS hard limit of a long poll


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    body: str
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes that count against the limit of a batch."""
        return len(self.body.encode()) + sum(
            len(name.encode()) + len(value.encode()) + len("String") for name, value in self.attributes.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """`receipt` names this delivery, not the message; `sent_at` is in epoch milliseconds."""

    message_id: str
    receipt: str
    body: str
    receive_count: int
    sent_at: int


@dataclass(frozen=True, slots=True)
class Visibility:
    """From now on, the delivery `receipt` stays hidden for `seconds` (0 gives it back)."""

    receipt: str
    seconds: int


@dataclass(frozen=True, slots=True)
class EntryFailure:
    """Entry `index` of a batch failed although the request as a whole did not.

    `gone` says that the delivery is no longer ours (deleted, or given to someone else); all else may pass.
    """

    index: int
    code: str
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Approximate counts of SQS: visible messages of the work queue, its messages in flight, and dead letters."""

    work: int
    in_flight: int
    dead: int


class QueueUnavailable(Exception):
    """The queue could not be reached, or refused the whole request."""


class Queue(Protocol):
    """Batches hold 1 to 10 entries. Each call raises QueueUnavailable if nothing of it may be relied on."""

    async def send(self, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]: ...

    async def dead_letter(self, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]: ...

    async def receive(self, limit: int, wait_seconds: int, visibility_seconds: int) -> list[ReceivedMessage]: ...

    async def delete(self, receipts: Sequence[str]) -> list[EntryFailure]: ...

    async def change_visibility(self, changes: Sequence[Visibility]) -> list[EntryFailure]: ...

    async def depth(self) -> Depth: ...

    async def ping(self) -> None: ...
