"""How much there is: tasks between their bounds, on what the environment chose."""

import base64
import re

import pytest

from infra.environments import Architecture, Capacity
from tests.infra.synthesis import FEATURE, Resource, Stack, every, none, of_kind, stack_of

PROVIDERS = {Capacity.FARGATE: "FARGATE", Capacity.FARGATE_SPOT: "FARGATE_SPOT"}
SERVICES = ("order-api", "order-processor", "order-notifier")


def on_instances(stack: Stack) -> bool:
    return stack.environment.capacity is Capacity.EC2


def services() -> list[Resource]:
    return every("aws_ecs_service")


def provider_of(stack: Stack) -> str:
    environment = stack.environment
    return PROVIDERS.get(environment.capacity) or f"{environment.host or environment.name}-instances"


def test_tasks_run_on_what_was_chosen() -> None:
    none(
        f"{service}: {service['capacity_provider_strategy']}"
        for service in services()
        if service["capacity_provider_strategy"]
        != [{"capacity_provider": provider_of(service.stack), "weight": 1, "base": 0}]
        or "launch_type" in service.body
    )


def test_a_feature_environment_runs_on_spot_or_on_its_hosts_instances() -> None:
    found = {stack.variant: provider_of(stack) for stack in of_kind("order-api") if stack.environment.is_feature}
    assert found == {FEATURE: "FARGATE_SPOT", "feature-on-instances": "dev-instances"}


def test_the_cluster_has_what_services_ask_for() -> None:
    for association in every("aws_ecs_cluster_capacity_providers"):
        instances = ["${aws_ecs_capacity_provider.instances_capacity_provider.name}"]
        expected = ["FARGATE", "FARGATE_SPOT", *(instances if on_instances(association.stack) else [])]
        assert association["capacity_providers"] == expected, str(association)


def test_on_instances_tasks_are_spread_over_zones_and_then_packed() -> None:
    for service in services():
        expected = [
            {"type": "spread", "field": "attribute:ecs.availability-zone"},
            {"type": "binpack", "field": "memory"},
        ]
        assert service.get("ordered_placement_strategy") == (expected if on_instances(service.stack) else None), str(
            service
        )


def test_instances_grow_with_tasks_and_go_only_when_empty() -> None:
    for provider in every("aws_ecs_capacity_provider"):
        instances = provider.stack.environment.instances
        group_provider = dict(provider["auto_scaling_group_provider"])
        scaling = dict(group_provider.pop("managed_scaling"))
        assert group_provider == {
            "auto_scaling_group_arn": "${aws_autoscaling_group.instances.arn}",
            "managed_termination_protection": "ENABLED",
            "managed_draining": "ENABLED",
        }, str(provider)
        assert scaling.pop("instance_warmup_period") > 0, str(provider)
        assert scaling == {
            "status": "ENABLED",
            "target_capacity": instances.target_capacity,
            "minimum_scaling_step_size": instances.minimum_step,
            "maximum_scaling_step_size": instances.maximum_step,
        }, str(provider)
        group = provider.stack.one("aws_autoscaling_group")
        assert group["protect_from_scale_in"] is True, str(group)
        assert (group["min_size"], group["max_size"]) == (instances.minimum, instances.maximum), str(group)
        assert group["lifecycle"] == {"ignore_changes": ["desired_capacity"]}, str(group)
        assert {"AmazonECSManaged": "true"}.items() <= {tag["key"]: tag["value"] for tag in group["tag"]}.items()
        assert group["vpc_zone_identifier"] == [f"${{aws_subnet.private_{zone}.id}}" for zone in range(3)], str(group)


def test_instances_keep_their_credentials_from_tasks() -> None:
    for template in every("aws_launch_template"):
        assert template["metadata_options"] == {
            "http_endpoint": "enabled",
            "http_tokens": "required",
            "http_put_response_hop_limit": 1,
        }, str(template)
        start = base64.b64decode(template["user_data"]).decode()
        assert "\nECS_AWSVPC_BLOCK_IMDS=true\n" in start, str(template)
        assert f"\nECS_CLUSTER={template.stack.environment.name}\n" in start, str(template)
        assert re.search(r"^ECS_CONTAINER_STOP_TIMEOUT=120s$", start, re.MULTILINE), str(template)
        assert "key_name" not in template.body, str(template)


def test_instances_are_of_the_tasks_architecture() -> None:
    for template in every("aws_launch_template"):
        environment = template.stack.environment
        image = template.stack.data("aws_ssm_parameter")["instance_image"]["name"]
        assert ("/arm64/" in image) is (environment.architecture is Architecture.ARM64), str(template)
        assert template["instance_type"] == environment.instances.type, str(template)


def test_only_the_chosen_capacity_costs() -> None:
    for stack in of_kind("supporting", where=lambda stack: not on_instances(stack)):
        assert not stack.resources("aws_autoscaling_group"), str(stack)
    for stack in of_kind("supporting", where=lambda stack: stack.environment.is_feature):
        shared = ("aws_vpc", "aws_lb", "aws_ecs_cluster", "aws_autoscaling_group", "aws_kms_key", "aws_nat_gateway")
        assert not [each for kind in shared for each in stack.resources(kind)], str(stack)


@pytest.mark.parametrize("kind", SERVICES)
def test_tasks_are_scaled_between_the_environments_bounds(kind: str) -> None:
    for stack in of_kind(kind, where=lambda stack: stack.region == stack.environment.home):
        environment = stack.environment
        sizes = {"order-processor": environment.processor, "order-notifier": environment.notifier}
        size = sizes.get(kind, environment.api)
        scaling = stack.one("aws_appautoscaling_target")
        assert (scaling["min_capacity"], scaling["max_capacity"]) == (size.minimum, size.maximum), str(stack)
        assert stack.one("aws_ecs_service")["desired_count"] == size.minimum, str(stack)


@pytest.mark.parametrize("kind", SERVICES)
def test_production_has_two_tasks_of_each_at_least(kind: str) -> None:
    assert stack_of("prod", kind).one("aws_appautoscaling_target")["min_capacity"] >= 2


def queries(policy: Resource) -> dict[str, dict[str, object]]:
    configuration = policy["target_tracking_scaling_policy_configuration"]
    return {query["id"]: query for query in configuration["customized_metric_specification"]["metrics"]}


def test_the_api_is_scaled_by_requests_for_each_target_of_both_fleets() -> None:
    for stack in of_kind("order-api"):
        metrics = queries(stack.the("aws_appautoscaling_policy.requests_scaling"))
        groups = [group.name for group in stack.resources("aws_lb_target_group")]
        counted = [str(query) for name, query in metrics.items() if name != "value"]
        assert len(counted) == len(groups), str(stack)
        for group in groups:
            assert [text for text in counted if f"aws_lb_target_group.{group}.arn_suffix" in text], str(stack)
        assert all("'RequestCountPerTarget'" in text and "'Sum'" in text for text in counted), str(stack)


@pytest.mark.parametrize(("kind", "output"), [("order-processor", "queue"), ("order-notifier", "changes_queue")])
def test_a_worker_is_scaled_by_the_backlog_of_each_task(kind: str, output: str) -> None:
    for stack in of_kind(kind):
        metrics = queries(stack.the("aws_appautoscaling_policy.backlog_scaling"))
        assert metrics["value"]["expression"] == "waiting / tasks", str(stack)
        assert f".outputs.{output}_name}}" in str(metrics["waiting"]), str(stack)
        assert "'ApproximateNumberOfMessagesVisible'" in str(metrics["waiting"]), str(stack)
        assert "'SampleCount'" in str(metrics["tasks"]), str(stack)
        service = stack.one("aws_ecs_service")["name"]
        assert f"'value': '{service}'" in str(metrics["tasks"]), str(stack)


def test_what_scales_by_an_expression_names_what_there_is() -> None:
    for stack in [stack for kind in SERVICES for stack in of_kind(kind)]:
        for policy in stack.resources("aws_appautoscaling_policy"):
            if "predefined_metric_specification" in policy["target_tracking_scaling_policy_configuration"]:
                continue
            found = queries(policy)
            expression = str(found["value"]["expression"])
            assert set(re.findall(r"\b[a-z]\w*\b", expression)) == found.keys() - {"value"}, str(policy)
            assert [name for name, query in found.items() if query["return_data"]] == ["value"], str(policy)


@pytest.mark.parametrize("kind", SERVICES)
def test_tasks_come_soon_and_go_late(kind: str) -> None:
    for stack in of_kind(kind):
        for policy in stack.resources("aws_appautoscaling_policy"):
            configuration = policy["target_tracking_scaling_policy_configuration"]
            assert configuration["scale_out_cooldown"] <= 60 <= 300 <= configuration["scale_in_cooldown"], str(policy)
            assert configuration["target_value"] > 0, str(policy)
        assert any(policy.name == "cpu_scaling" for policy in stack.resources("aws_appautoscaling_policy")), str(stack)
