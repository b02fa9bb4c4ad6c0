"""Two regions: one writes, the other holds replicas and stands by."""

import pytest

from infra.environments import PROD
from infra.stacks import stacks_of
from tests.infra.synthesis import FAILED_OVER, TWO_REGIONS, every, none, stack_of, stacks

FIRST, SECOND = "eu-central-1", "eu-west-1"
HOME = {TWO_REGIONS: FIRST, FAILED_OVER: SECOND}
VARIANTS = pytest.mark.parametrize("variant", HOME)
WORKERS = pytest.mark.parametrize("kind", ["order-processor", "order-notifier"])


def stand_by(variant: str) -> str:
    return SECOND if HOME[variant] == FIRST else FIRST


@VARIANTS
def test_each_region_has_every_stack(variant: str) -> None:
    kinds = {"registry", "supporting", "order-api", "order-processor", "order-notifier"}
    found = {(stack.kind, stack.region) for stack in stacks() if stack.variant == variant}
    assert found == {(kind, region) for kind in kinds for region in (FIRST, SECOND)}


@VARIANTS
def test_the_first_regions_tables_have_replicas_under_the_other_regions_key(variant: str) -> None:
    """A fail-over moves no table: the first region goes on to own them."""
    for table in stack_of(variant, "supporting", FIRST).resources("aws_dynamodb_table"):
        (replica,) = table["replica"]
        assert replica["region_name"] == SECOND, str(table)
        key = f"${{data.terraform_remote_state.state_prod_supporting_{SECOND.replace('-', '_')}.outputs.data_key_arn}}"
        assert replica["kms_key_arn"] == key, str(table)
        assert replica["point_in_time_recovery"] is True, str(table)
        assert replica["deletion_protection_enabled"] is True, str(table)
        assert replica["propagate_tags"] is True, str(table)
        assert (table["stream_enabled"], table["stream_view_type"]) == (True, "NEW_AND_OLD_IMAGES"), str(table)


def test_without_more_regions_there_are_no_replicas() -> None:
    none(
        str(table)
        for table in every("aws_dynamodb_table")
        if table["replica"] and len(table.stack.environment.regions) == 1
    )


@WORKERS
@VARIANTS
def test_no_worker_runs_where_nobody_writes(variant: str, kind: str) -> None:
    stack = stack_of(variant, kind, stand_by(variant))
    scaling = stack.one("aws_appautoscaling_target")
    assert stack.one("aws_ecs_service")["desired_count"] == 0
    assert (scaling["min_capacity"], scaling["max_capacity"]) == (0, 0)


@WORKERS
@VARIANTS
def test_workers_run_where_orders_are_written(variant: str, kind: str) -> None:
    size = {"order-processor": PROD.processor, "order-notifier": PROD.notifier}[kind]
    stack = stack_of(variant, kind, HOME[variant])
    scaling = stack.one("aws_appautoscaling_target")
    assert stack.one("aws_ecs_service")["desired_count"] == size.minimum
    assert (scaling["min_capacity"], scaling["max_capacity"]) == (size.minimum, size.maximum)


@VARIANTS
def test_the_api_reads_in_both(variant: str) -> None:
    for region in (FIRST, SECOND):
        assert stack_of(variant, "order-api", region).one("aws_ecs_service")["desired_count"] == PROD.api.minimum


@VARIANTS
def test_silence_alarms_only_where_orders_are_written(variant: str) -> None:
    for region in (FIRST, SECOND):
        alarms = stack_of(variant, "supporting", region).resources("aws_cloudwatch_metric_alarm")
        silent = {alarm.name for alarm in alarms if alarm["treat_missing_data"] == "missing"}
        assert silent == (
            {"no_processor_alarm", "no_notifier_alarm", "no_orders_alarm"} if region == HOME[variant] else set()
        ), region


@VARIANTS
def test_customers_go_to_the_region_that_writes(variant: str) -> None:
    for region in (FIRST, SECOND):
        record = stack_of(variant, "supporting", region).the("aws_route53_record.record")
        assert record["set_identifier"] == region
        assert record["weighted_routing_policy"] == {"weight": 100 if region == HOME[variant] else 0}
        assert record["alias"]["evaluate_target_health"] is False


def test_a_record_has_a_weight_in_one_region_too() -> None:
    """A simple record and a weighted one of the same name refuse each other: a second region could not be added."""
    none(
        f"{record}: {record.get('set_identifier')} {record.get('weighted_routing_policy')}"
        for record in every("aws_route53_record", where=lambda stack: len(stack.environment.regions) == 1)
        if record.name == "record"
        and (record["set_identifier"], record["weighted_routing_policy"]) != (record.stack.region, {"weight": 100})
    )


@VARIANTS
def test_no_region_waits_for_a_proof_that_a_later_one_writes(variant: str) -> None:
    """A certificate is issued once its proof stands: the stack that waits writes it, or one that is deployed before."""
    written: set[str] = set()
    for place in stacks_of(stack_of(variant, "supporting", FIRST).environment):
        stack = stack_of(variant, place.kind, place.region)
        proofs = [each for each in stack.resources("aws_route53_record") if each.name == "certificate_proof"]
        domains = {each["domain_name"] for each in stack.resources("aws_acm_certificate")}
        written |= domains if proofs else set()
        assert domains <= written, str(stack)


def test_each_region_may_write_the_same_proof() -> None:
    none(
        str(record)
        for record in every("aws_route53_record")
        if record.name == "certificate_proof" and record.get("allow_overwrite") is not True
    )


@VARIANTS
def test_the_account_has_each_boundary_once(variant: str) -> None:
    """IAM has no regions: a second boundary of the same name, or a second identity provider, would be refused."""
    expected = {
        "aws_iam_policy": ["boundary", "feature_boundary"],
        "aws_iam_openid_connect_provider": ["github"],
    }
    for kind, names in expected.items():
        found = sorted((each.name, each.stack.region) for each in every(kind) if each.stack.variant == variant)
        assert found == [(name, FIRST) for name in names], kind
