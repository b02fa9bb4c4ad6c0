"""Reader of settings: environment variables, checked before the program starts anything.

Each program declares its settings in subclasses of `ProgramSettings`; `docs/configuration.md` lists them all. Variables
have the prefix `ORDER_` and the name of the field, unless a `Variable` names others.

White space around a value, as an editor or `echo` leaves it in a secret, is removed. An empty variable is not set, as
in AWS's tools. Nothing is read at import: a program loads its settings once, at its start.
"""

import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

S = TypeVar("S", bound="ProgramSettings")

USAGE = 2
"""Exit code for wrong settings, the same as for wrong arguments."""
UNITS = {"_per_second": "per second", "_seconds": "seconds"}
"""Units by the end of a field's name."""


class Variable:
    """Environment variables of a field, in the order of their precedence."""

    def __init__(self, *names: str) -> None:
        self.names = names


class InvalidConfiguration(SystemExit):
    """End of a process with invalid settings. The message was printed on stderr."""

    def __init__(self, message: str) -> None:
        super().__init__(USAGE)
        self.message = message

    def __str__(self) -> str:
        return self.message


class ProgramSettings(BaseModel):
    """Settings of a program. Construction in code reads no environment variable."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, allow_inf_nan=False, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: object, info: ValidationInfo) -> object:
        """Reject control characters, which no HTTP header can contain, and numbers such as `1_0`."""
        if not all(
            each.isprintable() for each in (value if isinstance(value, tuple) else (value,)) if isinstance(each, str)
        ):
            raise ValueError("contains a line break or another control character")
        if isinstance(value, str) and "_" in value and info.field_name:
            field = cls.model_fields[info.field_name]
            if kind_of(field) in (int, float):
                raise ValueError(f"must be {describe(info.field_name, field)}{_such_as(field)}")
        return value


def read_settings(kind: type[S], environ: Mapping[str, str]) -> S:
    """Return the settings that the environment variables set. Raises pydantic.ValidationError."""
    return kind.model_validate(
        {name: value for name, field in kind.model_fields.items() if (value := _value(name, field, environ))}
    )


def load_settings(kind: type[S], environ: Mapping[str, str] | None = None) -> S:
    """Return the settings of this process. Invalid ones end it, with one line per error and without values.

    Raises:
        InvalidConfiguration: after the message was printed on stderr.
    """
    given = os.environ if environ is None else environ
    try:
        return read_settings(kind, given)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        reject(*(f"{_name(kind, fault['loc'], given)}{_sentence(kind, fault)}" for fault in faults))


def reject(*faults: str) -> NoReturn:
    """Print the faults of the configuration and raise InvalidConfiguration."""
    message = "\n".join(["invalid configuration:", *(f"  {fault}" for fault in faults)])
    sys.stderr.write(f"{message}\n")
    raise InvalidConfiguration(message)


def variables(name: str, field: FieldInfo) -> tuple[str, ...]:
    """Return the environment variables of a field, the one to document first."""
    return next((each.names for each in field.metadata if isinstance(each, Variable)), (f"ORDER_{name}".upper(),))


def kind_of(field: FieldInfo) -> Any:
    """Return the type of a field's value when it is set."""
    kind: Any = field.annotation
    if type(None) in get_args(kind):
        return next(each for each in get_args(kind) if each is not type(None))
    return kind


def describe(name: str, field: FieldInfo) -> str:
    """Return the allowed values of a field in words, with their unit."""
    if field.title:
        return field.title
    kind = kind_of(field)
    if choices := _choices(kind):
        return f"one of {', '.join(choices)}"
    if kind is timedelta:
        return f"a duration as in ISO 8601{_limits(field)}"
    if kind in (int, float):
        unit = next(
            (f" of {unit}" if unit == "seconds" else f" {unit}" for end, unit in UNITS.items() if name.endswith(end)),
            "",
        )
        return f"a {'whole ' if kind is int else ''}number{unit}{_limits(field)}"
    return {bool: "true or false", SecretStr: "a secret"}.get(kind, "text")


def example(field: FieldInfo) -> str | None:
    """Return a right value as text: the field's example, or its default."""
    value = (field.examples or [field.default])[0]
    return None if (field.is_required() and not field.examples) or value in (None, "") else _as_text(value)


def _as_text(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(_as_text, value))
    if isinstance(value, timedelta):
        return f"PT{value.total_seconds() / 3600:g}H"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(name: str, field: FieldInfo, environ: Mapping[str, str]) -> str:
    return next((value for each in variables(name, field) if (value := environ.get(each, "").strip())), "")


def _name(kind: type[ProgramSettings], location: tuple[int | str, ...], environ: Mapping[str, str]) -> str:
    """Return the environment variable of an error, with a colon; empty for an error that names its own."""
    if not location:
        return ""
    names = variables(str(location[0]), kind.model_fields[str(location[0])])
    return f"{next((name for name in names if environ.get(name, '').strip()), names[0])}: "


def _sentence(kind: type[ProgramSettings], fault: Mapping[str, Any]) -> str:
    """Return what is wrong, and a right value."""
    if fault["type"] == "value_error":
        return str(fault["msg"]).removeprefix("Value error, ")
    name = str(fault["loc"][0])
    field = kind.model_fields[name]
    said = "is not set; it must be" if fault["type"] == "missing" else "must be"
    return f"{said} {describe(name, field)}{_such_as(field)}"


def _such_as(field: FieldInfo) -> str:
    return f", such as {shown}" if (shown := example(field)) else ""


def _choices(kind: Any) -> list[str]:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(each.value) for each in kind]
    return [str(each) for each in get_args(kind)] if get_origin(kind) is Literal else []


def _limits(field: FieldInfo) -> str:
    """Return the limits of a number in words."""
    found = {type(each): each for each in field.metadata if isinstance(each, Ge | Gt | Le | Lt)}
    low = next((f"{_as_text(each.ge)}" for each in found.values() if isinstance(each, Ge)), None)
    above = next((f"{_as_text(each.gt)}" for each in found.values() if isinstance(each, Gt)), None)
    high = next((f"{_as_text(each.le)}" for each in found.values() if isinstance(each, Le)), None)
    if low is not None and high is not None:
        return f" from {low} to {high}"
    words = [f"above {above}"] if above is not None else [f"of at least {low}"] if low is not None else []
    words += [f"at most {high}"] if high is not None else []
    return f" {' and '.join(words)}" if words else ""
