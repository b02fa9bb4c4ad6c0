"""Base schemas and types that every resource uses."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from order_api.cursors import MAX_CURSOR_LENGTH
from order_shared.domain.clock import EPOCH, to_text

V1 = "/v1"
"""Path prefix of API version 1."""

Instant = Annotated[
    datetime,
    PlainSerializer(to_text, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "examples": ["2026-01-31T09:05:00.000120Z"],
        }
    ),
]
"""Time in UTC with microseconds. As text it sorts by time."""

Int64 = Annotated[int, Field(json_schema_extra={"format": "int64"})]
"""Whole number that may exceed 32 bits: an amount of money, a stock or a version."""


RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|([ +-])\d{2}:?\d{2})", re.ASCII)
"""Time as in RFC 3339. The colon in the zone is optional, because some generated clients leave it out.

The blank is a `+` that was not percent-encoded in a query.
"""


def _require_text(value: object) -> object:
    """Return a text of the form of RFC 3339. Reject a number, which pydantic would parse as seconds since 1970."""
    form = RFC_3339.fullmatch(value) if isinstance(value, str) else None
    if form is None:
        raise PydanticCustomError("datetime_format", "not RFC 3339")
    if form[1] == " ":
        raise PydanticCustomError("blank_in_time", "a blank instead of +")
    return value


def _in_range(at: datetime) -> datetime:
    try:
        utc = at.astimezone(UTC)
    except OverflowError:
        utc = datetime.min.replace(tzinfo=UTC)
    if utc < EPOCH:
        raise PydanticCustomError("time_out_of_range", "out of range")
    return utc


InstantIn = Annotated[AwareDatetime, BeforeValidator(_require_text), AfterValidator(_in_range)]
"""Time with a zone, converted to UTC."""


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


INTEGER = BeforeValidator(_whole)
"""Accept 2.0 as 2, because JSON has one number type. It stands after the limits: before them, pydantic would leave the
limits out of the JSON Schema."""


class Request(BaseModel):
    """Request body with strict types. An unknown field is an error."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Resource(BaseModel):
    """Part of a response. Fields with a default are always present."""

    model_config = ConfigDict(
        frozen=True, serialize_by_alias=True, validate_by_name=True, json_schema_serialization_defaults_required=True
    )


def typename(name: str) -> Any:
    """Return the `__typename` field of a resource."""
    return Field(default=name, alias="__typename", examples=[name])


def _digits(value: object) -> object:
    """Reject what Python takes for a whole number and other languages do not, such as 1_0."""
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]+", value):
        raise PydanticCustomError("int_parsing", "Input should be a valid integer, such as 20")
    return value


Limit = Annotated[int, Field(ge=1, le=100), BeforeValidator(_digits)]
"""Maximum number of items in a response."""


class Query(BaseModel):
    """Query parameters. An unknown parameter is an error."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(Query):
    """Query parameters of a list."""

    limit: Limit = 20
    cursor: Annotated[
        str | None, Field(max_length=MAX_CURSOR_LENGTH, description="`next_cursor` of the previous page.")
    ] = None
