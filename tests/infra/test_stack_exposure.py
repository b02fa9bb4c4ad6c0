"""What of the API the internet reaches, and how the load balancer learns which tasks serve."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from order_api.dependencies import PUBLIC as WITHOUT_TOKEN
from tests.infra.containers import containers
from tests.infra.synthesis import Json, Resource, every, none, of_kind

# Source: Elastic Load Balancing, "Listener rules for your Application Load Balancer".
MAX_VALUES_OF_A_RULE = 5
MAX_VALUES_OF_A_CONDITION = 3
FIELDS = ("host_header", "path_pattern", "http_header", "http_request_method", "query_string", "source_ip")

FORWARDED = {"/v1/*", "/pages/*"}


def rules() -> list[Resource]:
    return every("aws_lb_listener_rule")


def authenticates(rule: Resource) -> bool:
    return any(action["type"].startswith("authenticate-") for action in rule["action"])


def forwards(actions: list[Json]) -> bool:
    return any(action["type"] == "forward" for action in actions)


def conditions(rule: Resource) -> Iterator[tuple[str, list[str]]]:
    """Field and values of each condition."""
    for condition in rule["condition"]:
        for field in FIELDS:
            if field in condition:
                yield field, condition[field]["values"]


def paths(rule: Resource) -> list[str]:
    return [value for field, values in conditions(rule) if field == "path_pattern" for value in values]


def reaches(rule: Resource, path: str) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in paths(rule))


def test_no_rule_forwards_without_a_path_condition_unless_it_authenticates() -> None:
    none(
        f"{rule}: {rule['condition']}"
        for rule in rules()
        if forwards(rule["action"]) and not authenticates(rule) and set(paths(rule)) != FORWARDED
    )


def test_no_listener_forwards_what_no_rule_takes() -> None:
    none(str(listener) for listener in every("aws_lb_listener") if forwards(listener["default_action"]))


@pytest.mark.parametrize("path", sorted(WITHOUT_TOKEN))
def test_what_asks_for_no_token_is_not_reachable(path: str) -> None:
    none(f"{rule}: {paths(rule)}" for rule in rules() if reaches(rule, path))


def test_customers_reach_the_api_and_its_pages() -> None:
    asked = ("/v1/orders", "/v1/orders/ord_x/cancel", "/pages/api")
    none(f"{rule}: {path}" for rule in rules() for path in asked if not reaches(rule, path))


def test_each_rule_is_of_its_environments_host_only() -> None:
    none(
        f"{rule}: {rule['condition']}"
        for rule in rules()
        if dict(conditions(rule)).get("host_header") != [rule.stack.environment.api_host]
    )


def test_no_rule_has_more_condition_values_than_aws_takes() -> None:
    for rule in rules():
        counts = [len(values) for _, values in conditions(rule)]
        assert sum(counts) <= MAX_VALUES_OF_A_RULE, str(rule)
        assert max(counts) <= MAX_VALUES_OF_A_CONDITION, str(rule)


def test_a_deployment_shifts_exactly_one_production_rule_and_one_test_rule() -> None:
    for stack in of_kind("order-api"):
        expected = {"https_listener_arn": 1}
        if stack.environment.deployment.shifts_traffic:
            expected["test_listener_arn"] = 1
        found: dict[str, int] = {}
        for rule in stack.resources("aws_lb_listener_rule"):
            listener = rule["listener_arn"].rstrip("}").rpartition(".")[2]
            found[listener] = found.get(listener, 0) + forwards(rule["action"])
        assert found == expected, str(stack)


def test_a_lame_duck_outlasts_the_load_balancers_notice() -> None:
    ducks = {
        str(container.task.stack): float(container.settings["ORDER_LAME_DUCK_SECONDS"])
        for container in containers()
        if container.service == "order-api"
    }
    for group in every("aws_lb_target_group"):
        check = group["health_check"]
        notice = check["interval"] * check["unhealthy_threshold"] + check["timeout"]
        assert ducks[str(group.stack)] > notice, str(group)
