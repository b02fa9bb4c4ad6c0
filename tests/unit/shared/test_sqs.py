"""Batches of SQS, whose responses have a result per entry."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from aws_json_client import (
    SQS,
    CredentialsProvider,
    Key,
    NoCredentials,
    Service,
    SignedTransport,
    StaticCredentials,
    open_transport,
)
from aws_json_client.http import Request, Response
from devstack.stack import local_credentials
from order_shared.aws.sqs import SqsQueue, open_sqs
from order_shared.messaging.queue import (
    MAX_WAIT_SECONDS,
    Depth,
    EntryFailure,
    OutgoingMessage,
    QueueUnavailable,
    Visibility,
)

DUPLICATE = {
    "MessageId": "message-1",
    "Body": "a",
    "Attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "0"},
}
BATCHES_OF_SQS = {"SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"}

Answer = Response | Exception


class Wire:
    """Fake of SQS. `failed` are the failing entries of the next batch; `script` has the next responses."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.failed: dict[int, str] = {}
        self.script: list[Answer] = []
        self.messages: list[dict[str, Any]] = []
        self.sent: list[tuple[str, dict[str, Any]]] = []

    async def __call__(self, request: Request) -> Response:
        operation = request.headers["x-amz-target"].removeprefix("AmazonSQS.")
        content = json.loads(request.body)
        if operation == "GetQueueUrl":
            return ok({"QueueUrl": f"http://sqs.test/{content['QueueName']}"})
        self.sent.append((operation, content))
        if self.script:
            answer = self.script.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if operation == "ReceiveMessage":
            return ok({"Messages": self.messages})
        assert operation in BATCHES_OF_SQS
        return self._batch(content["Entries"])

    def _batch(self, entries: list[dict[str, Any]]) -> Response:
        ids = [entry["Id"] for entry in entries]
        if len(set(ids)) < len(ids):
            return refusal("BatchEntryIdsNotDistinct")
        self.entries += entries
        failed = {ids[index]: code for index, code in self.failed.items()}
        return ok(
            {
                "Successful": [{"Id": each} for each in ids if each not in failed],
                "Failed": [{"Id": each, "Code": code, "SenderFault": False} for each, code in failed.items()],
            }
        )


def ok(content: dict[str, Any]) -> Response:
    return Response(200, json.dumps(content).encode())


def refusal(code: str, status: int = 400) -> Response:
    return Response(status, json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "no"}).encode())


class RefreshableCredentials(StaticCredentials):
    """Credentials that count the rejections of their key."""

    refused = 0

    def refuse(self, key: Key) -> None:
        assert key == self.key
        self.refused += 1


def make_queue(
    wire: Wire, credentials: CredentialsProvider | None = None, *, on_retry: Callable[[str], None] = lambda _: None
) -> SqsQueue:
    credentials = credentials or StaticCredentials(Key("id", "secret"))
    transport = SignedTransport(SQS, wire, credentials, region="eu-central-1", host="sqs.test")
    return SqsQueue("orders", "orders-dead", service=transport, polls=transport, on_retry=on_retry)


async def send(queue: SqsQueue, names: Sequence[str]) -> list[EntryFailure]:
    return await queue.send([OutgoingMessage(name) for name in names])


async def dead_letter(queue: SqsQueue, names: Sequence[str]) -> list[EntryFailure]:
    return await queue.dead_letter([OutgoingMessage(name) for name in names])


async def delete(queue: SqsQueue, names: Sequence[str]) -> list[EntryFailure]:
    return await queue.delete(names)


async def extend(queue: SqsQueue, names: Sequence[str]) -> list[EntryFailure]:
    return await queue.change_visibility([Visibility(name, 30) for name in names])


BATCHES = pytest.mark.parametrize("batch", [send, dead_letter, delete, extend])


@BATCHES
async def test_a_refused_entry_of_a_batch_that_succeeded_is_never_overlooked(batch: Any) -> None:
    wire = Wire()
    wire.failed = {1: "InternalError", 2: "ReceiptHandleIsInvalid"}
    assert await batch(make_queue(wire), "abcd") == [
        EntryFailure(1, "InternalError"),
        EntryFailure(2, "ReceiptHandleIsInvalid", gone=True),
    ]


PASSING: list[Answer] = [
    refusal("RequestThrottled"),
    refusal("ThrottlingException"),
    refusal("ExpiredToken", 403),
    refusal("AccessDeniedException", 403),
    Response(500, b""),
    Response(503, b"<html>no JSON</html>"),
    Response(403, b"<html>a proxy's</html>"),
    Response(302, b""),
    Response(400, b""),
    Response(200, b"[]"),
    Response(200, b"<html>a portal's</html>"),
    ConnectionResetError(),
    TimeoutError(),
]
LASTING: list[Answer] = [refusal("QueueDoesNotExist")]


@BATCHES
@pytest.mark.parametrize("answer", PASSING, ids=repr)
async def test_transient_errors_are_retried_once_with_the_same_content(batch: Any, answer: Answer) -> None:
    wire = Wire()
    wire.script = [answer]
    assert await batch(make_queue(wire), "ab") == []
    first, second = wire.sent
    assert first == second


@pytest.mark.parametrize(
    ("answer", "reason"),
    list(
        zip(
            PASSING,
            [
                *("throttled", "throttled", "credentials", "access_denied", "server_error", "server_error"),
                *("network",) * 6,
                "timeout",
            ],
            strict=True,
        )
    ),
    ids=repr,
)
async def test_a_retry_is_reported_with_its_reason(answer: Answer, reason: str) -> None:
    wire, told = Wire(), list[str]()
    wire.script = [answer]
    await send(make_queue(wire, on_retry=told.append), "a")
    assert told == [reason]


@BATCHES
@pytest.mark.parametrize("answers", [[answer] * 2 for answer in PASSING] + [[answer] for answer in LASTING], ids=repr)
async def test_a_batch_that_failed_as_a_whole_is_never_taken_for_sent(batch: Any, answers: list[Answer]) -> None:
    wire = Wire()
    wire.script = list(answers)
    with pytest.raises(QueueUnavailable):
        await batch(make_queue(wire), "abcd")
    assert len(wire.sent) == len(answers)


async def test_the_depth_is_read_from_both_queues() -> None:
    wire = Wire()
    counts = [{"ApproximateNumberOfMessages": count, "ApproximateNumberOfMessagesNotVisible": "1"} for count in "72"]
    wire.script = [ok({"Attributes": each}) for each in counts]
    assert await make_queue(wire).depth() == Depth(work=7, in_flight=1, dead=2)
    assert [content["QueueUrl"].rpartition("/")[2] for _, content in wire.sent] == ["orders", "orders-dead"]


@pytest.mark.parametrize("answer", [*PASSING, *LASTING], ids=repr)
async def test_a_poll_is_not_repeated(answer: Answer) -> None:
    """Messages of a lost response stay hidden; the consumer decides when to poll again."""
    wire = Wire()
    wire.script = [answer]
    with pytest.raises(QueueUnavailable):
        await make_queue(wire).receive(10, 0, 30)
    assert len(wire.sent) == 1


async def test_an_expired_key_is_loaded_again() -> None:
    wire = Wire()
    wire.script = [refusal("ExpiredToken", 403)]
    credentials = RefreshableCredentials(Key("id", "secret", "token"))
    await send(make_queue(wire, credentials), "a")
    assert credentials.refused == 1


class WithoutCredentials(StaticCredentials):
    async def get_key(self) -> Key:
        raise NoCredentials("no source has any")


async def test_without_credentials_the_queue_is_unavailable_and_nothing_is_sent() -> None:
    wire = Wire()
    with pytest.raises(QueueUnavailable, match="no credentials"):
        await send(make_queue(wire, WithoutCredentials(Key("", ""))), "a")
    assert wire.sent == []


@pytest.mark.parametrize("batch", [delete, extend])
async def test_a_duplicate_in_a_batch_does_not_reject_the_batch(batch: Any) -> None:
    """Two deliveries of a message have the same message id, so entry ids are positions."""
    wire = Wire()
    wire.messages = [DUPLICATE | {"ReceiptHandle": receipt} for receipt in ("receipt-1", "receipt-2")]
    queue = make_queue(wire)
    first, second = await queue.receive(10, 0, 30)
    assert first.message_id == second.message_id
    assert await batch(queue, [first.receipt, second.receipt]) == []
    assert [entry["ReceiptHandle"] for entry in wire.entries] == ["receipt-1", "receipt-2"]


async def test_polls_and_requests_have_pools_of_their_own_with_their_own_timeouts() -> None:
    pools: list[tuple[int, float]] = []

    def recording(service: Service, credentials: CredentialsProvider, **options: Any) -> Any:
        pools.append((options["connections"], options["timeout"]))
        return open_transport(service, credentials, **options)

    async with open_sqs(
        local_credentials(),
        name="a",
        dead_letter_name="b",
        region="r",
        endpoint="http://localhost",
        pollers=16,
        connect=recording,
    ):
        pass
    (work, work_seconds), (polls, poll_seconds) = pools
    assert work > 10
    assert polls == 16
    assert work_seconds < MAX_WAIT_SECONDS < poll_seconds
