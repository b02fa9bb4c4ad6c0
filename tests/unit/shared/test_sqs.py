"""Batches as SQS takes them, and its answers as it gives them: per entry, and never all or nothing."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiobotocore.config import AioConfig
from botocore.exceptions import ClientError, EndpointConnectionError

from order_shared.aws.sqs import SqsQueue, open_sqs
from order_shared.messaging.queue import (
    MAX_WAIT_SECONDS,
    EntryFailure,
    OutgoingMessage,
    QueueUnavailable,
    Visibility,
)

if TYPE_CHECKING:
    import aioboto3
    from types_aiobotocore_sqs import SQSClient

DUPLICATE = {
    "MessageId": "message-1",
    "Body": "a",
    "Attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "0"},
}


class StrictClient:
    """Answers as SQS does; `failed` are entries of the next batch, by position, `error` is of the next request."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.failed: dict[int, str] = {}
        self.error: Exception | None = None
        self.messages: list[dict[str, Any]] = []

    async def get_queue_url(self, QueueName: str) -> dict[str, str]:  # noqa: N803 - boto's name
        return {"QueueUrl": f"http://sqs.test/{QueueName}"}

    async def receive_message(self, **_: Any) -> dict[str, Any]:
        return {"Messages": self.messages}

    async def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG002, N803 - boto's names
        return self._batch(Entries)

    async def delete_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG002, N803 - boto's names
        return self._batch(Entries)

    async def change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG002, N803 - boto's names
        return self._batch(Entries)

    def _batch(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        ids = [entry["Id"] for entry in entries]
        if len(set(ids)) < len(ids):
            raise refusal("AWS.SimpleQueueService.BatchEntryIdsNotDistinct")
        self.entries += entries
        failed = {ids[index]: code for index, code in self.failed.items()}
        return {
            "Successful": [{"Id": each} for each in ids if each not in failed],
            "Failed": [{"Id": each, "Code": code, "SenderFault": False} for each, code in failed.items()],
        }


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, "Batch")


def make_queue(client: StrictClient) -> SqsQueue:
    sqs = cast("SQSClient", client)
    return SqsQueue("orders", "orders-dead", client=sqs, polling_client=sqs)


async def send(queue: SqsQueue, names: Sequence[str]) -> list[EntryFailure]:
    return await queue.send([OutgoingMessage(name) for name in names])


async def bury(queue: SqsQueue, names: Sequence[str]) -> list[EntryFailure]:
    return await queue.dead_letter([OutgoingMessage(name) for name in names])


async def delete(queue: SqsQueue, names: Sequence[str]) -> list[EntryFailure]:
    return await queue.delete(names)


async def extend(queue: SqsQueue, names: Sequence[str]) -> list[EntryFailure]:
    return await queue.change_visibility([Visibility(name, 30) for name in names])


BATCHES = pytest.mark.parametrize("batch", [send, bury, delete, extend])


@BATCHES
async def test_a_refused_entry_of_a_batch_that_succeeded_is_never_overlooked(batch: Any) -> None:
    client = StrictClient()
    client.failed = {1: "InternalError", 2: "ReceiptHandleIsInvalid"}
    assert await batch(make_queue(client), "abcd") == [
        EntryFailure(1, "InternalError"),
        EntryFailure(2, "ReceiptHandleIsInvalid", gone=True),
    ]


@BATCHES
@pytest.mark.parametrize(
    "error", [refusal("RequestThrottled"), EndpointConnectionError(endpoint_url="x"), ConnectionResetError()], ids=repr
)
async def test_a_batch_that_failed_as_a_whole_is_never_taken_for_sent(batch: Any, error: Exception) -> None:
    client = StrictClient()
    client.error = error
    with pytest.raises(QueueUnavailable):
        await batch(make_queue(client), "abcd")


@pytest.mark.parametrize("batch", [delete, extend])
async def test_a_duplicate_in_a_batch_does_not_reject_the_batch(batch: Any) -> None:
    """Two deliveries of one message have one message id and two receipts: an entry is named by its position."""
    client = StrictClient()
    client.messages = [DUPLICATE | {"ReceiptHandle": receipt} for receipt in ("receipt-1", "receipt-2")]
    queue = make_queue(client)
    first, second = await queue.receive(10, 0, 30)
    assert first.message_id == second.message_id
    assert await batch(queue, [first.receipt, second.receipt]) == []
    assert [entry["ReceiptHandle"] for entry in client.entries] == ["receipt-1", "receipt-2"]


class RecordingSession:
    """Keeps how each client was made."""

    def __init__(self) -> None:
        self.configs: list[AioConfig] = []

    @asynccontextmanager
    async def client(self, _: str, *, config: AioConfig, **__: Any) -> AsyncIterator[StrictClient]:
        self.configs.append(config)
        yield StrictClient()


def setting(config: AioConfig, name: str) -> Any:
    return getattr(config, name)  # botocore makes them from its keyword arguments


async def test_there_is_one_client_per_purpose_with_a_pool_and_time_outs_of_its_own_and_none_per_call() -> None:
    session = RecordingSession()
    async with open_sqs(
        cast("aioboto3.Session", session), name="a", dead_letter_name="b", region="r", endpoint=None, pollers=16
    ) as queue:
        for _ in range(50):
            await queue.send([OutgoingMessage("a")])
            await queue.receive(10, 0, 30)
    work, polls = session.configs
    assert setting(work, "max_pool_connections") > 10  # botocore's default
    assert setting(polls, "max_pool_connections") == 16
    assert setting(work, "read_timeout") < MAX_WAIT_SECONDS < setting(polls, "read_timeout")
    assert {setting(config, "connect_timeout") for config in session.configs} == {1.0}
