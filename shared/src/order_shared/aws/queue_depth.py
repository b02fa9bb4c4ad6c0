"""Depth of a queue: the request to SQS and its answer, for every client of SQS in the platform."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VISIBLE, IN_FLIGHT = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"


@dataclass(frozen=True, kw_only=True)
class QueueDepth:
    """Messages, as SQS estimates them. One that somebody is reading is in flight, and may come back."""

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
