"""Metadata of an order: data of the customer, which the platform keeps and returns, and never uses."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from order_shared.runtime.validation import OPTIONAL_TEXT_PATTERN

MAX_KEYS = 20
MAX_KEY_LENGTH = 40
MAX_VALUE_LENGTH = 500
MAX_BYTES = 4096
"""Maximum size of all keys and values together, in UTF-8."""


def _limit_size(metadata: dict[str, str] | None) -> dict[str, str] | None:
    size = sum(len(text.encode()) for pair in (metadata or {}).items() for text in pair)
    if size > MAX_BYTES:
        raise PydanticCustomError("metadata_too_large", "too large", {"size": size})
    return metadata


_KEY_PATTERN = rf"^[A-Za-z0-9_.-]{{1,{MAX_KEY_LENGTH}}}$"
_Key = Annotated[str, StringConstraints(pattern=_KEY_PATTERN)]
_Value = Annotated[str, StringConstraints(max_length=MAX_VALUE_LENGTH, pattern=OPTIONAL_TEXT_PATTERN)]
_SCHEMA = {
    "type": "object",
    "maxProperties": MAX_KEYS,
    "propertyNames": {"pattern": _KEY_PATTERN},
    "additionalProperties": {"type": "string", "maxLength": MAX_VALUE_LENGTH, "pattern": OPTIONAL_TEXT_PATTERN},
}
"""Schema of the document. That of pydantic has `patternProperties`, which few generators support."""

MetadataIn = Annotated[
    Annotated[dict[_Key, _Value], Field(max_length=MAX_KEYS), WithJsonSchema(_SCHEMA)] | None,
    AfterValidator(_limit_size),
    Field(
        description=f"Your own data: at most {MAX_KEYS} keys, and at most {MAX_BYTES:,} bytes of UTF-8 in all. It is "
        "returned with the order and cannot be changed. Do not put secrets into it.",
        examples=[{"cart": "c-4711", "channel": "app"}],
    ),
]
