"""Requests and answers against botocore's own shapes, so that the fake cannot say what AWS cannot."""

from typing import Any

from botocore.model import StructureShape
from botocore.validate import ParamValidator


class AnswerInvalid(Exception):
    """The fake itself is wrong: its answer does not fit the operation's output."""


def problems(value: Any, shape: StructureShape | None) -> list[str]:
    """Unknown and missing members, wrong types, out of range, and words that are not in an enumeration."""
    if shape is None:
        return [] if not value else ["there is nothing to say"]
    report = ParamValidator().validate(value, shape)
    found = [report.generate_report()] if report.has_errors() else []
    return found or list(_unknown_words(value, shape, ""))


def ensure_valid(operation: str, value: Any, shape: StructureShape | None) -> None:
    """Raises AnswerInvalid."""
    found = problems(value, shape)
    if found:
        raise AnswerInvalid(f"{operation}: {'; '.join(found)}")


def _unknown_words(value: Any, shape: Any, path: str) -> list[str]:
    # A shape's kind is known by its type_name only.
    match shape.type_name:
        case "structure":
            members = shape.members
            return [word for key, each in value.items() for word in _unknown_words(each, members[key], f"{path}.{key}")]
        case "list":
            return [word for each in value for word in _unknown_words(each, shape.member, f"{path}[]")]
        case "map":
            return [
                word
                for key, each in value.items()
                for word in (*_unknown_words(key, shape.key, path), *_unknown_words(each, shape.value, f"{path}.{key}"))
            ]
        case "string" if shape.enum and value not in shape.enum:
            return [f"{path} is {value!r}, not one of {', '.join(shape.enum)}"]
    return []
