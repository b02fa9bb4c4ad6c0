"""Messages of the change feed: which order has changed.

A message is a record of DynamoDB Streams, of which the pipe keeps only `eventName` and `dynamodb.Keys`:

    {"eventName": "MODIFY", "dynamodb": {"Keys": {"customer_key": {"S": "acme#ada"}, "created_at": {"S": "2026-…Z"}}}}

It does not say what has changed. The reader reads the order, so late, repeated and reordered messages do no harm.
"""

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from order_shared.domain.clock import from_text
from order_shared.domain.errors import PlatformError
from order_shared.domain.order.models import Customer
from order_shared.storage.order_items import to_customer


class UnreadableChange(PlatformError):
    """The message is not a change of an order."""


@dataclass(frozen=True, slots=True)
class Change:
    """Key of an order that has changed."""

    customer: Customer
    created_at: datetime


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Text(_Wire):
    S: str


class _Keys(_Wire):
    customer_key: _Text
    created_at: _Text


class _Record(_Wire):
    Keys: _Keys


class _Message(_Wire):
    dynamodb: _Record


def parse_change(body: str) -> Change:
    """Return the change in a message. Raises UnreadableChange, whose text contains no part of the message."""
    try:
        keys = _Message.model_validate_json(body).dynamodb.Keys
        created_at = from_text(keys.created_at.S)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise UnreadableChange(f"{where}: {first['msg']}") from None
    except ValueError:
        raise UnreadableChange("created_at: not a time") from None
    customer = to_customer(keys.customer_key.S)
    if not customer.tenant or not customer.id:
        raise UnreadableChange("customer_key: not a tenant and a customer")
    return Change(customer, created_at)
