"""The queue's port for one machine."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from order_shared.messaging.queue import (
    Depth,
    EntryFailure,
    OutgoingMessage,
    QueueUnavailable,
    ReceivedMessage,
    Visibility,
)
from tests.simulation.history import What
from tests.simulation.link import Link

if TYPE_CHECKING:
    from tests.simulation.queue import StandardQueue


class QueueClient:
    """The queue's port for one machine."""

    def __init__(self, queue: "StandardQueue", link: Link, *, sweeps: bool) -> None:
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

        self._queue.limit(len(messages), "send")
        if not self._sweeps:
            await self._queue.sends.wait()
        try:
            failures = await self._link.call(put)
        except QueueUnavailable:
            self._queue.failed_sends[self._link.host] += len(messages)
            raise
        self._queue.failed_sends[self._link.host] += len(failures)
        return failures

    async def dead_letter(self, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]:
        def put() -> list[EntryFailure]:
            self._ensure_up()
            failures = self._refused(len(messages))
            refused = {failure.index for failure in failures}
            accepted = [message for index, message in enumerate(messages) if index not in refused]
            self._queue.bury(accepted, by=self._link.host)
            return failures

        return await self._link.call(put)

    async def receive(self, limit: int, wait_seconds: int, visibility_seconds: int) -> list[ReceivedMessage]:
        loop = asyncio.get_running_loop()
        self._queue.limit(limit, "receive")
        self._queue.polled(self._link.host)
        await self._link.call(self._ensure_up)
        await self._queue.answers.wait()
        ends_at = loop.time() + wait_seconds
        while True:
            taken = self._queue.take(limit, visibility_seconds, by=self._link.host, expires=self._link.expires)
            left = ends_at - loop.time()
            if taken or left <= 0:
                break
            await self._queue.wait_for_messages(left)
        if not taken:
            self._queue.history.note(What.EMPTY_POLL, by=self._link.host)
        self._queue.answering[self._link.host] += len(taken)
        try:
            await self._link.call(lambda: None)
        finally:
            self._queue.answering[self._link.host] -= len(taken)
        return taken

    async def delete(self, receipts: Sequence[str]) -> list[EntryFailure]:
        def remove() -> list[EntryFailure]:
            self._ensure_up()
            failures = self._refused(len(receipts), lambda: self._link.refuses_entry() or self._link.refuses_deletion())
            refused = {failure.index for failure in failures}
            for index, receipt in enumerate(receipts):
                if index not in refused and not self._queue.remove(
                    receipt, by=self._link.host, again=self._link.undeletes()
                ):
                    failures.append(EntryFailure(index, "ReceiptHandleIsInvalid", gone=True))
            return failures

        self._queue.limit(len(receipts), "delete")
        failed = range(len(receipts))
        try:
            await self._queue.settles.wait()
            failures = await self._link.call(remove)
            failed = [failure.index for failure in failures if not failure.gone]  # type: ignore[assignment]
        finally:
            self._queue.answered_deletes += len(receipts) - len(failed)
            self._queue.failed_deletes.update(receipts[index].partition("/")[0] for index in failed)
        return failures

    async def change_visibility(self, changes: Sequence[Visibility]) -> list[EntryFailure]:
        def change() -> list[EntryFailure]:
            self._ensure_up()
            return [
                EntryFailure(index, "ReceiptHandleIsInvalid", gone=True)
                for index, change in enumerate(changes)
                if not self._queue.postpone(change.receipt, change.seconds, by=self._link.host)
            ]

        self._queue.limit(len(changes), "change_visibility")
        for each in changes:
            self._queue.on_hide(each.receipt, each.seconds, self._link.host)
        await self._queue.settles.wait()
        failures = await self._link.call(change)
        self._queue.told_gone.update(changes[failure.index].receipt for failure in failures)
        return failures

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

    def _refused(self, entries: int, refuses: Callable[[], bool] | None = None) -> list[EntryFailure]:
        refuses = refuses or self._link.refuses_entry
        return [EntryFailure(index, "InternalError") for index in range(entries) if refuses()]

    def _ensure_up(self) -> None:
        if self._queue.down:
            raise QueueUnavailable("down")
