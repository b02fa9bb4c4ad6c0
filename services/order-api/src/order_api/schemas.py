"""What every resource of the wire has in common."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from order_shared.clock import EPOCH, to_text

Instant = Annotated[
    datetime,
    PlainSerializer(to_text, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T09:05:00.000120Z"]}),
]
"""UTC with microseconds, sortable as text."""


def _in_range(at: datetime) -> datetime:
    try:
        utc = at.astimezone(UTC)
    except OverflowError:
        utc = datetime.min.replace(tzinfo=UTC)
    if utc < EPOCH:
        raise PydanticCustomError("time_out_of_range", "a time between the years 1970 and 9999 in UTC is wanted")
    return utc


InstantIn = Annotated[AwareDatetime, AfterValidator(_in_range)]
"""A time with its zone, read as UTC."""


class Request(BaseModel):
    """A body: strict about types, and an unknown field is a mistake that is told."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Resource(BaseModel):
    model_config = ConfigDict(frozen=True, serialize_by_alias=True, validate_by_name=True)


def typename(name: str) -> Any:
    """The `__typename` of a resource."""
    return Field(default=name, alias="__typename", examples=[name])


Limit = Annotated[int, Field(ge=1, le=100)]
DEFAULT_LIMIT = 20
