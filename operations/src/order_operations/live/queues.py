"""How full the queues are."""

import asyncio
from dataclasses import dataclass

from aws_json_client import AwsClient
from order_shared.runtime.config import Settings


@dataclass(frozen=True, kw_only=True)
class Depth:
    """Messages, as SQS says approximately. A dead letter that somebody looks at is hidden, and counts too."""

    visible: int
    in_flight: int
    dead_letters: int


class Queues:
    """The work queue and its dead letters; their names are resolved at the first look, so SQS may be down before."""

    def __init__(self, client: AwsClient, settings: Settings) -> None:
        self._client = client
        self._names = (settings.queue_name, settings.dlq_name)
        self._urls: dict[str, str] = {}

    async def depth(self) -> Depth:
        """Two requests. Raises AwsError."""
        (visible, in_flight), dead = await asyncio.gather(*map(self._count, self._names))
        return Depth(visible=visible, in_flight=in_flight, dead_letters=sum(dead))

    async def _count(self, name: str) -> tuple[int, int]:
        """Visible, and in flight."""
        if name not in self._urls:
            self._urls[name] = (await self._client.request_once("GetQueueUrl", {"QueueName": name}))["QueueUrl"]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        request = {"QueueUrl": self._urls[name], "AttributeNames": names}
        counts = (await self._client.request_once("GetQueueAttributes", request))["Attributes"]
        return int(counts["ApproximateNumberOfMessages"]), int(counts["ApproximateNumberOfMessagesNotVisible"])
