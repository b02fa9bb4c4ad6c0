"""Dead letters as operators see them, and the results of operations on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from order_shared.domain.clock import from_micros
from order_shared.domain.order.messages import UnreadableMessage, parse_message
from order_shared.domain.order.models import Customer

NO_REASON = "-"
"""Placeholder for a missing reason: SQS moved the letter after too many receives, or an operator sent it manually."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A dead letter. `type`, `order_id` and `customer` are None if the body is not a supported event.

    `original_id` is the id of the message in the work queue, as in the processor's log lines.
    """

    message_id: str
    receipt: str
    body: str
    reason: str
    detail: str
    original_id: str | None
    sent_at: datetime
    receive_count: int
    type: str | None
    order_id: str | None
    customer: Customer | None

    @property
    def is_readable(self) -> bool:
        return self.order_id is not None


class Result(StrEnum):
    DONE = "done"
    PLANNED = "planned"
    """Result in a dry run, instead of DONE."""
    SKIPPED = "skipped"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    letter: DeadLetter
    result: Result
    detail: str = ""


@dataclass(frozen=True, slots=True)
class QueueInfo:
    url: str
    letters: int
    """Number of letters, as SQS estimates it."""


Refusals = Mapping[str, str]
"""Reasons why letters were not moved or deleted, by message id."""


def to_letter(message: Mapping[str, Any]) -> DeadLetter:
    """Convert a message of SQS, received with all its attributes, to a dead letter."""
    attributes = {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}
    try:
        event = parse_message(message["Body"])
    except UnreadableMessage:
        event = None
    return DeadLetter(
        message_id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        reason=attributes.get("reason", NO_REASON),
        detail=attributes.get("detail", "-"),
        original_id=attributes.get("message_id"),
        sent_at=from_micros(int(message["Attributes"]["SentTimestamp"]) * 1000),
        receive_count=int(message["Attributes"]["ApproximateReceiveCount"]),
        type=event.type if event else None,
        order_id=event.subject if event else None,
        customer=event.customer if event else None,
    )


def bulk_refusal(letter: DeadLetter, started: datetime) -> str | None:
    """Return the reason why a redrive of all letters skips this letter; None if the redrive includes it."""
    if not letter.is_readable:
        return "unreadable: it would fail again; to move it anyway, select it with --id"
    if letter.sent_at > started:
        return "it arrived after the redrive started"
    return None
