"""Arguments that exclude or need each other: whether a resource's blocks are as a relation of the provider says."""

from collections.abc import Iterator
from typing import Any

from tests.infra.aws.provider_facts import Relation
from tests.infra.synthesis import Resource


def fault_of_relation(relation: Relation, resource: Resource) -> Iterator[str]:
    """Yield what is wrong with each block that the relation is about."""
    for block in _blocks(relation, resource):
        given = {name for name, value in block.items() if value not in (None, [], "")}
        chosen = given & set(relation.exactly_one)
        if relation.exactly_one and len(chosen) != 1:
            yield f"exactly one of {', '.join(relation.exactly_one)} is required, not {sorted(chosen)}"
        if relation.never_with and relation.never_with[0] in given:
            argument, excluded = relation.never_with
            yield from (f"{argument} excludes {other}" for other in excluded if other in given)
        if relation.needs and _is_given(block, relation.needs[0]):
            argument, needed = relation.needs
            yield from (f"{argument} needs {other}" for other in needed if other not in given)


def _is_given(block: dict[str, Any], condition: str) -> bool:
    argument, _, value = condition.partition("=")
    return block.get(argument) is not None if not value else str(block.get(argument)) == value


def _blocks(relation: Relation, resource: Resource) -> list[dict[str, Any]]:
    if not relation.block:
        return [resource.body]
    found = resource.get(relation.block) or []
    return found if isinstance(found, list) else [found]
