"""Every scalar value that the stacks set, once for each resource type and argument: what AWS is asked to accept."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.infra.synthesis import Resource, stacks

Scalar = str | int | float | bool

META_ARGUMENTS = {"//", "depends_on", "lifecycle", "provider"}
"""Of Terraform itself; AWS never sees them."""

MAPS = {"tags": ("key", "value"), "dimensions": ("name", "value")}
"""Arguments that are maps in Terraform and lists of pairs in AWS, with the names of the pair's members."""

DOCUMENTS = {
    ("aws_ecr_lifecycle_policy", "policy"),
    ("aws_ecs_task_definition", "container_definitions"),
    ("aws_sqs_queue", "redrive_policy"),
    ("aws_sqs_queue_redrive_allow_policy", "redrive_allow_policy"),
    ("aws_wafv2_web_acl", "rule_json"),
}
"""Arguments whose JSON text is looked into, member by member. Policies and dashboards have tests of their own."""


@dataclass(frozen=True)
class Value:
    """One value of one argument, and a resource that sets it."""

    kind: str
    """Such as `aws_lb`."""
    path: tuple[str, ...]
    """Names of blocks and of the argument, such as `("access_logs", "bucket")`."""
    value: Scalar
    resource: str

    @property
    def argument(self) -> str:
        return ".".join(self.path)

    @property
    def is_known(self) -> bool:
        """False for a reference, whose value only a plan knows."""
        return not (isinstance(self.value, str) and "${" in self.value)

    def __str__(self) -> str:
        return f"{self.resource}: {self.argument} = {self.value!r}"


@dataclass(frozen=True)
class Count:
    """The number of elements of one list, and a resource that has it."""

    kind: str
    path: tuple[str, ...]
    number: int
    resource: str

    def __str__(self) -> str:
        return f"{self.resource}: {'.'.join(self.path)} has {self.number} elements"


@cache
def values() -> tuple[Value, ...]:
    """Return each value of each argument once, with the first resource that sets it."""
    found: dict[tuple[object, ...], Value] = {}
    for resource in _resources():
        for path, value in _leaves((), request_of(resource)):
            found.setdefault(
                (resource.kind, path, type(value), value), Value(resource.kind, path, value, str(resource))
            )
    return tuple(found.values())


@cache
def counts() -> tuple[Count, ...]:
    """Return each length of each list once, with the first resource that has it."""
    found: dict[tuple[object, ...], Count] = {}
    for resource in _resources():
        for path, number in _lists((), request_of(resource)):
            found.setdefault((resource.kind, path, number), Count(resource.kind, path, number, str(resource)))
    return tuple(found.values())


def request_of(resource: Resource) -> dict[str, Any]:
    """Return a resource's arguments as AWS's APIs nest them: maps as lists of pairs, JSON text as what it means."""
    return {
        name: _nested(resource.kind, (name,), value)
        for name, value in resource.body.items()
        if name not in META_ARGUMENTS
    }


def _resources() -> Iterator[Resource]:
    return (resource for stack in stacks() for resource in stack.resources())


def _nested(kind: str, path: tuple[str, ...], node: Any) -> Any:
    if isinstance(node, str) and (kind, ".".join(path)) in DOCUMENTS:
        node = json.loads(node)
    if isinstance(node, dict) and path[-1] in MAPS:
        name_key, value_key = MAPS[path[-1]]
        return [{name_key: name, value_key: value} for name, value in node.items()]
    return _inside(kind, path, node)


def _inside(kind: str, path: tuple[str, ...], node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _nested(kind, (*path, name), member) for name, member in node.items()}
    if isinstance(node, list):
        return [_inside(kind, path, element) for element in node]
    return node


def _leaves(path: tuple[str, ...], node: Any) -> Iterator[tuple[tuple[str, ...], Scalar]]:
    if isinstance(node, dict):
        for name, member in node.items():
            yield from _leaves((*path, name), member)
    elif isinstance(node, list):
        for element in node:
            yield from _leaves(path, element)
    elif node is not None:
        yield path, node


def _lists(path: tuple[str, ...], node: Any) -> Iterator[tuple[tuple[str, ...], int]]:
    if isinstance(node, dict):
        for name, member in node.items():
            yield from _lists((*path, name), member)
    elif isinstance(node, list):
        yield path, len(node)
        for element in node:
            yield from _lists(path, element)
