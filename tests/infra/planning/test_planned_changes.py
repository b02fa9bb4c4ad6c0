"""Changes of prod, planned: nothing is lost, and nothing goes before its successor stands.

`states.py` writes the stacks before and after; `plan.py` and `order.py` say what Terraform would do, and `faults.py`
what it must not do.
"""

import copy
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.infra.planning.faults import faults, unmade_indexes
from tests.infra.planning.order import waits
from tests.infra.planning.plan import Action, Plan, plan
from tests.infra.synthesis import TWO_REGIONS, Stack, of_kind, stack_in, stack_of

SUPPORTING, API, PROCESSOR = "supporting", "order-api", "order-processor"
FIRST, SECOND = "eu-central-1", "eu-west-1"
TEXTS = ("alarm_description", "description")

CHANGES = (
    (SUPPORTING, "base", "one-rule-more"),
    (SUPPORTING, "one-rule-more", "base"),
    (SUPPORTING, "base", "one-index-more"),
    (SUPPORTING, "base", "rebilled", "provisioned", "base"),
    (SUPPORTING, "provisioned", "rebilled-one-index-more", "provisioned-one-index-more"),
    (SUPPORTING, "base", "instances"),
    (SUPPORTING, "instances", "leaving-instances", "base"),
    (SUPPORTING, "three-test-networks", "last-two-test-networks", "three-test-networks"),
    (SUPPORTING, "base", "one-nat-gateway", "base"),
    (API, "services", "services-on-instances", "services"),
    (API, "services", "services-on-spot", "services"),
    (API, "services", "services-that-roll", "services"),
    (API, "services", "larger-services"),
    (PROCESSOR, "services", "services-on-instances", "services"),
)
"""The kind of a stack, and the states that it goes through."""


def between(before: str, after: str, kind: str = SUPPORTING) -> Plan:
    return plan(stack_in(before, kind), stack_in(after, kind))


def reworded(stack: Stack) -> Stack:
    """Return a stack each of whose texts says something else."""
    body = copy.deepcopy(stack.body)
    for resources in body["resource"].values():
        for resource in resources.values():
            resource.update({name: f"{resource[name]}, reworded" for name in TEXTS if resource.get(name)})
    return replace(stack, body=body)


def addresses(found: Plan, action: Action, kind: str) -> set[str]:
    return {address for address in found.of(action) if address.startswith(f"{kind}.")}


@pytest.mark.parametrize("change", CHANGES, ids=" ".join)
def test_a_change_loses_nothing(change: tuple[str, ...]) -> None:
    kind, *states = change
    for before, after in pairwise(states):
        found = between(before, after, kind)
        assert not faults(found), f"{before} to {after}"
        assert not unmade_indexes(found), f"{before} to {after}"


@pytest.mark.parametrize("kind", ["registry", SUPPORTING, API, PROCESSOR])
def test_another_text_loses_nothing(kind: str) -> None:
    """Row 18. A description replaces a group or a boundary: the successor comes first, or the text stays."""
    for stack in of_kind(kind):
        assert not faults(plan(stack, reworded(stack))), str(stack)


def test_another_text_replaces_a_group_while_tasks_use_it() -> None:
    """Row 18. The service leaves the old group, with its rules, before they go."""
    stack = stack_in("services", API)
    waiting = waits(plan(stack, reworded(stack)))
    old = {"aws_security_group.security_group", "aws_vpc_security_group_egress_rule.egress"}
    for address in old:
        assert {f"make {address}", "make aws_ecs_service.service"} <= waiting[f"remove {address}"]


def test_another_text_leaves_the_group_that_other_stacks_name() -> None:
    stack = stack_in("base", SUPPORTING)
    assert not plan(stack, reworded(stack)).of(Action.REPLACE)


def test_one_rule_of_the_firewall_more_is_one_update() -> None:
    """Row 2. Neither association nor logging is touched: there is a firewall all the time."""
    assert between("base", "one-rule-more").actions == {"aws_wafv2_web_acl.web_acl": Action.UPDATE}


def test_a_test_network_less_takes_its_own_rule_and_no_other() -> None:
    """Row 18. A rule whose label moves to another network meets the one that still holds it."""
    found = between("three-test-networks", "last-two-test-networks")
    gone = "aws_vpc_security_group_ingress_rule.load_balancer_test_192_0_2_0_24_ingress"
    assert found.actions == {gone: Action.DELETE}


def test_one_index_more_updates_its_table() -> None:
    assert between("base", "one-index-more").actions == {"aws_dynamodb_table.orders_table": Action.UPDATE}


def test_an_index_is_not_renamed_in_one_step() -> None:
    """Row 22. Its readers would fail until the successor is built. The new one comes first, the old one goes last."""
    assert faults(between("base", "index-renamed"))
    assert not faults(between("base", "index-under-both-names"))
    assert not faults(between("index-under-both-names", "index-renamed"))


def test_an_index_does_not_change_under_its_name() -> None:
    """Row 22."""
    assert "deleted and then built" in " ".join(faults(between("base", "index-changed")))


def test_on_demand_becomes_provisioned_with_the_capacity_of_each_index() -> None:
    """Row 20. DynamoDB takes the change only with a capacity for every index."""
    found = between("base", "rebilled")
    for table in found.after.resources("aws_dynamodb_table"):
        assert found.actions[table.address] is Action.UPDATE
        if table["global_secondary_index"]:
            assert "global_secondary_index.write_capacity" in found.because[table.address], str(table)


def test_provisioned_tables_rest_once_they_are_billed_so() -> None:
    """Row 20. Autoscaling moves the capacities from then on, and no plan moves them back."""
    assert not between("rebilled", "provisioned").actions


def test_a_plan_that_ignores_indexes_makes_none() -> None:
    """Row 20. This is why the operators' commands look for a new index first."""
    assert unmade_indexes(between("provisioned", "provisioned-one-index-more"))


def test_services_leave_instances_before_the_instances_go() -> None:
    """Row 24. The first step touches nothing that services ask for, the second one only what nobody asks for."""
    assert not between("instances", "leaving-instances").actions
    for kind in (API, PROCESSOR):
        moved = between("services-on-instances", "services", kind)
        assert moved.actions == {"aws_ecs_service.service": Action.UPDATE}, kind
    last = waits(between("leaving-instances", "base"))
    providers = "make aws_ecs_cluster_capacity_providers.cluster_capacity_providers"
    assert providers in last["remove aws_ecs_capacity_provider.instances_capacity_provider"]


def test_a_service_that_rolls_from_now_on_leaves_green_first() -> None:
    """Row 23. What moved its traffic goes after the service has changed. `deploy` asks first which colour is live."""
    found = between("services", "services-that-roll", API)
    waiting = waits(found)
    removed = found.of(Action.DELETE)
    assert {"aws_lb_target_group.green_target_group", "aws_lb_listener_rule.test_rule"} <= removed
    assert all("make aws_ecs_service.service" in waiting[f"remove {address}"] for address in removed)


def test_one_region_more_updates_the_tables_and_makes_the_rest() -> None:
    """Row 19. In the region that is there, a replica is all that changes."""
    before, after = stack_of("prod", SUPPORTING), stack_of(TWO_REGIONS, SUPPORTING, FIRST)
    found = plan(before, after)
    assert not faults(found)
    assert found.actions == {table.address: Action.UPDATE for table in after.resources("aws_dynamodb_table")}
    for kind in (API, PROCESSOR):
        assert not plan(stack_of("prod", kind), stack_of(TWO_REGIONS, kind, FIRST)).actions, kind


def test_one_region_less_updates_the_tables() -> None:
    """Its stacks are destroyed after that, but for the proof of the certificate, which the other region needs too."""
    found = plan(stack_of(TWO_REGIONS, SUPPORTING, FIRST), stack_of("prod", SUPPORTING))
    assert not faults(found)
    assert set(found.actions) == addresses(found, Action.UPDATE, "aws_dynamodb_table")


def test_a_region_that_is_left_refuses_to_go_no_longer() -> None:
    """Its stack is written once more before it is destroyed: protections off, and nothing else that matters."""
    found = plan(stack_of(TWO_REGIONS, SUPPORTING, SECOND), stack_in("leaving-a-region", SUPPORTING, SECOND))
    assert not faults(found)
    assert found.because["aws_lb.load_balancer"] == ("enable_deletion_protection",)
    after = found.after
    assert not [each for each in after.resources() if each.get("lifecycle", {}).get("prevent_destroy")]
    assert not between("base", "leaving-a-region").actions


def test_regions_hold_no_record_against_each_other() -> None:
    """Row 19. Route 53 refuses a second record of a name and type, unless each has an identifier or may overwrite."""
    records = [
        record
        for region in (FIRST, SECOND)
        for record in stack_of(TWO_REGIONS, SUPPORTING, region).resources("aws_route53_record")
    ]
    alone = [record for record in records if not record.get("allow_overwrite")]
    held = [(record["name"], record["type"], record.get("set_identifier")) for record in alone]
    assert len(held) == len(set(held)) == 2


def test_another_size_registers_a_task_definition_and_updates_the_service() -> None:
    """Row 17. The definition before stays registered: a rollback goes back to it."""
    found = between("services", "larger-services", API)
    task = "aws_ecs_task_definition.task_definition"
    assert (found.actions[task], found.actions["aws_ecs_service.service"]) == (Action.REPLACE, Action.UPDATE)
    assert found.before.the(task)["skip_destroy"] is True
