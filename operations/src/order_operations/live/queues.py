"""Numbers of messages in the work queue and the dead-letter queue."""

import asyncio
from dataclasses import dataclass

from aws_json_client import AwsClient
from order_shared.aws.queue_depth import QueueDepth, depth_request, to_depth
from order_shared.runtime.config import Settings


@dataclass(frozen=True, kw_only=True)
class Depth:
    """SQS's estimates of the numbers of messages; None if SQS does not respond.

    `visible` and `in_flight` are messages of the work queue. `dead_letters` includes hidden ones.
    """

    visible: int | None = None
    in_flight: int | None = None
    dead_letters: int | None = None


class Queues:
    """The work queue and its dead-letter queue. URLs are looked up at first use, so SQS may be down at start."""

    def __init__(self, client: AwsClient, settings: Settings) -> None:
        self._client = client
        self._names = (settings.queue_name, settings.dlq_name)
        self._urls: dict[str, str] = {}

    async def depth(self) -> Depth:
        """Return the depth of both queues, with one request per queue. Raises AwsError."""
        work, dead = await asyncio.gather(*map(self._read, self._names))
        return Depth(visible=work.visible, in_flight=work.in_flight, dead_letters=dead.total)

    async def _read(self, name: str) -> QueueDepth:
        if name not in self._urls:
            self._urls[name] = (await self._client.request_once("GetQueueUrl", {"QueueName": name}))["QueueUrl"]
        return to_depth(await self._client.request_once("GetQueueAttributes", depth_request(self._urls[name])))
