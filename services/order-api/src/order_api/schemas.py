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

from order_api.cursors import MAX_CURSOR_LENGTH
from order_shared.clock import EPOCH, to_text

V1 = "/v1"
"""Where this version of the contract is mounted."""

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


class PageQuery(BaseModel):
    """The query of a list; a parameter that nobody knows is a mistake that is told."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[
        str | None, Field(max_length=MAX_CURSOR_LENGTH, description="`next_cursor` of the page before.")
    ] = None
