"""Depth of a queue: the request to SQS and its response, shared by all SQS clients of the platform."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VISIBLE, IN_FLIGHT = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"


@dataclass(frozen=True, kw_only=True)
class QueueDepth:
    """SQS's estimates of the numbers of messages. In-flight messages were received, and are not deleted or visible."""

    visible: int
    in_flight: int

    @property
    def total(self) -> int:
        return self.visible + self.in_flight


def depth_request(url: str) -> dict[str, Any]:
    """Return the arguments of GetQueueAttributes."""
    return {"QueueUrl": url, "AttributeNames": [VISIBLE, IN_FLIGHT]}


def to_depth(answer: Mapping[str, Any]) -> QueueDepth:
    counts = answer["Attributes"]
    return QueueDepth(visible=int(counts[VISIBLE]), in_flight=int(counts[IN_FLIGHT]))
