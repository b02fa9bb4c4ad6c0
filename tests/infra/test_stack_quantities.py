"""What `infra/quantities.py` counts for the month's bill is what the stacks hold."""

import json

from infra import quantities as q
from infra.environments import Provisioned
from tests.infra.synthesis import Stack, every, of_kind, stack_of


def supporting() -> list[Stack]:
    return of_kind("supporting")


def with_network() -> list[Stack]:
    return [stack for stack in supporting() if not stack.environment.is_feature]


def test_endpoints() -> None:
    for stack in with_network():
        found = [each for each in stack.resources("aws_vpc_endpoint") if each["vpc_endpoint_type"] == "Interface"]
        assert len(found) == len(stack.environment.endpoint_services), str(stack)


def test_keys() -> None:
    """Those of the environment, and that of the account's images."""
    for stack in with_network():
        registry = stack_of(stack.variant, "registry", stack.region)
        assert sum(len(each.resources("aws_kms_key")) for each in (stack, registry)) == q.KEYS, str(stack)


def test_secrets() -> None:
    for stack in supporting():
        assert len(stack.resources("aws_secretsmanager_secret")) == q.SECRETS, str(stack)


def test_metrics_of_alarms() -> None:
    """Of an environment in a region; the API's too, which are more with two fleets."""
    for stack in supporting():
        api = stack_of(stack.variant, "order-api", stack.region)
        found = sum(
            "metric" in query
            for each in (stack, api)
            for alarm in each.resources("aws_cloudwatch_metric_alarm")
            for query in alarm["metric_query"]
        )
        fleets = len(api.resources("aws_lb_target_group"))
        silence = any(alarm.name == "no_orders_alarm" for alarm in stack.resources("aws_cloudwatch_metric_alarm"))
        home = q.HOME_ALARM_METRICS * (stack.region == stack.environment.home)
        assert found == q.ALARM_METRICS + home + q.GREEN_ALARM_METRICS * (fleets - 1) + silence, str(stack)


def test_custom_metrics() -> None:
    for stack in supporting():
        assert len(stack.resources("aws_cloudwatch_log_metric_filter")) == q.CUSTOM_METRICS, str(stack)


def test_firewall_rules() -> None:
    for acl in every("aws_wafv2_web_acl"):
        assert len(json.loads(acl["rule_json"])) == q.FIREWALL_RULES, str(acl)


def test_volumes() -> None:
    for template in every("aws_launch_template"):
        sizes = [device["ebs"]["volume_size"] for device in template["block_device_mappings"]]
        assert sizes == [q.VOLUME_GB], str(template)


def test_dashboards() -> None:
    """One of each environment but a feature's."""
    for stack in with_network():
        assert len(stack.resources("aws_cloudwatch_dashboard")) == 1, str(stack)


def test_policies_that_make_alarms_of_their_own() -> None:
    """AWS makes them for each policy: two that track a metric of a service."""
    for kind in ("order-api", "order-processor", "order-notifier"):
        for stack in of_kind(kind):
            assert len(stack.resources("aws_appautoscaling_policy")) * 2 == q.SCALING_ALARMS, str(stack)


def test_scaled_capacity() -> None:
    for stack in supporting():
        scaled = {target["resource_id"] for target in stack.resources("aws_appautoscaling_target")}
        tables = stack.resources("aws_dynamodb_table")
        every_one = len(tables) + sum(len(table["global_secondary_index"]) for table in tables)
        assert len(scaled) == (every_one if isinstance(stack.environment.billing, Provisioned) else 0), str(stack)
