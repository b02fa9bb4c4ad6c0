"""SQS through aioboto3: one client for the long polls, one for all else, both for the life of the process."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import aioboto3
import aiohttp
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError

from order_shared.messaging.queue import (
    MAX_WAIT_SECONDS,
    EntryFailure,
    OutgoingMessage,
    QueueUnavailable,
    ReceivedMessage,
    Visibility,
)

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

CONNECT_TIMEOUT = 1.0
READ_TIMEOUT = 5.0
POLL_READ_TIMEOUT = MAX_WAIT_SECONDS + 5.0  # longer than any long poll
USER_AGENT = "order-platform"

GONE_CODES = frozenset(
    {
        "ReceiptHandleIsInvalid",
        "InvalidParameterValue",  # also how SQS words an expired receipt
        "MessageNotInflight",
        "AWS.SimpleQueueService.MessageNotInflight",
    }
)
"""The delivery is not ours any more. For a delete that is what was wanted."""


class SqsQueue:
    """The work queue and its dead-letter queue. Names are resolved at first use, so SQS may be down at start."""

    def __init__(self, name: str, dead_letter_name: str, *, client: "SQSClient", polling_client: "SQSClient") -> None:
        self._names = {"work": name, "dead": dead_letter_name}
        self._urls: dict[str, str] = {}
        self._client = client
        self._polling_client = polling_client

    async def send(self, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]:
        return await self._send("work", messages)

    async def dead_letter(self, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]:
        return await self._send("dead", messages)

    async def receive(self, limit: int, wait_seconds: int, visibility_seconds: int) -> list[ReceivedMessage]:
        url = await self._url("work")
        with _translated_errors():
            answer = await self._polling_client.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=limit,
                WaitTimeSeconds=wait_seconds,
                VisibilityTimeout=visibility_seconds,
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            )
        return [
            ReceivedMessage(
                message_id=message["MessageId"],
                receipt=message["ReceiptHandle"],
                body=message["Body"],
                receive_count=int(message["Attributes"]["ApproximateReceiveCount"]),
                sent_at=int(message["Attributes"]["SentTimestamp"]),
            )
            for message in answer.get("Messages", [])
        ]

    async def delete(self, receipts: Sequence[str]) -> list[EntryFailure]:
        url = await self._url("work")
        with _translated_errors():
            answer = await self._client.delete_message_batch(
                QueueUrl=url,
                Entries=[{"Id": str(index), "ReceiptHandle": receipt} for index, receipt in enumerate(receipts)],
            )
        return _failures(answer)

    async def change_visibility(self, changes: Sequence[Visibility]) -> list[EntryFailure]:
        url = await self._url("work")
        with _translated_errors():
            answer = await self._client.change_message_visibility_batch(
                QueueUrl=url,
                Entries=[
                    {"Id": str(index), "ReceiptHandle": change.receipt, "VisibilityTimeout": change.seconds}
                    for index, change in enumerate(changes)
                ],
            )
        return _failures(answer)

    async def ping(self) -> None:
        """One real request; raises QueueUnavailable."""
        url = await self._url("work")
        with _translated_errors():
            await self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])

    async def _send(self, target: str, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]:
        url = await self._url(target)
        with _translated_errors():
            answer = await self._client.send_message_batch(
                QueueUrl=url,
                Entries=[
                    {
                        "Id": str(index),
                        "MessageBody": message.body,
                        "MessageAttributes": {
                            name: {"DataType": "String", "StringValue": value}
                            for name, value in message.attributes.items()
                        },
                    }
                    for index, message in enumerate(messages)
                ],
            )
        return _failures(answer)

    async def _url(self, target: str) -> str:
        if target not in self._urls:
            with _translated_errors():
                answer = await self._client.get_queue_url(QueueName=self._names[target])
            self._urls[target] = answer["QueueUrl"]
        return self._urls[target]


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise QueueUnavailable(error.response.get("Error", {}).get("Code", "unknown")) from error
    except (BotoCoreError, aiohttp.ClientError, OSError) as error:
        raise QueueUnavailable(type(error).__name__) from error


def _failures(answer: Any) -> list[EntryFailure]:
    return [
        EntryFailure(index=int(entry["Id"]), code=entry["Code"], gone=entry["Code"] in GONE_CODES)
        for entry in answer.get("Failed", [])
    ]


@asynccontextmanager
async def open_sqs(
    session: aioboto3.Session, *, name: str, dead_letter_name: str, region: str, endpoint: str | None, pollers: int
) -> AsyncIterator[SqsQueue]:
    """The queue, with both clients open until the end of the block."""

    def config(*, read_timeout: float, connections: int, attempts: int) -> AioConfig:
        return AioConfig(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=read_timeout,
            max_pool_connections=connections,
            parameter_validation=False,
            user_agent=USER_AGENT,
            retries={"total_max_attempts": attempts, "mode": "standard"},
        )

    async with AsyncExitStack() as stack:

        async def open_client(settings: AioConfig) -> "SQSClient":
            return await stack.enter_async_context(
                session.client("sqs", region_name=region, endpoint_url=endpoint, config=settings)
            )

        client = await open_client(config(read_timeout=READ_TIMEOUT, connections=32, attempts=2))
        # A poll is not repeated by the client: what a lost answer took stays hidden, and the consumer polls again.
        polling_client = (
            await open_client(config(read_timeout=POLL_READ_TIMEOUT, connections=pollers, attempts=1))
            if pollers
            else client
        )
        yield SqsQueue(name, dead_letter_name, client=client, polling_client=polling_client)
