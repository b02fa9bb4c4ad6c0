"""SQS over its JSON protocol: one connection pool for long polls, and one for all other requests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Any

import aioboto3
import orjson
from aiodynamo.errors import NoCredentialsFound
from botocore.retries.quota import RetryQuota

from order_shared.aws.credentials import BotocoreCredentials
from order_shared.aws.errors import TRANSIENT_CODES, error_code
from order_shared.aws.queue_depth import depth_request, to_depth
from order_shared.aws.retries import RETRY_COST, SUCCESS_REFUND, TIMEOUT_COST, new_quota
from order_shared.aws.service import SQS, Transport, open_service
from order_shared.backoff import full_jitter
from order_shared.messaging.queue import (
    MAX_WAIT_SECONDS,
    Depth,
    EntryFailure,
    OutgoingMessage,
    QueueUnavailable,
    ReceivedMessage,
    Visibility,
)

REQUEST_TIMEOUT = 5.0
POLL_TIMEOUT = MAX_WAIT_SECONDS + 5.0  # longer than any long poll
MAX_CONNECTIONS = 32
RETRY_BASE_SECONDS = 0.1

GONE_CODES = frozenset(
    {
        "ReceiptHandleIsInvalid",
        "InvalidParameterValue",  # also how SQS words an expired receipt
        "MessageNotInflight",
        "AWS.SimpleQueueService.MessageNotInflight",
    }
)
"""Codes of a delivery that is not ours any more. For a delete they are as good as success."""

Json = dict[str, Any]


class TransientQueueError(QueueUnavailable):
    """The same request may well succeed in a moment; `reason` says why, as a metric label."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code)
        self.reason = reason


class SqsQueue:
    """The work queue and its dead-letter queue. Names are resolved at first use, so SQS may be down at start."""

    def __init__(
        self,
        name: str,
        dead_letter_name: str,
        *,
        service: Transport,
        polls: Transport,
        on_retry: Callable[[str], None] = lambda _: None,
        quota: RetryQuota | None = None,
    ) -> None:
        self._quota = quota or new_quota()
        self._names = {"work": name, "dead": dead_letter_name}
        self._urls: dict[str, str] = {}
        self._service = service
        self._polls = polls
        self._on_retry = on_retry

    async def send(self, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]:
        return await self._send("work", messages)

    async def dead_letter(self, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]:
        return await self._send("dead", messages)

    async def receive(self, limit: int, wait_seconds: int, visibility_seconds: int) -> list[ReceivedMessage]:
        """Poll once. After a lost response its messages stay hidden, and the consumer polls again."""
        answer = await _call(
            self._polls,
            "ReceiveMessage",
            {
                "QueueUrl": await self._url("work"),
                "MaxNumberOfMessages": limit,
                "WaitTimeSeconds": wait_seconds,
                "VisibilityTimeout": visibility_seconds,
                "MessageSystemAttributeNames": ["ApproximateReceiveCount", "SentTimestamp"],
            },
        )
        return [
            ReceivedMessage(
                message_id=message["MessageId"],
                receipt=message["ReceiptHandle"],
                body=message["Body"],
                receive_count=int(message["Attributes"]["ApproximateReceiveCount"]),
                sent_at=int(message["Attributes"]["SentTimestamp"]),
            )
            for message in answer.get("Messages") or ()
        ]

    async def delete(self, receipts: Sequence[str]) -> list[EntryFailure]:
        return await self._batch("work", "DeleteMessageBatch", [{"ReceiptHandle": receipt} for receipt in receipts])

    async def change_visibility(self, changes: Sequence[Visibility]) -> list[EntryFailure]:
        entries = [{"ReceiptHandle": change.receipt, "VisibilityTimeout": change.seconds} for change in changes]
        return await self._batch("work", "ChangeMessageVisibilityBatch", entries)

    async def depth(self) -> Depth:
        """Count the waiting messages once: the caller counts again later."""
        return Depth(work=await self._waiting("work"), dead=await self._waiting("dead"))

    async def ping(self) -> None:
        """Make one request. Raises QueueUnavailable."""
        url = await self._url("work")
        await _call(self._service, "GetQueueAttributes", {"QueueUrl": url, "AttributeNames": ["QueueArn"]})

    async def _send(self, target: str, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]:
        entries = [
            {
                "MessageBody": message.body,
                "MessageAttributes": {
                    name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()
                },
            }
            for message in messages
        ]
        return await self._batch(target, "SendMessageBatch", entries)

    async def _batch(self, target: str, operation: str, entries: Sequence[Json]) -> list[EntryFailure]:
        """Send a batch whose entries are named by position, since two deliveries of a message share its id."""
        payload = {
            "QueueUrl": await self._url(target),
            "Entries": [{"Id": str(index), **entry} for index, entry in enumerate(entries)],
        }
        answer = await self._call_with_retry(operation, payload)
        return [
            EntryFailure(index=int(entry["Id"]), code=entry["Code"], gone=entry["Code"] in GONE_CODES)
            for entry in answer.get("Failed") or ()
        ]

    async def _waiting(self, target: str) -> int:
        request = depth_request(await self._url(target))
        return to_depth(await _call(self._service, "GetQueueAttributes", request)).visible

    async def _url(self, target: str) -> str:
        if target not in self._urls:
            answer = await self._call_with_retry("GetQueueUrl", {"QueueName": self._names[target]})
            self._urls[target] = answer["QueueUrl"]
        return self._urls[target]

    async def _call_with_retry(self, operation: str, payload: Mapping[str, Any]) -> Json:
        """Make the request, and once more after a transient error, such as a connection that SQS had closed."""
        try:
            answer = await _call(self._service, operation, payload)
        except TransientQueueError as error:
            if not self._quota.acquire(TIMEOUT_COST if error.reason == "timeout" else RETRY_COST):
                raise
            self._on_retry(error.reason)
            await asyncio.sleep(full_jitter(0, base=RETRY_BASE_SECONDS, cap=RETRY_BASE_SECONDS))
            answer = await _call(self._service, operation, payload)
        self._quota.release(SUCCESS_REFUND)
        return answer


async def _call(service: Transport, operation: str, payload: Mapping[str, Any]) -> Json:
    """Make one request, and return the content of the response. Raises QueueUnavailable."""
    try:
        response = await service.call(operation, payload)
    except NoCredentialsFound as error:
        raise QueueUnavailable("NoCredentials") from error
    except OSError as error:  # a time-out is one
        raise TransientQueueError(
            type(error).__name__, "timeout" if isinstance(error, TimeoutError) else "network"
        ) from error
    if response.status == HTTPStatus.OK:
        return _content(response.body)
    code = error_code(response.body)
    if code is not None and code in TRANSIENT_CODES:
        raise TransientQueueError(code, TRANSIENT_CODES[code])
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TransientQueueError(code or str(response.status), "server_error")
    if code is None:
        raise TransientQueueError(f"status {response.status}", "network")  # a proxy's answer, not SQS's
    raise QueueUnavailable(code)


def _content(body: bytes) -> Json:
    """Return what SQS answers. Raises TransientQueueError for what only somebody else can have answered."""
    try:
        content = orjson.loads(body) if body else {}
    except ValueError as error:
        raise TransientQueueError("not JSON", "network") from error
    if not isinstance(content, dict):
        raise TransientQueueError("no JSON object", "network")
    return content


@asynccontextmanager
async def open_sqs(
    session: aioboto3.Session,
    *,
    name: str,
    dead_letter_name: str,
    region: str,
    endpoint: str | None,
    pollers: int,
    on_retry: Callable[[str], None] = lambda _: None,
    quota: RetryQuota | None = None,
) -> AsyncIterator[SqsQueue]:
    """Open the queue, with its connections kept until the end of the block."""
    credentials = BotocoreCredentials(session)
    async with AsyncExitStack() as stack:

        async def open_pool(*, timeout: float, connections: int) -> Transport:  # noqa: ASYNC109 - of each request
            return await stack.enter_async_context(
                open_service(
                    SQS, credentials, region=region, endpoint=endpoint, timeout=timeout, connections=connections
                )
            )

        service = await open_pool(timeout=REQUEST_TIMEOUT, connections=MAX_CONNECTIONS)
        polls = await open_pool(timeout=POLL_TIMEOUT, connections=pollers) if pollers else service
        yield SqsQueue(name, dead_letter_name, service=service, polls=polls, on_retry=on_retry, quota=quota)
