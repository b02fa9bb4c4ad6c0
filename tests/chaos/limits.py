"""Limits that AWS documents and the embedded AWS lacks. Each strikes whenever it is reached, whatever the seed.

They are far lower than AWS's, so that a few customers reach them.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from tests.chaos.wire import (
    CHANGE_VISIBILITY,
    DELETE,
    READ_TRANSACTION,
    RECEIVE,
    TRANSACTION,
    UPDATE,
    Answer,
    Call,
    Forward,
    Json,
    aws_error,
    cancelled,
    json_answer,
)

OVERLAP_SECONDS = 0.02
QUOTA = 6
"""Messages in flight: AWS allows about 120,000."""
EMPTY_POLL_SECONDS = 0.3
UNITS_PER_SECOND = 10.0
"""Write units of one partition: AWS gives 1,000."""

Strike = Callable[[], None]
"""Called when the limit strikes."""


class Limit(Protocol):
    async def meet(self, forward: Forward, call: Call) -> Answer:
        """Return the answer of the other side, or the refusal if the call meets the limit."""
        ...


class Conflicts:
    """Refuses a transaction that meets a write of one of its items, and a write that meets a transaction.

    A read transaction is refused as well; it is in nobody's way itself.
    """

    def __init__(self, strike: Strike) -> None:
        self._strike = strike
        self._under_way: dict[str, list[str]] = {TRANSACTION: [], UPDATE: []}

    async def meet(self, forward: Forward, call: Call) -> Answer:
        keys = call.written_keys
        taken = self._under_way[TRANSACTION]
        if call.operation in {TRANSACTION, READ_TRANSACTION}:
            taken = taken + self._under_way[UPDATE]
        conflicts = [key in taken for key in keys or call.snapshot_keys]
        if any(conflicts):
            self._strike()
            return cancelled(conflicts) if call.operation != UPDATE else aws_error("TransactionConflictException")
        if not keys:
            return await forward(call)
        under_way = self._under_way[call.operation]
        under_way += keys
        try:
            await asyncio.sleep(OVERLAP_SECONDS)
            return await forward(call)
        finally:
            for key in keys:
                under_way.remove(key)


class InFlightQuota:
    """Answers a poll with no messages, and no error, while as many as the quota are in flight.

    A message is in flight from its receipt until it is deleted, or until the visibility that was last asked for ends.
    """

    def __init__(self, strike: Strike) -> None:
        self._strike = strike
        self._hidden_until: dict[str, float] = {}

    async def meet(self, forward: Forward, call: Call) -> Answer:
        now = time.monotonic()
        self._hidden_until = {receipt: until for receipt, until in self._hidden_until.items() if until > now}
        room = QUOTA - len(self._hidden_until)
        if call.operation == RECEIVE and room <= 0:
            self._strike()
            await asyncio.sleep(EMPTY_POLL_SECONDS)
            return json_answer({})
        if call.operation == RECEIVE:
            limit = min(room, call.content["MaxNumberOfMessages"])
            call = call.with_content(RECEIVE, {**call.content, "MaxNumberOfMessages": limit})
        answer = await forward(call)
        self._observe(call, answer)
        return answer

    def _observe(self, call: Call, answer: Answer) -> None:
        now = time.monotonic()
        if call.operation == RECEIVE:
            for message in answer.content.get("Messages", []):
                self._hidden_until[message["ReceiptHandle"]] = now + call.content.get("VisibilityTimeout", 0)
        elif call.operation == CHANGE_VISIBILITY:
            for entry in call.content["Entries"]:
                self._hidden_until[entry["ReceiptHandle"]] = now + entry["VisibilityTimeout"]
        elif call.operation == DELETE:
            for entry in call.content["Entries"]:
                self._hidden_until.pop(entry["ReceiptHandle"], None)


class PartitionLimit:
    """Throttles writes to a partition, of a table or of one of its indexes, that has no write units left.

    A partition is taken to hold one hash key. A write costs a unit, and two in a transaction. What an index pays for an
    entry that leaves it is not counted: the request does not say where the entry was.
    """

    def __init__(self, strike: Strike) -> None:
        self._strike = strike
        self._left: dict[str, tuple[float, float]] = {}

    async def meet(self, forward: Forward, call: Call) -> Answer:
        by_write = call.written_partitions
        units = 2 if call.operation == TRANSACTION else 1
        spent = [any(self._units(partition) < units for partition in partitions) for partitions in by_write]
        if any(spent):
            self._strike()
            if call.operation == TRANSACTION:
                reasons: list[Json] = [{"Code": "ThrottlingError" if each else "None"} for each in spent]
                return aws_error("TransactionCanceledException", CancellationReasons=reasons)
            return aws_error("ThrottlingException")
        for partition in (partition for partitions in by_write for partition in partitions):
            self._left[partition] = self._units(partition) - units, time.monotonic()
        return await forward(call)

    def _units(self, partition: str) -> float:
        left, at = self._left.get(partition, (UNITS_PER_SECOND, 0.0))
        return min(UNITS_PER_SECOND, left + (time.monotonic() - at) * UNITS_PER_SECOND)


def onward(forward: Forward, limits: Sequence[Limit]) -> Forward:
    """Return the way on through all the limits."""
    for limit in limits:
        forward = partial(limit.meet, forward)
    return forward
