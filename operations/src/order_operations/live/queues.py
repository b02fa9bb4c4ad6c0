"""How full the queues are."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from order_shared.runtime.config import Settings

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient


@dataclass(frozen=True, kw_only=True)
class Depth:
    """Messages, as SQS says approximately; None if it does not answer. Hidden dead letters count too."""

    visible: int | None = None
    in_flight: int | None = None
    dead_letters: int | None = None


class Queues:
    """The work queue and its dead letters; their names are resolved at the first look, so SQS may be down before."""

    def __init__(self, client: "SQSClient", settings: Settings) -> None:
        self._client = client
        self._names = (settings.queue_name, settings.dlq_name)
        self._urls: dict[str, str] = {}

    async def depth(self) -> Depth:
        """Two requests. Raises botocore's errors."""
        (visible, in_flight), dead = await asyncio.gather(*map(self._count, self._names))
        return Depth(visible=visible, in_flight=in_flight, dead_letters=sum(dead))

    async def _count(self, name: str) -> tuple[int, int]:
        """Visible, and in flight."""
        if name not in self._urls:
            self._urls[name] = (await self._client.get_queue_url(QueueName=name))["QueueUrl"]
        answer = await self._client.get_queue_attributes(
            QueueUrl=self._urls[name],
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )
        counts = answer["Attributes"]
        return int(counts["ApproximateNumberOfMessages"]), int(counts["ApproximateNumberOfMessagesNotVisible"])
