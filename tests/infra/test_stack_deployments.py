"""How a new image takes over: order-api blue and green, workers and feature environments by rolling."""

from collections.abc import Callable

import pytest

from infra.alarms import API_ROLLBACK, NOTIFIER_ROLLBACK, PROCESSOR_ROLLBACK
from infra.environments import PROD, Deployment, Strategy
from tests.infra.synthesis import Resource, Stack, every, none, of_kind, stack_of

ADVANCED = "advanced_configuration"


def services(kind: str = "") -> list[Resource]:
    return every("aws_ecs_service", where=lambda stack: kind in {"", stack.kind})


def shifts_traffic(stack: Stack) -> bool:
    return stack.kind == "order-api" and stack.environment.deployment.shifts_traffic


def is_rolling_api(stack: Stack) -> bool:
    return stack.kind == "order-api" and not shifts_traffic(stack)


def target_groups(stack: Stack) -> list[str]:
    return [f"${{{group.address}.arn}}" for group in stack.resources("aws_lb_target_group")]


def test_each_choice_is_there() -> None:
    strategies = {stack.environment.deployment.strategy for stack in of_kind("order-api")}
    assert strategies == set(Strategy)
    assert PROD.deployment.strategy is Strategy.CANARY
    assert {stack.environment.name[:5] for stack in of_kind("order-api", where=is_rolling_api)} == {"feat-"}


STEPS: dict[Strategy, Callable[[Deployment], dict[str, object]]] = {
    Strategy.BLUE_GREEN: lambda _: {},
    Strategy.CANARY: lambda deployment: {
        "canary_configuration": {
            "canary_percent": deployment.step_percent,
            "canary_bake_time_in_minutes": str(deployment.step_minutes),
        }
    },
    Strategy.LINEAR: lambda deployment: {
        "linear_configuration": {
            "step_percent": deployment.step_percent,
            "step_bake_time_in_minutes": str(deployment.step_minutes),
        }
    },
}


def test_a_step_of_traffic_lasts_until_the_slowest_alarm_could_be_on() -> None:
    slowest = max(alarm.minutes for alarm in API_ROLLBACK)
    none(
        f"{stack}: {stack.environment.deployment.step_minutes} of {slowest} minutes"
        for stack in of_kind("order-api", where=shifts_traffic)
        if stack.environment.deployment.step_minutes < slowest
    )


def test_the_new_fleet_waits_for_a_word_and_goes_without_one() -> None:
    for service in every("aws_ecs_service", where=shifts_traffic):
        deployment = service.stack.environment.deployment
        assert service["deployment_configuration"] == {
            "strategy": deployment.strategy,
            **STEPS[deployment.strategy](deployment),
            "bake_time_in_minutes": str(deployment.bake_minutes),
            "lifecycle_hook": [
                {
                    "target_type": "PAUSE",
                    "lifecycle_stages": ["POST_TEST_TRAFFIC_SHIFT"],
                    "timeout_configuration": {
                        "timeout_in_minutes": str(deployment.pause_minutes),
                        "action": "ROLLBACK",
                    },
                }
            ],
        }, str(service)


def test_blue_green_knows_both_groups_both_rules_and_who_moves_the_traffic() -> None:
    for service in every("aws_ecs_service", where=shifts_traffic):
        (target,) = service["load_balancer"]
        blue, green = target_groups(service.stack)
        assert target["target_group_arn"] == blue, str(service)
        assert target[ADVANCED] == {
            "alternate_target_group_arn": green,
            "production_listener_rule": "${aws_lb_listener_rule.production_rule.arn}",
            "test_listener_rule": "${aws_lb_listener_rule.test_rule.arn}",
            "role_arn": "${aws_iam_role.order_api_infrastructure_role.arn}",
        }, str(service)


def test_both_rules_forward_to_both_groups_and_ecs_keeps_the_weights() -> None:
    for stack in of_kind("order-api", where=shifts_traffic):
        rules = stack.resources("aws_lb_listener_rule")
        assert {rule.name for rule in rules} == {"production_rule", "test_rule"}, str(stack)
        for rule in rules:
            (action,) = rule["action"]
            weights = {group["arn"]: group["weight"] for group in action["forward"]["target_group"]}
            assert action["type"] == "forward", str(rule)
            assert list(weights) == target_groups(stack), str(rule)
            assert sorted(weights.values()) == [0, 100], str(rule)
            assert rule["lifecycle"]["ignore_changes"] == ["action"], str(rule)


def test_each_rule_is_on_its_listener() -> None:
    listeners = {"production_rule": "https_listener_arn", "test_rule": "test_listener_arn"}
    none(
        f"{rule}: {rule['listener_arn']}"
        for rule in every("aws_lb_listener_rule")
        if not rule["listener_arn"].endswith(f".outputs.{listeners[rule.name]}}}")
    )


def test_a_rolling_api_has_one_group_and_one_rule() -> None:
    for stack in of_kind("order-api", where=is_rolling_api):
        service = stack.one("aws_ecs_service")
        (group,) = target_groups(stack)
        assert service["deployment_configuration"]["strategy"] == "ROLLING", str(stack)
        assert service["deployment_circuit_breaker"] == {"enable": True, "rollback": True}, str(stack)
        assert [(target["target_group_arn"], target.get(ADVANCED)) for target in service["load_balancer"]] == [
            (group, None)
        ]
        assert stack.one("aws_lb_listener_rule").name == "production_rule", str(stack)


def test_groups_take_tasks_by_address_when_they_are_ready() -> None:
    for group in every("aws_lb_target_group"):
        check = group["health_check"]
        assert (group["target_type"], group["port"], group["protocol"]) == ("ip", 8080, "HTTP"), str(group)
        assert check["path"] == "/serving", str(group)
        assert (check["interval"], check["healthy_threshold"], check["unhealthy_threshold"]) == (5, 2, 2), str(group)
        assert check["matcher"] == "200", str(group)
        assert check["timeout"] < check["interval"], str(group)


@pytest.mark.parametrize("kind", ["order-processor", "order-notifier"])
def test_a_worker_rolls_with_a_breaker_and_serves_no_traffic(kind: str) -> None:
    for service in services(kind):
        assert service["deployment_configuration"]["strategy"] == "ROLLING", str(service)
        assert service["deployment_circuit_breaker"] == {"enable": True, "rollback": True}, str(service)
        assert "load_balancer" not in service.body, str(service)
        assert "health_check_grace_period_seconds" not in service.body, str(service)


ROLLBACK = {"order-api": API_ROLLBACK, "order-processor": PROCESSOR_ROLLBACK, "order-notifier": NOTIFIER_ROLLBACK}
ALARMS = {
    "order-api": {"api_errors", "api_latency"},
    "order-processor": {"dead_letters", "failed_handlings", "failures", "payments_refused", "queue_age"},
    "order-notifier": {"notifier_dead_letters", "notifier_failures", "notifier_queue_age"},
}
OF_SUPPORTING = {
    "order-processor": "processor_rollback_alarm_names",
    "order-notifier": "notifier_rollback_alarm_names",
}
"""The output of the supporting stack that names the alarms of a service."""


@pytest.mark.parametrize("kind", ALARMS)
def test_alarms_roll_back(kind: str) -> None:
    assert {alarm.label for alarm in ROLLBACK[kind]} == ALARMS[kind]
    expected = {f"${{aws_cloudwatch_metric_alarm.{label}_alarm.alarm_name}}" for label in ALARMS[kind]}
    for service in services(kind):
        alarms, stack = service["alarms"], service.stack
        assert (alarms["enable"], alarms["rollback"]) == (True, True), str(service)
        names = alarms["alarm_names"]
        if output := OF_SUPPORTING.get(kind):
            assert names.endswith(f".outputs.{output}}}"), str(service)
            names = stack_of(stack.variant, "supporting", stack.region).outputs[output]
        assert set(names) == expected, str(service)


@pytest.mark.parametrize("kind", ROLLBACK)
def test_a_deployment_bakes_until_its_slowest_alarm_could_be_on(kind: str) -> None:
    """An alarm that comes on after the bake rolls nothing back."""
    slowest = max(ROLLBACK[kind], key=lambda alarm: alarm.minutes)
    none(
        f"{service}: {slowest.name} needs {slowest.minutes} minutes"
        for service in services(kind)
        if int(service["deployment_configuration"]["bake_time_in_minutes"]) < slowest.minutes
    )


def test_no_deployment_leaves_fewer_tasks_than_there_were() -> None:
    none(
        f"{service}: {service['deployment_minimum_healthy_percent']} to {service['deployment_maximum_percent']}"
        for service in services()
        if (service["deployment_minimum_healthy_percent"], service["deployment_maximum_percent"]) != (100, 200)
    )


def test_zones_are_rebalanced() -> None:
    none(str(service) for service in services() if service.get("availability_zone_rebalancing") != "ENABLED")


def test_terraform_leaves_the_count_to_autoscaling() -> None:
    none(str(service) for service in services() if service["lifecycle"] != {"ignore_changes": ["desired_count"]})


def test_tasks_are_private_and_spread_over_the_zones() -> None:
    for service in services():
        network = service["network_configuration"]
        assert network["assign_public_ip"] is False, str(service)
        assert network["security_groups"] == ["${aws_security_group.security_group.id}"], str(service)
        assert network["subnets"].endswith(".outputs.private_subnet_ids}"), str(service)


def test_shells_are_where_the_environment_has_them() -> None:
    none(
        f"{service}: {service['enable_execute_command']}"
        for service in services()
        if service["enable_execute_command"] is not service.stack.environment.exec
    )
    assert PROD.exec is False


def test_a_service_is_named_for_its_environment_where_the_cluster_is_shared() -> None:
    for service in services():
        stack = service.stack
        expected = f"{stack.environment.name}-{stack.kind}" if stack.environment.is_feature else stack.kind
        assert service["name"] == expected, str(service)
        scaled = stack.one("aws_appautoscaling_target")["resource_id"]
        assert scaled.endswith(f".outputs.cluster_name}}/{expected}"), str(service)
