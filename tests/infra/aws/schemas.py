"""CloudFormation's published schemas, and the property of each argument in them.

cfn-lint ships the schemas. Its package is read as files: importing it takes seconds, and only its data is wanted.
"""

import importlib.util
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.infra.aws.mapping import NO_PROPERTY, PROPERTIES, TYPES
from tests.infra.aws.values import Count, Scalar, Value

REGION = "eu-central-1"
"""Whose schemas are read. They differ between regions only where a whole type is missing."""

Json = dict[str, Any]


def folded(name: str) -> str:
    """Return a name so that `desired_count`, `desiredCount` and `DesiredCount` are equal."""
    return name.replace("_", "").lower()


def member_named(members: Iterable[str], argument: str) -> str | None:
    """Return the member that an argument names, allowing a plural: `statement` is `Statements`."""
    wanted = folded(argument)
    by_name = {folded(member): member for member in members}
    return next((by_name[name] for name in (wanted, f"{wanted}s", f"{wanted}es") if name in by_name), None)


def properties_of(value: Value | Count) -> list[Json] | None:
    """Return the schemas of an argument's property, several where alternatives are allowed; None if there is none."""
    steps = _steps(value.kind, value.path)
    if steps is None:
        return None
    root = schema(TYPES[value.kind])
    nodes = [root]
    for step in steps:
        nodes = [found for node in nodes for found in _member(root, node, step)]
    return nodes or None


def fault_of(value: Value) -> str | None:
    """Return what the schema has against a value; None if nothing, or if the value is a reference."""
    alternatives = properties_of(value)
    if not alternatives or not value.is_known:
        return None
    faults = [_fault(node, value.value) for node in alternatives]
    return None if None in faults else faults[0]


def count_fault_of(count: Count) -> str | None:
    """Return what the schema has against the length of a list; None if nothing."""
    for node in properties_of(count) or []:
        least, most = node.get("minItems", 0), node.get("maxItems", count.number)
        if not least <= count.number <= most:
            return f"{least} to {most} elements are allowed"
    return None


def _steps(kind: str, path: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the names of the properties down to an argument, as the mapping has them."""
    if kind not in TYPES:
        return None
    for length in range(len(path), 0, -1):
        argument = ".".join(path[:length])
        if argument in NO_PROPERTY.get(kind, {}):
            return None
        if argument in PROPERTIES.get(kind, {}):
            mapped = PROPERTIES[kind][argument]
            return (*(mapped.split(".") if mapped else ()), *path[length:])
    return path


def _member(root: Json, node: Json, name: str) -> Iterator[Json]:
    for each in _alternatives(root, node):
        if each.get("type") == "array" or "items" in each:
            yield from _member(root, each.get("items", {}), name)
        else:
            properties: Json = each.get("properties", {})
            found = member_named(properties, name)
            if found:
                yield from _alternatives(root, properties[found])


def _alternatives(root: Json, node: Json) -> Iterator[Json]:
    """The node itself, and each of the alternatives that it allows."""
    while "$ref" in node:
        target = root
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    yield node
    for keyword in ("anyOf", "oneOf", "allOf"):
        for each in node.get(keyword, []):
            yield from _alternatives(root, each)


def _fault(node: Json, value: Scalar) -> str | None:
    items = node.get("items")
    if isinstance(items, dict):
        return _fault(items, value)
    types = node.get("type", [])
    types = {types} if isinstance(types, str) else set(types)
    if types & {"integer", "number"} and not types & {"string"}:
        return _number_fault(node, value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "boolean" in types and text not in {"true", "false"}:
        return "a boolean is required"
    if "enum" in node and value not in node["enum"] and text not in node["enum"]:
        return f"none of {', '.join(map(str, node['enum']))}"
    if not node.get("minLength", 0) <= len(text) <= node.get("maxLength", len(text)):
        return f"{node.get('minLength', 0)} to {node.get('maxLength')} characters are allowed"
    if "pattern" in node and not re.search(node["pattern"], text):
        return f"does not match {node['pattern']}"
    return None


def _number_fault(node: Json, value: Scalar) -> str | None:
    try:
        number = float(value)
    except ValueError:
        return "a number is required"
    if not node.get("minimum", number) <= number <= node.get("maximum", number):
        return f"{node.get('minimum')} to {node.get('maximum')} is allowed"
    if "enum" in node and number not in node["enum"]:
        return f"none of {', '.join(map(str, node['enum']))}"
    return None


@cache
def schema(name: str) -> Json:
    """Return the schema of a CloudFormation type. KeyError if there is none."""
    folder = _folder()
    found: Json = json.loads((folder / "resources" / f"{_files()[name]}.json").read_text())
    return found


@cache
def _files() -> dict[str, str]:
    found: dict[str, str] = json.loads((_folder() / "providers" / f"{REGION}.json").read_text())
    return found


@cache
def _folder() -> Path:
    spec = importlib.util.find_spec("cfnlint")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / "schemas"
