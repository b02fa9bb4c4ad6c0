"""Queue over SQS's JSON protocol: one connection pool for long polls, and one for all other requests."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aws_json_client import (
    SQS,
    AwsClient,
    AwsError,
    CredentialsProvider,
    RetryPolicy,
    RetryQuota,
    Transport,
    Unavailable,
    open_transport,
)
from order_shared.aws.connect import Connect
from order_shared.aws.queue_depth import QueueDepth, depth_request, to_depth
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
MAX_ATTEMPTS = 2
RETRY_SECONDS = 0.1
DEADLINE = 8.0
"""Seconds from the start of a request after which no further attempt starts."""

GONE_CODES = frozenset(
    {
        "ReceiptHandleIsInvalid",
        "InvalidParameterValue",  # SQS returns this for an expired receipt too
        "MessageNotInflight",
        "AWS.SimpleQueueService.MessageNotInflight",
    }
)
"""Error codes for a message that was deleted or delivered again. A delete with such an error counts as successful."""

Json = dict[str, Any]


class SqsQueue:
    """The work queue and its dead-letter queue. URLs are looked up at first use, so SQS may be down at start."""

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
        self._names = {"work": name, "dead": dead_letter_name}
        self._urls: dict[str, str] = {}
        retries = RetryPolicy(
            deadline=DEADLINE,
            attempt_grace=REQUEST_TIMEOUT,
            attempt_limit=REQUEST_TIMEOUT + 2.5,  # includes the timeouts for credentials and for a connection
            max_attempts=MAX_ATTEMPTS,
            base=RETRY_SECONDS,
            cap=RETRY_SECONDS,
            on_retry=on_retry,
            quota=quota or RetryQuota(),
        )
        self._service = AwsClient(service, retries)
        self._polls = AwsClient(polls)

    async def send(self, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]:
        return await self._send("work", messages)

    async def dead_letter(self, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]:
        return await self._send("dead", messages)

    async def receive(self, limit: int, wait_seconds: int, visibility_seconds: int) -> list[ReceivedMessage]:
        """Poll once, without retries. Messages of a lost response stay hidden until their visibility timeout ends."""
        answer = await self._once(
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
        """Return the estimated numbers of messages. Failed requests are not retried."""
        work, dead = await self._count("work"), await self._count("dead")
        return Depth(work=work.visible, in_flight=work.in_flight, dead=dead.visible)

    async def ping(self) -> None:
        """Check that SQS responds, with one request and no retries. Raises QueueUnavailable."""
        url = await self._url("work")
        await self._once(self._service, "GetQueueAttributes", {"QueueUrl": url, "AttributeNames": ["QueueArn"]})

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
        """Send a batch request and return the failed entries.

        Entry ids are positions in the batch: two deliveries of one message have the same message id.
        """
        payload = {
            "QueueUrl": await self._url(target),
            "Entries": [{"Id": str(index), **entry} for index, entry in enumerate(entries)],
        }
        answer = await self._request(operation, payload)
        return [
            EntryFailure(index=int(entry["Id"]), code=entry["Code"], gone=entry["Code"] in GONE_CODES)
            for entry in answer.get("Failed") or ()
        ]

    async def _count(self, target: str) -> QueueDepth:
        request = depth_request(await self._url(target))
        return to_depth(await self._once(self._service, "GetQueueAttributes", request))

    async def _url(self, target: str) -> str:
        if target not in self._urls:
            answer = await self._request("GetQueueUrl", {"QueueName": self._names[target]})
            self._urls[target] = answer["QueueUrl"]
        return self._urls[target]

    async def _request(self, operation: str, payload: Json) -> Json:
        """Make a request, with at most one retry after a transient error such as a connection that SQS has closed."""
        try:
            return await self._service.request(operation, payload)
        except AwsError as error:
            raise _unavailable(error) from error

    async def _once(self, client: AwsClient, operation: str, payload: Json) -> Json:
        try:
            return await client.request_once(operation, payload)
        except AwsError as error:
            raise _unavailable(error) from error


def _unavailable(error: AwsError) -> QueueUnavailable:
    """Convert an error to QueueUnavailable.

    Its text begins with SQS's error code, or with the reason why no response was received.
    """
    return QueueUnavailable(str(error.__cause__ if isinstance(error, Unavailable) else error))


@asynccontextmanager
async def open_sqs(
    credentials: CredentialsProvider,
    *,
    name: str,
    dead_letter_name: str,
    region: str,
    endpoint: str | None,
    pollers: int,
    on_retry: Callable[[str], None] = lambda _: None,
    quota: RetryQuota | None = None,
    connect: Connect = open_transport,
) -> AsyncIterator[SqsQueue]:
    """Open the queues until the end of the block. `pollers` is the number of connections for long polls.

    With 0 pollers, polls use the same connections as other requests.
    """
    async with AsyncExitStack() as stack:

        async def open_pool(*, timeout: float, connections: int) -> Transport:  # noqa: ASYNC109 - limit of each request
            return await stack.enter_async_context(
                connect(SQS, credentials, region=region, endpoint=endpoint, timeout=timeout, connections=connections)
            )

        service = await open_pool(timeout=REQUEST_TIMEOUT, connections=MAX_CONNECTIONS)
        polls = await open_pool(timeout=POLL_TIMEOUT, connections=pollers) if pollers else service
        yield SqsQueue(name, dead_letter_name, service=service, polls=polls, on_retry=on_retry, quota=quota)
