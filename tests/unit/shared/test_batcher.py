"""Batches: full ones are sent at once, others after a delay, and every entry gets its result."""

import asyncio
from collections.abc import Sequence

import pytest

from order_shared.messaging.batcher import Batcher, EntryFailed
from order_shared.messaging.queue import MAX_BATCH_BYTES, EntryFailure, QueueUnavailable
from tests.waiting import eventually


class Recorder:
    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.failures: list[EntryFailure] = []
        self.down = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def flush(self, entries: Sequence[str]) -> list[EntryFailure]:
        self.batches.append(list(entries))
        await self.gate.wait()
        if self.down:
            raise QueueUnavailable("down")
        return self.failures


async def test_concurrent_entries_share_a_batch() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder.flush)
    await asyncio.gather(*(batcher.submit(str(number)) for number in range(7)))
    assert recorder.batches == [[str(number) for number in range(7)]]


async def test_a_full_batch_does_not_linger() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder.flush, linger=3600)
    await asyncio.gather(*(batcher.submit(str(number)) for number in range(20)))
    assert [len(batch) for batch in recorder.batches] == [10, 10]


async def test_a_batch_is_bounded_by_bytes_too() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder.flush, size=len)
    big = "x" * (MAX_BATCH_BYTES // 2 - 1)
    await asyncio.gather(*(batcher.submit(big) for _ in range(5)))
    assert [len(batch) for batch in recorder.batches] == [2, 2, 1]


async def test_an_entry_larger_than_a_batch_is_sent_alone() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder.flush, size=len)
    await asyncio.gather(batcher.submit("x" * (MAX_BATCH_BYTES + 1)), batcher.submit("y"))
    assert [len(batch) for batch in recorder.batches] == [1, 1]


async def test_only_the_entries_that_failed_raise() -> None:
    recorder = Recorder()
    recorder.failures = [EntryFailure(1, "InternalError")]
    batcher = Batcher(recorder.flush)
    outcomes = await asyncio.gather(*(batcher.submit(entry) for entry in "abc"), return_exceptions=True)
    assert [outcomes[0], outcomes[2]] == [None, None]
    assert isinstance(outcomes[1], EntryFailed)
    assert outcomes[1].failure == EntryFailure(1, "InternalError")


async def test_when_a_batch_has_failed_every_entry_raises() -> None:
    recorder = Recorder()
    recorder.down = True
    batcher = Batcher(recorder.flush)
    outcomes = await asyncio.gather(*(batcher.submit(entry) for entry in "ab"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [EntryFailed, EntryFailed]
    recorder.down = False
    await batcher.submit("c")


async def test_a_bug_in_a_flush_loses_no_entry_silently_and_stops_nothing() -> None:
    sent: list[str] = []

    async def flush(entries: Sequence[str]) -> list[EntryFailure]:
        if "poison" in entries:
            raise ZeroDivisionError("a bug")
        sent.extend(entries)
        return []

    batcher = Batcher(flush, concurrency=1)
    lost = batcher.offer("poison")
    assert lost is not None
    await eventually(lost.done)
    assert isinstance(lost.exception(), EntryFailed)
    await batcher.submit("next")
    assert sent == ["next"]


async def test_an_offer_beyond_the_capacity_is_refused() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    batcher = Batcher(recorder.flush, capacity=3)
    outcomes = [batcher.offer(entry) for entry in "abcd"]
    assert [outcome is None for outcome in outcomes] == [False, False, False, True]
    recorder.gate.set()
    await batcher.close()


async def test_closing_sends_waiting_entries_and_accepts_no_more() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder.flush, linger=3600)
    outcome = batcher.offer("last")
    await batcher.close()
    assert recorder.batches == [["last"]]
    assert outcome is not None
    assert outcome.done()
    assert batcher.offer("too late") is None
    with pytest.raises(EntryFailed):
        await batcher.submit("too late")


async def test_an_unused_batcher_can_be_closed() -> None:
    await Batcher(Recorder().flush).close()


async def test_a_cancelled_caller_does_not_affect_the_others() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    batcher = Batcher(recorder.flush)
    impatient = asyncio.create_task(batcher.submit("a"))
    patient = asyncio.create_task(batcher.submit("b"))
    await eventually(lambda: bool(recorder.batches))
    impatient.cancel()
    recorder.gate.set()
    await patient
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_concurrent_batches_are_limited() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    batcher = Batcher(recorder.flush, concurrency=2)
    outcomes = [batcher.offer(str(number)) for number in range(50)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(recorder.batches) == 2
    recorder.gate.set()
    await batcher.close()
    assert sum(map(len, recorder.batches)) == len(outcomes)
