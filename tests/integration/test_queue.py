"""Contract of the queues."""

from order_shared.messaging.queue import Depth, OutgoingMessage, Queue, Visibility


async def test_a_sent_message_is_received_and_hidden(queue: Queue) -> None:
    assert await queue.send([OutgoingMessage("one"), OutgoingMessage("two")]) == []
    received = await queue.receive(10, 1, 30)
    assert sorted(message.body for message in received) == ["one", "two"]
    assert {message.receive_count for message in received} == {1}
    assert await queue.receive(10, 0, 30) == []


async def test_no_more_messages_are_received_than_requested(queue: Queue) -> None:
    await queue.send([OutgoingMessage(str(number)) for number in range(5)])
    assert len(await queue.receive(2, 1, 30)) <= 2


async def test_a_deleted_message_is_not_delivered_again(queue: Queue) -> None:
    await queue.send([OutgoingMessage("one")])
    (message,) = await queue.receive(10, 1, 30)
    assert await queue.delete([message.receipt]) == []
    assert all(failure.gone for failure in await queue.delete([message.receipt])), "deleting twice is no trouble"
    assert await queue.receive(10, 0, 30) == []


async def test_a_released_message_is_delivered_again_at_once(queue: Queue) -> None:
    await queue.send([OutgoingMessage("one")])
    (first,) = await queue.receive(10, 1, 30)
    assert await queue.change_visibility([Visibility(first.receipt, 0)]) == []
    (second,) = await queue.receive(10, 1, 30)
    assert (second.message_id, second.body, second.receive_count) == (first.message_id, "one", 2)
    assert second.sent_at == first.sent_at


async def test_a_lost_delivery_is_reported_as_gone(queue: Queue) -> None:
    await queue.send([OutgoingMessage("one"), OutgoingMessage("two")])
    kept, lost = await queue.receive(10, 1, 30)
    await queue.delete([lost.receipt])
    (failure,) = await queue.change_visibility([Visibility(kept.receipt, 30), Visibility(lost.receipt, 30)])
    assert (failure.index, failure.gone) == (1, True)


async def test_dead_letters_are_separate_from_the_work_queue(queue: Queue) -> None:
    assert await queue.dead_letter([OutgoingMessage("bad", {"reason": "not_an_event"})]) == []
    assert await queue.receive(10, 0, 30) == []


async def test_the_depth_counts_waiting_messages(queue: Queue) -> None:
    assert await queue.depth() == Depth(work=0, in_flight=0, dead=0)
    await queue.send([OutgoingMessage("one"), OutgoingMessage("two"), OutgoingMessage("three")])
    await queue.dead_letter([OutgoingMessage("bad", {"reason": "not_an_event"})])
    assert len(await queue.receive(1, 1, 30)) == 1
    assert await queue.depth() == Depth(work=2, in_flight=1, dead=1)


async def test_ping(queue: Queue) -> None:
    await queue.ping()
