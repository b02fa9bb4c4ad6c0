"""Check requests and responses against botocore's models, so that their form cannot differ from that of AWS."""

from typing import Any

from botocore.model import StructureShape
from botocore.validate import ParamValidator


class InvalidResponse(Exception):
    """Defect of the fake: a response does not fit the operation's output."""


def problems(value: Any, shape: StructureShape | None) -> list[str]:
    """Return the problems of a value: unknown or missing members, wrong types, values out of range.

    Enumerations are checked only if there is no other problem.
    """
    if shape is None:
        return [] if not value else ["no output is allowed"]
    report = ParamValidator().validate(value, shape)
    found = [report.generate_report()] if report.has_errors() else []
    return found or list(_enum_errors(value, shape, ""))


def ensure_valid(operation: str, value: Any, shape: StructureShape | None) -> None:
    """Raise InvalidResponse if the value does not fit the shape."""
    found = problems(value, shape)
    if found:
        raise InvalidResponse(f"{operation}: {'; '.join(found)}")


def _enum_errors(value: Any, shape: Any, path: str) -> list[str]:
    # The kind of a shape is its type_name.
    match shape.type_name:
        case "structure":
            members = shape.members
            return [error for key, each in value.items() for error in _enum_errors(each, members[key], f"{path}.{key}")]
        case "list":
            return [error for each in value for error in _enum_errors(each, shape.member, f"{path}[]")]
        case "map":
            return [
                error
                for key, each in value.items()
                for error in (
                    *_enum_errors(key, shape.key, path),
                    *_enum_errors(each, shape.value, f"{path}.{key}"),
                )
            ]
        case "string" if shape.enum and value not in shape.enum:
            return [f"{path} is {value!r}, not one of {', '.join(shape.enum)}"]
    return []
