"""Port of the work queue and its dead-letter queue. `order_shared.aws.sqs` implements it."""

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
        """Number of bytes that count towards the size limit of a batch."""
        return len(self.body.encode()) + sum(
            len(name.encode()) + len(value.encode()) + len("String") for name, value in self.attributes.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """A received message. `receipt` identifies this delivery, not the message; `sent_at` is in epoch milliseconds."""

    message_id: str
    receipt: str
    body: str
    receive_count: int
    sent_at: int


@dataclass(frozen=True, slots=True)
class Visibility:
    """Visibility timeout to set: the message of `receipt` stays hidden for `seconds` (0: visible at once)."""

    receipt: str
    seconds: int


@dataclass(frozen=True, slots=True)
class EntryFailure:
    """Failure of one entry in a batch request that itself succeeded. `index` is the entry's position in the batch.

    `gone` means that this consumer no longer holds the message, because it was deleted or delivered again. Other
    failures may be transient.
    """

    index: int
    code: str
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """SQS's estimates of the numbers of messages.

    `work` and `in_flight` are the visible and the in-flight messages of the work queue. `dead` are the visible messages
    of the dead-letter queue.
    """

    work: int
    in_flight: int
    dead: int


class QueueUnavailable(Exception):
    """The queue was unreachable or rejected the whole request. The request may have taken effect."""


class Queue(Protocol):
    """Port of the queues. Batches have 1 to 10 entries, and calls return the failed ones.

    Each call raises QueueUnavailable if the whole request fails.
    """

    async def send(self, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]: ...

    async def dead_letter(self, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]: ...

    async def receive(self, limit: int, wait_seconds: int, visibility_seconds: int) -> list[ReceivedMessage]: ...

    async def delete(self, receipts: Sequence[str]) -> list[EntryFailure]: ...

    async def change_visibility(self, changes: Sequence[Visibility]) -> list[EntryFailure]: ...

    async def depth(self) -> Depth: ...

    async def ping(self) -> None: ...
