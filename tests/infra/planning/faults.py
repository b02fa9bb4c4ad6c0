"""Faults of a plan: it would lose data, interrupt customers, or stop half-way."""

import json
from collections.abc import Iterator

from tests.infra.graph import Graph
from tests.infra.planning.order import waits
from tests.infra.planning.plan import Action, Plan
from tests.infra.synthesis import Resource

PRECIOUS = {
    "aws_dynamodb_table": "its items",
    "aws_ecr_repository": "its images",
    "aws_ecs_service": "its tasks",
    "aws_kms_key": "all that it encrypts",
    "aws_lb": "its connections, and its address",
}
"""Types that no plan may replace or remove, and the loss if one did."""

UNNOTICED = {
    "aws_acm_certificate_validation": "nothing of AWS's is made or removed",
    "aws_ecr_lifecycle_policy": "no image expires meanwhile",
}
"""Types that may be removed before their successor stands, and why nobody notices."""


def faults(plan: Plan) -> list[str]:
    """Return what is wrong with a plan, each with the resource's address."""
    return [
        *_lost(plan),
        *_removed_early(plan),
        *_twice_of_a_name(plan),
        *_left_behind(plan),
        *_indexes(plan),
        *(f"output {name}: other stacks go on with the old value" for name in sorted(plan.changed_outputs())),
    ]


def _lost(plan: Plan) -> Iterator[str]:
    for action in (Action.REPLACE, Action.DELETE):
        for address in sorted(plan.of(action)):
            kind = address.partition(".")[0]
            if kind in PRECIOUS:
                yield f"{address}: {action} loses {PRECIOUS[kind]}"
            if plan.before.the(address).get("lifecycle", {}).get("prevent_destroy"):
                yield f"{address}: {action} is refused, and the whole plan with it"


def _removed_early(plan: Plan) -> Iterator[str]:
    waiting = waits(plan)
    for address in sorted(plan.of(Action.REPLACE)):
        if f"make {address}" not in waiting[f"remove {address}"] and not _is_unnoticed(plan.before.the(address)):
            yield f"{address}: is removed before its successor stands"


def _is_unnoticed(resource: Resource) -> bool:
    return resource.kind in UNNOTICED or bool(resource.get("skip_destroy"))


def _twice_of_a_name(plan: Plan) -> Iterator[str]:
    """Yield what is made first although AWS allows one of its name."""
    waiting = waits(plan)
    for address in sorted(plan.of(Action.REPLACE)):
        old, new = plan.before.the(address), plan.after.the(address)
        made_first = f"make {address}" in waiting[f"remove {address}"]
        if made_first and "name" in new.body and old.get("name") == new["name"]:
            yield f"{address}: its successor has the same name, {new['name']}"


def _left_behind(plan: Plan) -> Iterator[str]:
    """Yield what may be removed while a resource that stays still uses it."""
    waiting, graph = waits(plan), Graph.of(plan.before)
    for user in sorted(plan.of(Action.UPDATE)):
        for address in sorted(graph.needs[user] & plan.of(Action.DELETE)):
            if f"make {user}" not in waiting[f"remove {address}"]:
                yield f"{address}: may be removed before {user} has left it"


def _indexes(plan: Plan) -> Iterator[str]:
    """Yield the indexes whose readers fail while a successor is built, and those that are never made."""
    for address in sorted(plan.of(Action.UPDATE)):
        if not address.startswith("aws_dynamodb_table."):
            continue
        was, becomes = (_indexes_of(stack.the(address)) for stack in (plan.before, plan.after))
        if any(was[name] != becomes[name] for name in was.keys() & becomes.keys()):
            yield f"{address}: an index changes under its name, so it is deleted and then built"
        if was.keys() - becomes.keys() and becomes.keys() - was.keys():
            yield f"{address}: an index is removed before readers have moved to its successor"


def unmade_indexes(plan: Plan) -> list[str]:
    """Return the new indexes that Terraform does not make, because it ignores a table's indexes."""
    return [
        f"{table.address}: {name}"
        for table in plan.after.resources("aws_dynamodb_table")
        if "global_secondary_index" in (table.get("lifecycle", {}).get("ignore_changes") or ())
        for name in sorted(_indexes_of(table).keys() - _indexes_of(plan.before.the(table.address)).keys())
    ]


def _indexes_of(table: Resource) -> dict[str, str]:
    """Return the definition of each index, without its capacity."""
    apart = {"name", "read_capacity", "write_capacity"}
    return {
        index["name"]: json.dumps({name: index[name] for name in sorted(index.keys() - apart)})
        for index in table["global_secondary_index"]
    }
