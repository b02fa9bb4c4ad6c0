"""Preconditions of applying and destroying stacks. No I/O.

Before a stack is applied, the stacks that it reads must exist. Before a stack is destroyed, the stacks that need it
must be destroyed.
"""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet

from infra.environments import Environment
from infra.operate.request import Verb, command
from infra.stacks import ACCOUNT, KINDS, REGISTRY, SUPPORTING, App, Stack
from orderctl.exceptions import Refused


def unready(
    stacks: Sequence[Stack],
    reads: Mapping[Stack, Collection[Stack]],
    existing: AbstractSet[Stack],
    *,
    in_turn: bool,
) -> dict[Stack, list[Stack]]:
    """Return the stacks that cannot be applied yet, each with the missing stacks that it reads, in creation order.

    `in_turn`: the stacks are applied one after the other, so that a later one can read an earlier one.
    """
    there = set(existing)
    lacking: dict[Stack, list[Stack]] = {}
    for stack in stacks:
        if missing := set(reads[stack]) - there:
            lacking[stack] = sorted(missing, key=_order_of_coming)
        elif in_turn:
            there.add(stack)
    return lacking


def _order_of_coming(stack: Stack) -> tuple[int, str]:
    return KINDS.index(stack.kind), stack.key


def explain_unready(stack: Stack, missing: Sequence[Stack], environment: Environment) -> str:
    """Return one line that names the first missing stack and the command that creates it."""
    first = missing[0]
    owner = (environment.host or environment.name) if first.owner == ACCOUNT else first.owner
    return (
        f"{stack.name} reads the outputs of {first.name} of {first.owner}, which does not exist yet; "
        f"first run: {command(Verb.APPLY, owner, first.app)}"
    )


def require_nothing_above(stacks: Sequence[Stack], existing: AbstractSet[Stack], environment: Environment) -> None:
    """Raise Refused if an existing stack would still need one of `stacks` when they are destroyed in this order."""
    left = set(existing)
    for stack in stacks:
        above = sorted(
            (other for other in left if other != stack and _needs(other, stack, environment)),
            key=lambda other: other.key,
        )
        if above:
            names = ", ".join(f"{other.name} of {other.owner}" for other in above)
            lines = "\n".join(f"  {line}" for line in _destroying(above, stack, environment))
            raise Refused(f"{stack.name} is still needed by {names}; first run:\n{lines}")
        left.discard(stack)


def _needs(other: Stack, stack: Stack, environment: Environment) -> bool:
    """Return whether `other` needs `stack`, which is a stack of `environment` or the registry."""
    if stack.kind == REGISTRY:
        return other.region == stack.region and other.kind != REGISTRY
    if stack.kind != SUPPORTING:
        return False
    if other.is_feature and other.owner != stack.owner:
        return other.region == stack.region and other.host == stack.owner
    if other.owner != stack.owner:
        return False
    holds_tables = environment.regions[0]
    if stack.region in environment.leaving_regions:
        return other.region == stack.region
    if other.kind == SUPPORTING:  # the key of `stack` encrypts the replicas of its tables
        return other.region == holds_tables
    return other.region == stack.region or stack.region == holds_tables


def _destroying(above: Sequence[Stack], stack: Stack, environment: Environment) -> list[str]:
    """Return the commands that destroy the stacks `above`, each command once."""
    lines = dict.fromkeys(_destroying_one(other, stack, environment) for other in above)
    return list(lines)


def _destroying_one(other: Stack, stack: Stack, environment: Environment) -> str:
    if other.owner != environment.name:
        return command(Verb.DESTROY, other.owner)
    if other.region == stack.region:
        return command(Verb.DESTROY, other.owner, other.app)
    if other.app is App.SERVICES:
        return f"{command(Verb.DESTROY, other.owner, other.app)} --region {other.region}"
    return command(Verb.DESTROY, other.owner)
