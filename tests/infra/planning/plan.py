"""Terraform's action on each resource of a stack, computed from two states of the stack and the provider's facts.

A plan compares the arguments of each resource. Text that names an attribute of another resource counts as changed if
that attribute will only be known afterwards: because its resource is made or replaced, or is of a kind that does not
keep it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.infra.aws.replacing import COMPUTED, REPLACING, REPLACING_WHEN_LOWER, UNKNOWN_AFTER_UPDATE
from tests.infra.aws.values import META_ARGUMENTS
from tests.infra.graph import Graph
from tests.infra.synthesis import Json, Resource, Stack, strings

REFERENCE = re.compile(r"(?<!data\.)\b(aws_\w+\.\w+)\.(\w+)")
WHOLE = re.compile(r"\$\{(aws_\w+\.\w+)\.(\w+)\}")


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


@dataclass(frozen=True)
class Plan:
    """The changed resources of one stack, with the arguments that make the difference."""

    before: Stack
    after: Stack
    actions: Mapping[str, Action]
    """By the address of each resource that changes."""
    because: Mapping[str, tuple[str, ...]]

    def of(self, action: Action) -> set[str]:
        return {address for address, taken in self.actions.items() if taken is action}

    def resource(self, address: str) -> Resource:
        """Return a resource as it will be, or as it was if it goes."""
        return (self.before if self.actions.get(address) is Action.DELETE else self.after).the(address)

    def changed_outputs(self) -> set[str]:
        """Return the outputs that other stacks will read anew."""
        before, after = self.before.outputs, self.after.outputs
        return {
            name
            for name, value in after.items()
            if name in before and (before[name] != value or _is_unknown(value, self.after, self.actions))
        }


def plan(before: Stack, after: Stack) -> Plan:
    """Compare two states of a stack."""
    old = {resource.address: resource for resource in before.resources()}
    actions: dict[str, Action] = {}
    because: dict[str, tuple[str, ...]] = {}
    for address in Graph.of(after).in_order():
        resource = after.the(address)
        if address not in old:
            actions[address] = Action.CREATE
            continue
        changed = tuple(sorted(_changed(old[address], resource, actions)))
        if changed:
            because[address] = changed
            replaced = any(_replaces(old[address], resource, path) for path in changed)
            actions[address] = Action.REPLACE if replaced else Action.UPDATE
    actions |= dict.fromkeys(old.keys() - {resource.address for resource in after.resources()}, Action.DELETE)
    return Plan(before, after, actions, because)


def below(path: str, arguments: tuple[str, ...]) -> bool:
    """Return whether a path is one of these arguments, or lies below one."""
    return any(f"{path}.".startswith(f"{argument}.") for argument in arguments)


def ignored(resource: Resource) -> set[str]:
    """Return the arguments that Terraform leaves as they are."""
    return set(resource.get("lifecycle", {}).get("ignore_changes") or [])


def _replaces(old: Resource, new: Resource, path: str) -> bool:
    if below(path, REPLACING.get(new.kind, ((), ""))[0]):
        return True
    if not below(path, REPLACING_WHEN_LOWER.get(new.kind, ((), ""))[0]):
        return False
    return bool(_at(new.body, path) < _at(old.body, path))


def _at(body: Json, path: str) -> Any:
    found: Any = body
    for name in path.split("."):
        found = found[name]
    return found


def _changed(old: Resource, new: Resource, actions: Mapping[str, Action]) -> set[str]:
    """Return the paths of the arguments that a plan shows as changed."""
    computed = COMPUTED.get(new.kind, ((), ""))[0]
    found = set()
    for argument in (old.body.keys() | new.body.keys()) - META_ARGUMENTS - ignored(new):
        was, becomes = (_resolved(each.get(argument), each.stack) for each in (old, new))
        if becomes is None and argument in computed:
            continue
        found |= set(_differences(was, becomes, argument))
        found |= {path for path, text in _texts(new.get(argument), argument) if _is_unknown(text, new.stack, actions)}
    return found


def _differences(was: Any, becomes: Any, path: str) -> Iterator[str]:
    if isinstance(was, dict) and isinstance(becomes, dict):
        for name in was.keys() | becomes.keys():
            yield from _differences(was.get(name), becomes.get(name), f"{path}.{name}")
    elif isinstance(was, list) and isinstance(becomes, list) and len(was) == len(becomes):
        for one, other in zip(was, becomes, strict=True):
            yield from _differences(one, other, path)
    elif was != becomes:
        yield path


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _texts(member, f"{path}.{name}")
    elif isinstance(value, list):
        for element in value:
            yield from _texts(element, path)
    elif isinstance(value, str):
        yield path, value


def _resolved(value: Any, stack: Stack) -> Any:
    """Put in what another resource's own argument says; attributes that AWS gives stay references."""
    if isinstance(value, dict):
        return {name: _resolved(member, stack) for name, member in value.items()}
    if isinstance(value, list):
        return [_resolved(element, stack) for element in value]
    if isinstance(value, str):
        return WHOLE.sub(lambda match: _argument(stack, match[1], match[2]) or match[0], value)
    return value


def _argument(stack: Stack, address: str, attribute: str) -> str | None:
    value = stack.the(address).get(attribute)
    return value if isinstance(value, str) and "${" not in value else None


def _is_unknown(value: Any, stack: Stack, actions: Mapping[str, Action]) -> bool:
    return any(
        _argument(stack, address, attribute) is None and _becomes_unknown(address, attribute, actions.get(address))
        for text in strings(value)
        if "${" in text
        for address, attribute in REFERENCE.findall(text)
    )


def _becomes_unknown(address: str, attribute: str, action: Action | None) -> bool:
    if action is Action.UPDATE:
        return attribute in UNKNOWN_AFTER_UPDATE.get(address.partition(".")[0], ((), ""))[0]
    return action in {Action.CREATE, Action.REPLACE}
