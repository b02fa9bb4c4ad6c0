"""A standard queue as AWS documents SQS.

- At the quota of messages in flight a poll returns none, without an error. A message is in flight from its receipt to
  its deletion or the end of its visibility time-out; one that is postponed by its visibility is in flight too.
- Order is best effort: `any_order` delivers in an order drawn at random, the worst that is allowed.
- A message received three times goes to the back, and no longer counts for ApproximateAgeOfOldestMessage.
- ApproximateNumberOfMessages may be a minute old.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from random import Random

from order_shared.messaging.queue import (
    MAX_BATCH,
    OutgoingMessage,
    ReceivedMessage,
)
from order_shared.tables import MAX_RECEIVE_COUNT
from tests.simulation.clock import START
from tests.simulation.history import Border, History, What
from tests.simulation.link import Link
from tests.simulation.queue_client import QueueClient

BACK_AFTER = 3
"""Receives after which a message goes to the back of the queue."""

_START_MS = int(START.timestamp() * 1000)
_SUBJECT = '"subject":"'


@dataclass(frozen=True, kw_only=True)
class QueueRules:
    """`quota` is AWS's default for messages in flight; scale it with the rates of a run."""

    quota: int = 120_000
    any_order: bool = True
    depth_age: float = 60.0
    """Seconds that a count of messages may be old."""


@dataclass(frozen=True, kw_only=True)
class Settling:
    """End of a delivery: its message is deleted, or `seconds` is the time until it is visible again."""

    by: str
    order_id: str
    message_id: str
    receipt: str
    receive_count: int
    received_at: float
    seconds: float | None


@dataclass(eq=False)
class _Message:
    message_id: str
    outgoing: OutgoingMessage
    sent_at: float
    order_id: str
    is_order: bool = True
    receive_count: int = 0
    receipt: str = ""
    received_at: float = 0.0
    holder: str = ""
    """Machine that received it last."""
    visible_at: float | None = None
    """End of its visibility time-out, while it is in flight."""


class StandardQueue:
    """The queue itself. Each machine reaches it by a client of its own."""

    def __init__(self, rules: QueueRules, dice: Random, history: History, now: Callable[[], float]) -> None:
        self.rules = rules
        self.history = history
        self.down = False
        """Every request fails while this is set."""
        self.dead_letters: list[OutgoingMessage] = []
        self.sends_of: Counter[str] = Counter()
        """Messages sent so far, by order."""
        self.messages_of: Counter[str] = Counter()
        """Messages that exist, by order."""
        self.on_settled: Callable[[Settling], None] = lambda _: None
        """Called before a message is deleted or hidden by the receipt of its last delivery."""
        self.on_hide: Callable[[str, float, str], None] = lambda *_: None
        """Called with receipt, seconds and machine when a change of visibility is about to be requested."""
        self.on_buried: Callable[[str], None] = lambda _: None
        """Called with the id of each message that becomes a dead letter."""
        self.on_resent: Callable[[str, str], None] = lambda *_: None
        """Called with the order, and the machine whose sweeper sends its message."""
        self.failed_sends: Counter[str] = Counter()
        """Entries of sends that a machine was told, or must assume, to have failed."""
        self.answered_deletes = 0
        """Entries of deletes that machines were told to be done."""
        self.failed_deletes: Counter[str] = Counter()
        """Entries of deletes that machines were told to have failed, by message."""
        self.broken_limits: set[str] = set()
        """Requests beyond SQS's limits."""
        self.answering: Counter[str] = Counter()
        """Messages on their way to each machine."""
        self.polled_at: dict[str, float] = {}
        """Time of each machine's last poll."""
        self.answers = asyncio.Event()
        """Polls get no answer while this is not set."""
        self.answers.set()
        self.told_gone: set[str] = set()
        """Receipts of which a machine was told that their delivery is over."""
        self.settles = asyncio.Event()
        """Deletions and changes of visibility get no answer while this is not set."""
        self.settles.set()
        self.sends = asyncio.Event()
        """Sends get no answer while this is not set, except those of sweepers."""
        self.sends.set()
        self._deleted: set[str] = set()
        self._of_no_order: set[str] = set()
        self._now = now
        self._dice = dice
        self._numbers = count()
        self._visible: list[tuple[bool, float, int, _Message]] = []
        self._in_flight: dict[str, _Message] = {}
        self._time_outs: list[tuple[float, int, _Message]] = []
        self._changed = asyncio.Event()
        self._counted: tuple[float, int] = (float("-inf"), 0)
        self._count_lasts = 0.0

    def client(self, link: Link, *, sweeps: bool = False) -> QueueClient:
        """Return the queue as a machine sees it. What a machine that `sweeps` sends is counted as resent."""
        return QueueClient(self, link, sweeps=sweeps)

    @property
    def visible(self) -> int:
        self._end_time_outs()
        return len(self._visible)

    @property
    def in_flight(self) -> int:
        self._end_time_outs()
        return len(self._in_flight)

    @property
    def age_of_oldest(self) -> float:
        """ApproximateAgeOfOldestMessage in seconds."""
        self._end_time_outs()
        waiting = [message for *_, message in self._visible] + list(self._in_flight.values())
        sent = [message.sent_at for message in waiting if message.receive_count < BACK_AFTER]
        return self._now() - min(sent) if sent else 0.0

    @property
    def approximate_visible(self) -> int:
        """ApproximateNumberOfMessages: a count of up to a minute ago."""
        now = self._now()
        if now - self._counted[0] >= self._count_lasts:
            self._counted = now, self.visible
            self._count_lasts = self._dice.uniform(0, self.rules.depth_age)
        return self._counted[1]

    def put(self, outgoing: OutgoingMessage, *, by: str, sweeps: bool, is_order: bool = True) -> None:
        """Add a message. The effects of one that is of no order are not recorded."""
        order_id = outgoing.body.partition(_SUBJECT)[2].partition('"')[0]
        if sweeps:
            self.history.note(What.RESENT, order_id, by=by)
            if self.messages_of[order_id]:
                self.history.note(What.RESENT_SCHEDULED, order_id, by=by)
            self.on_resent(order_id, by)
        self.history.note(What.SENT, order_id, by=by)
        self.sends_of[order_id] += 1
        self.messages_of[order_id] += 1
        message = _Message(f"message-{next(self._numbers)}", outgoing, self._now(), order_id, is_order)
        if not is_order:
            self._of_no_order.add(message.message_id)
        self._record("send", message, outgoing.body, by=by)
        self._show(message)
        self._notify()

    def take(
        self, limit: int, visibility_seconds: float, *, by: str, expires: Callable[[], bool] = lambda: False
    ) -> list[ReceivedMessage]:
        """Receive up to `limit` messages that are visible now, and none at the quota."""
        self._end_time_outs()
        taken: list[ReceivedMessage] = []
        while self._visible and len(taken) < limit and len(self._in_flight) < self.rules.quota:
            *_, message = heapq.heappop(self._visible)
            message.receive_count += 1
            if message.receive_count > MAX_RECEIVE_COUNT:
                self.dead_letters.append(message.outgoing)
                self._forget(message)
                self.history.note(What.DEAD_LETTER, message.order_id, by="redrive policy")
                continue
            message.receipt = f"{message.message_id}/{message.receive_count}"
            message.received_at, message.holder = self._now(), by
            self._in_flight[message.message_id] = message
            self._hide(message, 0.0 if expires() else visibility_seconds)
            self.history.note(What.DELIVERED, message.receipt, by=by)
            self._record("receive", message, message.receive_count, by=by)
            taken.append(
                ReceivedMessage(
                    message_id=message.message_id,
                    receipt=message.receipt,
                    body=message.outgoing.body,
                    receive_count=message.receive_count,
                    sent_at=_START_MS + int(message.sent_at * 1000),
                )
            )
        return taken

    def bury(self, messages: Sequence[OutgoingMessage], *, by: str) -> None:
        """Store dead letters."""
        for message in messages:
            self.dead_letters.append(message)
            self.on_buried(message.attributes.get("message_id", ""))
            self.history.note(What.DEAD_LETTER, by=by)
            if message.attributes.get("message_id", "") not in self._of_no_order:
                self.history.record(Border.QUEUE, "dead_letter", by=by, subject="", after=message.body)

    def remove(self, receipt: str, *, by: str, again: bool = False) -> bool:
        """Delete by a receipt. Return False for that of an earlier delivery, which changes nothing.

        `again`: the message is delivered all the same.
        """
        message = self._find(receipt)
        if message is None:
            return receipt.partition("/")[0] in self._deleted
        self._record("delete", message, again, by=by)
        self._settle(message, None, by)
        if again:
            return True
        self._deleted.add(message.message_id)
        del self._in_flight[message.message_id]
        message.visible_at = None
        self._forget(message)
        self.history.note(What.DELETED, receipt, by=by)
        if len(self._in_flight) == self.rules.quota - 1:
            self._notify()
        return True

    def postpone(self, receipt: str, seconds: float, *, by: str) -> bool:
        """Return False if the delivery is over."""
        message = self._find(receipt)
        if message is None:
            return False
        self.history.note(What.HIDDEN, receipt, by=by)
        self._record("change_visibility", message, seconds, by=by)
        self._settle(message, seconds, by)
        next_before = self._next_time_out()
        self._hide(message, seconds)
        if self._now() + seconds < next_before:
            self._notify()
        return True

    async def wait_for_messages(self, seconds: float) -> None:
        """Return when something may have become visible, at the latest after `seconds`."""
        seconds = min(seconds, self._next_time_out() - self._now())
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._changed.wait()

    def _notify(self) -> None:
        """Wake every poll that waits."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _next_time_out(self) -> float:
        """Return when the next message in flight becomes visible."""
        while self._time_outs and self._time_outs[0][2].visible_at != self._time_outs[0][0]:
            heapq.heappop(self._time_outs)  # deleted or postponed meanwhile
        return self._time_outs[0][0] if self._time_outs else float("inf")

    def _find(self, receipt: str) -> _Message | None:
        self._end_time_outs()
        message = self._in_flight.get(receipt.partition("/")[0])
        return message if message and message.receipt == receipt else None

    def _hide(self, message: _Message, seconds: float) -> None:
        message.visible_at = self._now() + seconds
        heapq.heappush(self._time_outs, (message.visible_at, next(self._numbers), message))

    def _show(self, message: _Message) -> None:
        message.visible_at = None
        number = next(self._numbers)
        position = self._dice.random() if self.rules.any_order else float(number)
        heapq.heappush(self._visible, (message.receive_count >= BACK_AFTER, position, number, message))

    def _end_time_outs(self) -> None:
        now = self._now()
        while self._time_outs and self._time_outs[0][0] <= now:
            at, _, message = heapq.heappop(self._time_outs)
            if message.visible_at == at:
                del self._in_flight[message.message_id]
                self._show(message)

    def held_by(self, host: str) -> list[tuple[str, float]]:
        """Return the orders whose messages are hidden because this machine received them, and when it did."""
        self._end_time_outs()
        held = [message for message in self._in_flight.values() if message.holder == host]
        return [(message.order_id, message.received_at) for message in held]

    def polled(self, host: str) -> None:
        """Note that a machine begins a poll."""
        self.polled_at[host] = self._now()

    def limit(self, entries: int, call: str) -> None:
        """Note a request that SQS refuses for its number of entries."""
        if not 1 <= entries <= MAX_BATCH:
            self.broken_limits.add(f"{call} of {entries} messages")

    def _settle(self, message: _Message, seconds: float | None, by: str) -> None:
        self.on_settled(
            Settling(
                by=by,
                order_id=message.order_id,
                message_id=message.message_id,
                receipt=message.receipt,
                receive_count=message.receive_count,
                received_at=message.received_at,
                seconds=seconds,
            )
        )

    def _record(self, call: str, message: _Message, after: object, *, by: str) -> None:
        if self.history.effects is not None and message.is_order:
            self.history.record(
                Border.QUEUE, call, by=by, subject=message.message_id, before=message.receive_count, after=after
            )

    def _forget(self, message: _Message) -> None:
        self.messages_of[message.order_id] -= 1
