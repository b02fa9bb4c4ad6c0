"""Fields of objects: type, limits, default, description and example of each."""

import json
from collections.abc import Iterator
from typing import Any

import htpy as h

from order_api.pages.reference.markdown import block, inline
from order_api.pages.reference.specification import Node, Specification, reference_name

RANGES = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
    ("minProperties", "maxProperties", " names"),
)
"""Keywords of a lower and an upper limit, and the unit."""

PARTS = {"items": "each item ", "propertyNames": "each name ", "additionalProperties": "each value "}
"""Keywords of the schemas inside a schema, with the words before their restrictions."""


def schema_anchor(name: str) -> str:
    return f"schema-{name}"


def schema_section(specification: Specification, name: str) -> h.Element:
    """Return the description and the fields of a named schema."""
    schema = specification.schemas[name]
    description = schema.get("description")
    return h.section(id=schema_anchor(name))[
        h.h3[h.code[name]],
        block(description) if description else None,
        fields(schema) if "properties" in schema else _value(schema),
    ]


def fields(schema: Node) -> h.Element:
    """Return the fields of an object."""
    required = schema.get("required", ())
    return h.dl(".fields")[
        (field(name, each, is_required=name in required) for name, each in schema["properties"].items())
    ]


def field(name: str, schema: Node, *, is_required: bool, description: str | None = None) -> h.Fragment:
    """Return a field or a parameter. `description` is used if the schema has none."""
    text = schema.get("description") or description
    return h.fragment[
        h.dt[
            h.code[name],
            " ",
            h.span(".quiet")[type_of(schema)],
            " " if is_required else None,
            h.strong["required"] if is_required else None,
        ],
        h.dd[h.p[inline(text)] if text else None, _limits(schema)],
    ]


def type_of(schema: Node) -> h.Node:
    """Return the type in words, with links to named schemas."""
    match schema:
        case {"$ref": _}:
            name = reference_name(schema)
            return h.a(href=f"#{schema_anchor(name)}")[name]
        case {"anyOf": [first, *others]}:
            return [type_of(first), ((" or ", type_of(other)) for other in others)]
        case {"const": value}:
            return h.code[json.dumps(value)]
        case {"type": "array", "items": items}:
            return ["array of ", type_of(items)]
        case {"type": "object", "additionalProperties": dict(values)}:
            return ["object with values of type ", type_of(values)]
        case {"type": kind, "format": form}:
            return f"{kind} ({form})"
        case {"type": kind}:
            return str(kind)
        case _:
            return "any"


def _value(schema: Node) -> h.Node:
    return [h.p(".quiet")[type_of(schema)], _limits(schema)]


def _limits(schema: Node) -> h.Node:
    """Return the restrictions of a value; None if there are none."""
    found = [*_restrictions(schema)]
    return h.ul(".quiet.limits")[(h.li[each] for each in found)] if found else None


def _restrictions(schema: Node) -> Iterator[h.Node]:
    for part in (schema, *(each for each in schema.get("anyOf", ()) if "$ref" not in each)):
        yield from _own_restrictions(part)
        for keyword, label in PARTS.items():
            if isinstance(part.get(keyword), dict) and "$ref" not in part[keyword]:
                yield from ((label, text) for text in _restrictions(part[keyword]))
    if "const" in schema:
        return  # its only value is its type
    if schema.get("default") not in (None, []):
        yield "default ", h.code[_plain(schema["default"])]
    if examples := schema.get("examples"):
        yield "for example ", _codes(examples)


def _own_restrictions(part: Node) -> Iterator[h.Node]:
    if "enum" in part:
        yield "one of ", _codes(part["enum"])
    yield from (text for low, high, unit in RANGES if (text := _range(part, low, high, unit)))
    if part.get("uniqueItems"):
        yield "without duplicates"
    if "pattern" in part:
        yield "matches ", h.code[part["pattern"]]
    if "not" in part:
        yield "does not match ", h.code[part["not"].get("pattern", json.dumps(part["not"]))]


def _codes(values: list[Any]) -> h.Node:
    return [((", " if number else None, h.code[_plain(value)]) for number, value in enumerate(values))]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _range(schema: Node, low: str, high: str, unit: str) -> str:
    least, most = schema.get(low), schema.get(high)
    if least is None and most is None:
        return ""
    if least is None:
        return f"at most {most:,}{unit}"
    if most is None:
        return f"at least {least:,}{unit}"
    return f"{least:,} to {most:,}{unit}"
