"""Tables and queues are those of `order_shared.tables`, as every environment is to keep them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra.environments import OnDemand, Provisioned
from order_shared.tables import (
    INVENTORY,
    OPERATIONS,
    TABLES,
    Index,
    Key,
    Queue,
    Table,
    order_changes,
    order_queue,
)
from tests.infra.synthesis import Resource, Stack, every, none, of_kind

RECOVERY_DAYS = 35  # DynamoDB's maximum


def has_tables(stack: Stack) -> bool:
    return stack.kind == "supporting" and stack.region == stack.environment.regions[0]


def tables() -> list[Resource]:
    return every("aws_dynamodb_table")


def typed_keys(table: Table) -> set[tuple[str, str]]:
    keys = [table.hash_key, table.range_key]
    keys += [key for index in table.indexes for key in (index.hash_key, index.range_key)]
    return {(key.name, key.type.value) for key in keys if key is not None}


def named(key: Key | None) -> str | None:
    return key.name if key else None


def expected_index(index: Index) -> dict[str, Any]:
    projection = {"projection_type": "INCLUDE", "non_key_attributes": list(index.include)} if index.include else {}
    keys = {"hash_key": index.hash_key.name, "range_key": named(index.range_key)}
    return {"name": index.name, "projection_type": "KEYS_ONLY", **projection, **keys}


def is_as(table: Table, resource: Resource) -> bool:
    ttl = {"attribute_name": table.ttl_attribute, "enabled": True} if table.ttl_attribute else None
    capacity = {"read_capacity", "write_capacity"}
    indexes = [
        {"range_key": None, **{name: value for name, value in index.items() if name not in capacity}}
        for index in resource["global_secondary_index"]
    ]
    return (
        resource["name"] == resource.stack.environment.table_prefix + table.name
        and resource["hash_key"] == table.hash_key.name
        and resource.get("range_key") == named(table.range_key)
        and {(each["name"], each["type"]) for each in resource["attribute"]} == typed_keys(table)
        and resource.get("ttl") == ttl
        and indexes == [expected_index(index) for index in table.indexes]
        and not resource.get("local_secondary_index")
    )


def test_a_region_of_tables_has_each_table_once() -> None:
    expected = {f"{table.name}_table" for table in TABLES}
    for stack in of_kind("supporting"):
        found = {table.name for table in stack.resources("aws_dynamodb_table")}
        assert found == (expected if has_tables(stack) else set()), str(stack)


def test_tables_are_the_shared_ones() -> None:
    shared = {f"{table.name}_table": table for table in TABLES}
    none(
        f"{resource}: is not order_shared.tables'"
        for resource in tables()
        if not is_as(shared[resource.name], resource)
    )


def test_tables_can_be_recovered() -> None:
    none(
        f"{table}: {table.get('point_in_time_recovery')}"
        for table in tables()
        if table.get("point_in_time_recovery") != {"enabled": True, "recovery_period_in_days": RECOVERY_DAYS}
    )


def test_protected_tables_refuse_to_go() -> None:
    none(
        f"{table}: {table.get('lifecycle')}"
        for table in tables()
        if table["deletion_protection_enabled"] is not table.stack.environment.protected
        or table["lifecycle"]["prevent_destroy"] is not table.stack.environment.protected
    )


def test_on_demand() -> None:
    for table in tables():
        billing = table.stack.environment.billing
        if isinstance(billing, OnDemand):
            assert table["billing_mode"] == "PAY_PER_REQUEST", str(table)
            assert "read_capacity" not in table.body, str(table)
            assert not table.stack.resources("aws_appautoscaling_target"), str(table)


def test_provisioned_is_scaled_both_ways_for_each_table_and_index() -> None:
    for stack in of_kind("supporting", where=lambda stack: isinstance(stack.environment.billing, Provisioned)):
        billing = stack.environment.billing
        assert isinstance(billing, Provisioned)
        targets = {
            (target["resource_id"], target["scalable_dimension"]): (target["min_capacity"], target["max_capacity"])
            for target in stack.resources("aws_appautoscaling_target")
        }
        assert targets == dict.fromkeys(scalable(), (billing.minimum, billing.maximum)), str(stack)
        policies = {
            (policy["resource_id"].split(".")[1], metric_of(policy))
            for policy in stack.resources("aws_appautoscaling_policy")
            if policy["target_tracking_scaling_policy_configuration"]["target_value"] == billing.utilization
        }
        expected = {
            (target.name, f"DynamoDB{'Read' if 'Read' in target['scalable_dimension'] else 'Write'}CapacityUtilization")
            for target in stack.resources("aws_appautoscaling_target")
        }
        assert policies == expected, str(stack)


def scalable() -> Iterator[tuple[str, str]]:
    for table in TABLES:
        path = f"table/${{aws_dynamodb_table.{table.name}_table.name}}"
        for way in ("Read", "Write"):
            yield path, f"dynamodb:table:{way}CapacityUnits"
            for index in table.indexes:
                yield f"{path}/index/{index.name}", f"dynamodb:index:{way}CapacityUnits"


def metric_of(policy: Resource) -> str:
    configuration = policy["target_tracking_scaling_policy_configuration"]
    return str(configuration["predefined_metric_specification"]["predefined_metric_type"])


def test_autoscaling_and_terraform_do_not_fight() -> None:
    for table in tables():
        billing = table.stack.environment.billing
        if isinstance(billing, Provisioned):
            assert table["billing_mode"] == "PROVISIONED", str(table)
            # An index's capacity is part of the index: Terraform can only ignore both.
            ignored = {"read_capacity", "write_capacity", "global_secondary_index"}
            assert set(table["lifecycle"]["ignore_changes"]) == ignored, str(table)
            for each in (table.body, *table["global_secondary_index"]):
                assert (each["read_capacity"], each["write_capacity"]) == (billing.minimum,) * 2, str(table)


QUEUES: dict[str, Callable[[str], Queue]] = {
    "": order_queue,
    "changes_": lambda prefix: order_changes(prefix).queue,
}
"""The queues by what the names of their resources begin with."""


@pytest.mark.parametrize("label", QUEUES)
def test_queues_are_the_shared_ones(label: str) -> None:
    for stack in of_kind("supporting"):
        shared = QUEUES[label](stack.environment.table_prefix)
        work, dead = (stack.the(f"aws_sqs_queue.{label}{name}") for name in ("queue", "dead_letter_queue"))
        assert len(stack.resources("aws_sqs_queue")) == 2 * len(QUEUES), str(stack)
        assert (work["name"], dead["name"]) == (shared.name, shared.dead_letter_name), str(stack)
        for queue in (work, dead):
            assert queue["message_retention_seconds"] == shared.retention_seconds, str(queue)
            assert not queue.get("fifo_queue"), str(queue)
        assert json.loads(work["redrive_policy"]) == {
            "deadLetterTargetArn": f"${{{dead.address}.arn}}",
            "maxReceiveCount": shared.max_receive_count,
        }, str(work)


def test_only_the_work_queue_redrives_to_dead_letters() -> None:
    for policy in every("aws_sqs_queue_redrive_allow_policy"):
        label = policy.name.removesuffix("dead_letter_queue_sources")
        assert policy["queue_url"] == f"${{aws_sqs_queue.{label}dead_letter_queue.url}}", str(policy)
        assert json.loads(policy["redrive_allow_policy"]) == {
            "redrivePermission": "byQueue",
            "sourceQueueArns": [f"${{aws_sqs_queue.{label}queue.arn}}"],
        }, str(policy)


def test_only_a_protected_environments_secrets_outlive_it() -> None:
    for secret in every("aws_secretsmanager_secret"):
        environment = secret.stack.environment
        assert secret["name"].startswith(f"{environment.name}/"), str(secret)
        assert secret["recovery_window_in_days"] == (30 if environment.protected else 0), str(secret)


def test_the_shared_tables_try_every_case() -> None:
    """Those above compare something: there are tables with indexes, and one without a range key."""
    assert INVENTORY.indexes
    assert OPERATIONS.range_key is not None
    assert any(table.range_key is None and table.ttl_attribute for table in TABLES)
