"""The order in which Terraform makes and removes the resources of a plan.

Steps are `make ADDRESS` (created, updated, or the successor of a replaced resource) and `remove ADDRESS` (deleted, or
the one that is replaced). `create_before_destroy` holds for all that such a resource depends on, too. What a plan
removes goes without waiting for those that used it, unless it has `create_before_destroy`. `test_terraform_agrees.py`
shows these rules on Terraform itself.
"""

from collections.abc import Iterator

from tests.infra.graph import Graph, ordered
from tests.infra.planning.plan import Action, Plan
from tests.infra.synthesis import Stack


def successors_first(stack: Stack) -> set[str]:
    """Return the addresses whose successor is made before they go."""
    graph = Graph.of(stack)
    found = {
        resource.address for resource in stack.resources() if resource.get("lifecycle", {}).get("create_before_destroy")
    }
    return found.union(*(graph.needed_by(address) for address in found))


def waits(plan: Plan) -> dict[str, set[str]]:
    """Return each step of a plan with all that it waits for, directly or not."""
    nodes = {f"{verb} {address}" for address, action in plan.actions.items() for verb in _verbs(action)}
    needs: dict[str, set[str]] = {node: set() for node in nodes}
    for first, then in _edges(plan):
        if first in nodes and then in nodes:
            needs[then].add(first)
    found: dict[str, set[str]] = {}
    for node in ordered(needs):
        found[node] = needs[node].union(*(found[need] for need in needs[node]))
    return found


def _verbs(action: Action) -> tuple[str, ...]:
    if action is Action.REPLACE:
        return ("make", "remove")
    return ("remove",) if action is Action.DELETE else ("make",)


def _edges(plan: Plan) -> Iterator[tuple[str, str]]:
    before, after = Graph.of(plan.before), Graph.of(plan.after)
    early = {Action.REPLACE: successors_first(plan.after), Action.DELETE: successors_first(plan.before)}
    for address in after.needs:
        for need in after.needed_by(address):
            yield f"make {need}", f"make {address}"
            if need in early[Action.REPLACE]:
                yield f"make {address}", f"remove {need}"
    for address in before.needs:
        for need in before.needed_by(address):
            yield f"remove {address}", f"remove {need}"
            if plan.actions.get(need) is Action.DELETE and need in early[Action.DELETE]:
                yield f"make {address}", f"remove {need}"
    for address in plan.of(Action.REPLACE):
        steps = f"make {address}", f"remove {address}"
        yield steps if address in early[Action.REPLACE] else steps[::-1]
