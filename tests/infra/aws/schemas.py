"""CloudFormation's published schemas, and the property of each argument in them.

cfn-lint ships the schemas. Its package is read as files: importing it takes seconds, and only its data is wanted.
"""

import importlib.util
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import regex

from tests.infra.aws.mapping import PROPERTIES, TRANSLATED, TYPES
from tests.infra.aws.values import Count, Scalar, Value

REGION = "eu-central-1"
"""Region whose schemas are read: regions differ only in the types that they have."""

Json = dict[str, Any]


def folded(name: str) -> str:
    """Return a name so that `desired_count`, `desiredCount` and `DesiredCount` are equal."""
    return name.replace("_", "").lower()


def member_named(members: Iterable[str], argument: str) -> str | None:
    """Return the member that an argument names, allowing a plural: `statement` is `Statements`."""
    wanted = folded(argument)
    by_name = {folded(member): member for member in members}
    return next((by_name[name] for name in (wanted, f"{wanted}s", f"{wanted}es") if name in by_name), None)


def properties_of(value: Value | Count) -> list[tuple[Json, Json]]:
    """Return an argument's property, with the schema that it is of: several where a list's elements differ."""
    if value.kind not in TYPES or ".".join(value.path) in TRANSLATED.get(value.kind, {}):
        return []
    name, steps = _property(value.kind, value.path)
    root = schema(name)
    nodes = [root]
    for step in steps:
        nodes = [found for node in nodes for found in _member(root, node, step, owner=name)]
    return [(root, node) for node in nodes]


def fault_of(value: Value) -> str | None:
    """Return what the schema has against a value; None if nothing, or if the value is a reference."""
    if not value.is_known:
        return None
    faults = [_fault(root, node, value.value) for root, node in properties_of(value)]
    return None if None in faults else next(iter(faults), None)


def count_fault_of(count: Count) -> str | None:
    """Return what the schema has against the length of a list; None if nothing. An empty list is not sent."""
    for _, node in properties_of(count) if count.number else []:
        least, most = node.get("minItems", 0), node.get("maxItems", count.number)
        if not least <= count.number <= most:
            return f"{least} to {most} elements are allowed"
    return None


def is_create_only(value: Value) -> bool:
    """Return whether AWS fixes an argument's property when the resource is created."""
    if value.kind not in TYPES:
        return False
    name, steps = _property(value.kind, value.path)
    root = schema(name)
    node, path = root, ""
    for step in steps:
        found = _member_name(root, node, step, owner=name)
        if found is None:
            return False
        path = f"{path}/{found}"
        if f"/properties{path}" in root.get("createOnlyProperties", []):
            return True
        node = _resolved(root, _resolved(root, node)["properties"][found])
    return False


def _property(kind: str, path: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the CloudFormation type of an argument, and the names down to its property."""
    exceptions = PROPERTIES.get(kind, {})
    for length in range(len(path), -1, -1):
        mapped = exceptions.get(".".join(path[:length]))
        if mapped is not None:
            name, _, steps = mapped.rpartition("#")
            return name or TYPES[kind], (*filter(None, steps.split(".")), *path[length:])
    return TYPES[kind], path


def _member(root: Json, node: Json, name: str, *, owner: str) -> Iterator[Json]:
    node = _resolved(root, node)
    if "items" in node:
        yield from _member(root, node["items"], name, owner=owner)
    for keyword in ("anyOf", "oneOf", "allOf"):
        for each in node.get(keyword, []):
            yield from _member(root, each, name, owner=owner)
    found = _member_name(root, node, name, owner=owner)
    if found:
        yield _resolved(root, node["properties"][found])


def _member_name(root: Json, node: Json, name: str, *, owner: str) -> str | None:
    properties: Json = node.get("properties", {})
    found = member_named(properties, name)
    if found is None and name == "name" and node is root:
        return member_named(properties, f"{owner.rsplit('::', 1)[-1]}Name")
    return found


def _resolved(root: Json, node: Json) -> Json:
    while "$ref" in node:
        target = root
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def _fault(root: Json, node: Json, value: Scalar) -> str | None:
    node = _resolved(root, node)
    if isinstance(node.get("items"), dict):
        return _fault(root, node["items"], value)
    for keyword in ("anyOf", "oneOf"):
        faults = [_fault(root, each, value) for each in node.get(keyword, [])]
        if faults and None not in faults:
            return faults[0]
    types = node.get("type", [])
    types = {types} if isinstance(types, str) else set(types)
    if types and types <= {"integer", "number"}:
        return _number_fault(node, value)
    return _text_fault(node, types, str(value).lower() if isinstance(value, bool) else str(value))


def _text_fault(node: Json, types: set[str], text: str) -> str | None:
    if types == {"boolean"} and text not in {"true", "false"}:
        return "true or false is required"
    if "enum" in node and text not in {str(each) for each in node["enum"]}:
        return f"allowed: {', '.join(map(str, node['enum']))}"
    if not node.get("minLength", 0) <= len(text) <= node.get("maxLength", len(text)):
        return f"{node.get('minLength', 0)} to {node.get('maxLength')} characters are allowed"
    if "pattern" in node and not regex.search(node["pattern"], text):
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
        return f"allowed: {', '.join(map(str, node['enum']))}"
    return None


@cache
def schema(name: str) -> Json:
    """Return the schema of a CloudFormation type. KeyError if there is none."""
    found: Json = json.loads((package() / "schemas" / "resources" / f"{_files()[name]}.json").read_text())
    return found


@cache
def _files() -> dict[str, str]:
    found: dict[str, str] = json.loads((package() / "schemas" / "providers" / f"{REGION}.json").read_text())
    return found


@cache
def package() -> Path:
    """Return the folder of what cfn-lint ships of AWS's."""
    spec = importlib.util.find_spec("cfnlint")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data"
