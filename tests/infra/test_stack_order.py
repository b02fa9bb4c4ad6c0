"""What depends on what inside a stack: it is made after that, and destroyed before."""

import re

import pytest

from tests.infra.graph import Graph, needed_by
from tests.infra.synthesis import Stack, every, of_kind, stacks

SERVICES = ("order-api", "order-processor", "order-notifier")
NETWORK = (
    "aws_vpc",
    "aws_subnet",
    "aws_route",
    "aws_route_table",
    "aws_route_table_association",
    "aws_nat_gateway",
    "aws_internet_gateway",
    "aws_eip",
    "aws_vpc_endpoint",
    "aws_default_security_group",
    "aws_flow_log",
)
CHURNS = re.compile(r"aws_(ecs|lb|dynamodb|sqs|autoscaling|launch|sns|wafv2|cloudwatch_metric)")


def addresses(stack: Stack, *kinds: str) -> set[str]:
    return {resource.address for kind in kinds for resource in stack.resources(kind)}


def test_nothing_depends_on_itself() -> None:
    for stack in stacks():
        assert all(address not in needed_by(stack, address) for address in Graph.of(stack).needs), str(stack)


def test_depends_on_names_what_there_is() -> None:
    for stack in stacks():
        known = {resource.address for resource in stack.resources()}
        for resource in stack.resources():
            assert set(resource.get("depends_on", [])) <= known, str(resource)


@pytest.mark.parametrize("kind", SERVICES)
def test_a_service_goes_before_what_it_stands_on(kind: str) -> None:
    """Its roles' policies too: without them its tasks could not be drained, nor the traffic be moved."""
    for stack in of_kind(kind):
        expected = addresses(
            stack,
            "aws_lb_listener_rule",
            "aws_lb_target_group",
            "aws_iam_role",
            "aws_iam_role_policy",
            "aws_security_group",
            "aws_ecs_task_definition",
        )
        if kind == "order-api":
            alarms = addresses(stack, "aws_cloudwatch_metric_alarm")
            expected |= alarms - {"aws_cloudwatch_metric_alarm.no_api_alarm"}  # which rolls nothing back
        assert expected <= needed_by(stack, "aws_ecs_service.service"), str(stack)


@pytest.mark.parametrize("kind", SERVICES)
def test_scaling_goes_before_its_service(kind: str) -> None:
    for stack in of_kind(kind):
        for policy in stack.resources("aws_appautoscaling_policy"):
            assert "aws_ecs_service.service" in needed_by(stack, policy.address), str(policy)


def test_a_service_has_all_its_policies() -> None:
    roles = {"order-api": 3, "order-processor": 2, "order-notifier": 2}
    for kind, count in roles.items():
        for stack in of_kind(kind, where=lambda stack: not stack.environment.is_feature):
            needed = needed_by(stack, "aws_ecs_service.service")
            assert len([address for address in needed if address.startswith("aws_iam_role_policy.")]) == count, str(
                stack
            )


def test_capacity_is_taken_away_after_nothing_asks_for_it() -> None:
    for provider in every("aws_ecs_capacity_provider"):
        stack = provider.stack
        association = "aws_ecs_cluster_capacity_providers.cluster_capacity_providers"
        assert {provider.address, "aws_ecs_cluster.cluster"} <= needed_by(stack, association), str(stack)
        assert {"aws_autoscaling_group.instances", "aws_launch_template.instance_template"} <= needed_by(
            stack, provider.address
        ), str(stack)


def test_the_network_outlives_all_that_is_in_it() -> None:
    for stack in of_kind("supporting", where=lambda stack: not stack.environment.is_feature):
        for address in addresses(stack, *NETWORK):
            needed = needed_by(stack, address)
            assert not [each for each in needed if CHURNS.match(each)], f"{stack}: {address}"


def test_data_outlives_the_cluster_and_the_load_balancer() -> None:
    for stack in of_kind("supporting"):
        for address in addresses(stack, "aws_dynamodb_table", "aws_sqs_queue", "aws_secretsmanager_secret"):
            needed = needed_by(stack, address)
            assert not [each for each in needed if re.match(r"aws_(ecs|lb|vpc|subnet)", each)], f"{stack}: {address}"
