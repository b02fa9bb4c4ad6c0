"""A dead letter as an operator sees it, and what may become of one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from order_shared.domain.clock import from_micros
from order_shared.domain.order.events import UnreadableEvent, parse_event
from order_shared.domain.order.models import Customer

NO_REASON = "-"
"""SQS moved the letter by itself, after too many deliveries, or somebody put it there by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A dead letter. `type`, `order_id` and `customer` are None if the body is no event that we know.

    `original_id` is the message id that the processor's log names.
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
    """It would be done, were this not a dry run."""
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
    """As SQS estimates it."""


Refusals = Mapping[str, str]
"""Why not, by message id."""


def to_letter(message: Mapping[str, Any]) -> DeadLetter:
    """Return the letter of a message as SQS sends it, with the attributes that were asked for."""
    said = {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}
    try:
        event = parse_event(message["Body"])
    except UnreadableEvent:
        event = None
    return DeadLetter(
        message_id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        reason=said.get("reason", NO_REASON),
        detail=said.get("detail", "-"),
        original_id=said.get("message_id"),
        sent_at=from_micros(int(message["Attributes"]["SentTimestamp"]) * 1000),
        receive_count=int(message["Attributes"]["ApproximateReceiveCount"]),
        type=event.type if event else None,
        order_id=event.subject if event else None,
        customer=Customer(tenant=event.tenantid, id=event.data.customer) if event else None,
    )


def bulk_refusal(letter: DeadLetter, started: datetime) -> str | None:
    if not letter.is_readable:
        return "unreadable: it would come back; name it with --id to move it all the same"
    if letter.sent_at > started:
        return "it came after this began"
    return None
