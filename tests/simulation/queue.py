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
from dataclasses import dataclass, field
from itertools import count
from random import Random

from order_shared.messaging.queue import (
    Depth,
    EntryFailure,
    OutgoingMessage,
    QueueUnavailable,
    ReceivedMessage,
    Visibility,
)
from order_shared.tables import MAX_RECEIVE_COUNT
from tests.simulation.clock import START
from tests.simulation.history import Border, History, What
from tests.simulation.link import Link

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


@dataclass(eq=False)
class _Message:
    message_id: str
    outgoing: OutgoingMessage
    sent_at: float
    order_id: str
    receive_count: int = 0
    receipt: str = ""
    visible_at: float | None = None
    """End of its visibility time-out, while it is in flight."""
    deleted: bool = field(default=False)


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
        self._now = now
        self._dice = dice
        self._numbers = count()
        self._visible: list[tuple[bool, float, int, _Message]] = []
        self._in_flight: dict[str, _Message] = {}
        self._time_outs: list[tuple[float, int, _Message]] = []
        self._changed = asyncio.Event()
        self._counted: tuple[float, int] = (float("-inf"), 0)
        self._count_lasts = 0.0

    def client(self, link: Link, *, sweeps: bool = False) -> "QueueClient":
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

    def put(self, outgoing: OutgoingMessage, *, by: str, sweeps: bool) -> None:
        order_id = outgoing.body.partition(_SUBJECT)[2].partition('"')[0]
        if sweeps:
            self.history.note(What.RESENT, order_id, by=by)
            if self.messages_of[order_id]:
                self.history.note(What.RESENT_SCHEDULED, order_id, by=by)
        self.history.note(What.SENT, order_id, by=by)
        self.sends_of[order_id] += 1
        self.messages_of[order_id] += 1
        message = _Message(f"message-{next(self._numbers)}", outgoing, self._now(), order_id)
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
            self.history.note(What.DEAD_LETTER, by=by)
            self.history.record(Border.QUEUE, "dead_letter", by=by, subject="", after=message.body)

    def remove(self, receipt: str, *, by: str, again: bool = False) -> None:
        """Delete by a receipt. That of an earlier delivery changes nothing. `again`: it is delivered all the same."""
        if message := self._find(receipt):
            self._record("delete", message, again, by=by)
            if again:
                return
            del self._in_flight[message.message_id]
            message.visible_at = None
            self._forget(message)
            self.history.note(What.DELETED, receipt, by=by)
            if len(self._in_flight) == self.rules.quota - 1:
                self._notify()

    def postpone(self, receipt: str, seconds: float, *, by: str) -> bool:
        """Return False if the delivery is over."""
        message = self._find(receipt)
        if message is None:
            return False
        self.history.note(What.HIDDEN, receipt, by=by)
        self._record("change_visibility", message, seconds, by=by)
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

    def _record(self, call: str, message: _Message, after: object, *, by: str) -> None:
        if self.history.effects is not None:
            self.history.record(
                Border.QUEUE, call, by=by, subject=message.message_id, before=message.receive_count, after=after
            )

    def _forget(self, message: _Message) -> None:
        self.messages_of[message.order_id] -= 1


class QueueClient:
    """The queue's port for one machine."""

    def __init__(self, queue: StandardQueue, link: Link, *, sweeps: bool) -> None:
        self._queue = queue
        self._link = link
        self._sweeps = sweeps

    async def send(self, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]:
        def put() -> list[EntryFailure]:
            self._ensure_up()
            failures = self._refused(len(messages))
            refused = {failure.index for failure in failures}
            for index, message in enumerate(messages):
                if index not in refused:
                    for _ in range(2 if self._link.duplicates() else 1):
                        self._queue.put(message, by=self._link.host, sweeps=self._sweeps)
            return failures

        return await self._link.call(put)

    async def dead_letter(self, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]:
        def put() -> None:
            self._ensure_up()
            self._queue.bury(messages, by=self._link.host)

        await self._link.call(put)
        return []

    async def receive(self, limit: int, wait_seconds: int, visibility_seconds: int) -> list[ReceivedMessage]:
        loop = asyncio.get_running_loop()
        await self._link.call(self._ensure_up)
        ends_at = loop.time() + wait_seconds
        while True:
            taken = self._queue.take(limit, visibility_seconds, by=self._link.host, expires=self._link.expires)
            left = ends_at - loop.time()
            if taken or left <= 0:
                break
            await self._queue.wait_for_messages(left)
        if not taken:
            self._queue.history.note(What.EMPTY_POLL, by=self._link.host)
        await self._link.call(lambda: None)
        return taken

    async def delete(self, receipts: Sequence[str]) -> list[EntryFailure]:
        def remove() -> list[EntryFailure]:
            self._ensure_up()
            failures = self._refused(len(receipts))
            refused = {failure.index for failure in failures}
            for index, receipt in enumerate(receipts):
                if index not in refused:
                    self._queue.remove(receipt, by=self._link.host, again=self._link.undeletes())
            return failures

        return await self._link.call(remove)

    async def change_visibility(self, changes: Sequence[Visibility]) -> list[EntryFailure]:
        def change() -> list[EntryFailure]:
            self._ensure_up()
            return [
                EntryFailure(index, "ReceiptHandleIsInvalid", gone=True)
                for index, change in enumerate(changes)
                if not self._queue.postpone(change.receipt, change.seconds, by=self._link.host)
            ]

        return await self._link.call(change)

    async def depth(self) -> Depth:
        def count_messages() -> Depth:
            self._ensure_up()
            return Depth(
                work=self._queue.approximate_visible,
                in_flight=self._queue.in_flight,
                dead=len(self._queue.dead_letters),
            )

        return await self._link.call(count_messages)

    async def ping(self) -> None:
        await self._link.call(self._ensure_up)

    def _refused(self, entries: int) -> list[EntryFailure]:
        return [EntryFailure(index, "InternalError") for index in range(entries) if self._link.refuses_entry()]

    def _ensure_up(self) -> None:
        if self._queue.down:
            raise QueueUnavailable("down")
