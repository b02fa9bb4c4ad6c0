"""The planner itself: it finds the faults that the stacks had, and would find them again."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.planning.earlier import (
    GROUP,
    RULE,
    by_cloud_control,
    changed,
    deregistered,
    larger,
    named,
    other_text,
    without_lifecycle,
)
from tests.infra.planning.faults import faults
from tests.infra.planning.plan import Action, plan
from tests.infra.synthesis import Json, stack_in

SUPPORTING, API = "supporting", "order-api"
TABLE = "aws_dynamodb_table"


FOUND_AGAIN = {
    "rules go before the service has left them": (
        API,
        (without_lifecycle(RULE, "egress"),),
        other_text,
        f"{RULE}.egress: is removed before its successor stands",
    ),
    "a group goes while tasks use it": (
        API,
        (without_lifecycle(GROUP, "security_group"), without_lifecycle(RULE, "egress")),
        other_text,
        f"{RULE}.egress: is removed before its successor stands",
    ),
    "two groups of one name": (API, (named,), other_text, f"{GROUP}.security_group: its successor has the same name"),
    "a task definition is deregistered": (
        API,
        (deregistered,),
        larger,
        "aws_ecs_task_definition.task_definition: is removed before its successor stands",
    ),
    "another stack's rules name a group that goes": (
        SUPPORTING,
        (lambda resources: resources[GROUP]["load_balancer_security_group"]["lifecycle"].pop("ignore_changes"),),
        lambda resources: resources[GROUP]["load_balancer_security_group"].update(description="Another text"),
        "output load_balancer_security_group_id: other stacks go on with the old value",
    ),
    "a table is replaced": (
        SUPPORTING,
        (),
        lambda resources: resources[TABLE]["orders_table"].update(range_key="placed_at"),
        f"{TABLE}.orders_table: replace loses its items",
    ),
    "a protected key goes": (
        SUPPORTING,
        (lambda resources: resources["aws_kms_key"].update(spare=resources["aws_kms_key"]["data_key"]),),
        lambda resources: resources["aws_kms_key"].pop("spare"),
        "aws_kms_key.spare: delete is refused",
    ),
}
"""Kind of stack, what makes it as it must not be, the change, and the fault that is found."""


@pytest.mark.parametrize("fault", FOUND_AGAIN)
def test_it_finds(fault: str) -> None:
    kind, spoiled, change, expected = FOUND_AGAIN[fault]
    before = stack_in("services" if kind == API else "base", kind)
    for each in spoiled:
        before = changed(before, each)
    assert expected in "\n".join(faults(plan(before, changed(before, change))))


def test_it_finds_a_firewall_that_is_off_while_its_rules_change() -> None:
    before, after = (changed(stack_in(state, SUPPORTING), by_cloud_control) for state in ("base", "one-rule-more"))
    association = "aws_wafv2_web_acl_association.web_acl_association"
    assert f"{association}: is removed before its successor stands" in faults(plan(before, after))


def test_it_finds_a_capacity_provider_that_goes_while_the_cluster_has_it() -> None:
    provider = "aws_ecs_capacity_provider", "instances_capacity_provider"
    before = changed(stack_in("instances", SUPPORTING), without_lifecycle(*provider))
    found = "\n".join(faults(plan(before, stack_in("base", SUPPORTING))))
    assert f"{'.'.join(provider)}: may be removed before" in found


def warm(units: int) -> Callable[[Json], Any]:
    throughput = {"read_units_per_second": 12_000, "write_units_per_second": units}
    return lambda resources: resources[TABLE]["orders_table"].update(warm_throughput=throughput)


def test_it_finds_a_table_that_is_replaced_because_it_was_used() -> None:
    """DynamoDB has raised what the configuration still says: the plan lowers it, which replaces the table."""
    stack = stack_in("base", SUPPORTING)
    used = changed(stack, warm(26_000))
    assert f"{TABLE}.orders_table: replace loses its items" in faults(plan(used, changed(stack, warm(20_000))))
    assert not plan(used, stack).actions


def test_a_raised_warm_throughput_is_an_update() -> None:
    stack = stack_in("base", SUPPORTING)
    low, high = (changed(stack, warm(units)) for units in (20_000, 26_000))
    assert plan(low, high).actions == {f"{TABLE}.orders_table": Action.UPDATE}


def test_what_does_not_change_is_not_planned() -> None:
    for state, kind in (("base", SUPPORTING), ("services", API)):
        assert not plan(stack_in(state, kind), stack_in(state, kind)).actions
