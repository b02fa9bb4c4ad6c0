"""Checks that AWS and its provider accept every value that the stacks set, without an account.

`values.py` finds the values. They are checked against CloudFormation's schemas (`schemas.py`, `mapping.py`), what AWS's
pages say beyond them (`aws_facts.py`), botocore's models of the API calls (`calls.py`), AWS's fixed quotas and names
(`quotas.py`), and what the provider demands (`provider_facts.py`).
"""

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.infra.aws import calls
from tests.infra.aws.aws_facts import AWS_FACTS
from tests.infra.aws.mapping import PROPERTIES, TYPES, UNCOVERED
from tests.infra.aws.provider_facts import PROVIDER_FACTS, RELATIONS
from tests.infra.aws.quotas import NAMES, QUOTAS, RULES_PER_BALANCER, Quota
from tests.infra.aws.relations import fault_of_relation
from tests.infra.aws.rules import Fact, reference
from tests.infra.aws.schemas import count_fault_of, fault_of, properties_of
from tests.infra.aws.values import Value, counts, values
from tests.infra.synthesis import Resource, every, none, stacks

Facts = dict[str, dict[str, Fact]]


def kinds() -> set[str]:
    return {value.kind for value in values()}


def rows(table: Facts) -> set[tuple[str, str]]:
    return {(kind, argument) for kind, facts in table.items() for argument in facts}


def faults(table: Facts, checked: tuple[Value, ...]) -> Iterator[str]:
    """Yield what a table has against values. A reference is checked only where nothing else is allowed."""
    for value in checked:
        fact = table.get(value.kind, {}).get(value.argument)
        if fact is None or not (value.is_known or fact.rule is reference):
            continue
        fault = fact.rule(value.value)
        if fault:
            yield f"{value}: {fault} ({fact.source})"


def distinct() -> Iterator[Resource]:
    """Yield the resources that differ in more than their stack."""
    seen: set[str] = set()
    for stack in stacks():
        for resource in stack.resources():
            text = resource.kind + json.dumps({name: part for name, part in resource.body.items() if name != "//"})
            if text not in seen:
                seen.add(text)
                yield resource


class TestCoverage:
    def test_every_type_has_a_schema_or_a_reason(self) -> None:
        assert kinds() == TYPES.keys() | UNCOVERED.keys()
        assert not TYPES.keys() & UNCOVERED.keys()

    def test_every_argument_has_a_property_or_a_row(self) -> None:
        known = rows(AWS_FACTS) | rows(PROVIDER_FACTS)
        none(
            f"{value.resource}: {value.argument} has neither a property in mapping.py nor a row in a table of facts"
            for value in values()
            if not properties_of(value) and (value.kind, value.argument) not in known
        )

    def test_no_row_is_left_over(self) -> None:
        found = {(value.kind, value.argument) for value in values()}
        for table in (AWS_FACTS, PROVIDER_FACTS, NAMES):
            assert not rows(table) - found
        blocks = {
            (value.kind, ".".join(value.path[:length])) for value in values() for length in range(len(value.path) + 1)
        }
        assert not {(kind, path) for kind, paths in PROPERTIES.items() for path in paths} - blocks

    def test_every_source_is_named(self) -> None:
        for table in (AWS_FACTS, NAMES):
            none(
                f"{kind}: {argument} names no page"
                for kind, facts in table.items()
                for argument, fact in facts.items()
                if not fact.source.startswith("https://docs.aws.amazon.com/")
            )
        assert all(quota.page.startswith("https://docs.aws.amazon.com/") for quota in QUOTAS)


class TestCloudFormation:
    def test_its_schemas_accept_every_value(self) -> None:
        none(f"{value}: {fault}" for value in values() if (fault := fault_of(value)))

    def test_its_schemas_accept_the_length_of_every_list(self) -> None:
        none(f"{count}: {fault}" for count in counts() if (fault := count_fault_of(count)))


class TestAws:
    def test_it_accepts_every_value(self) -> None:
        none(faults(AWS_FACTS, values()))

    def test_it_accepts_every_name(self) -> None:
        none(faults(NAMES, values()))

    @pytest.mark.parametrize("quota", QUOTAS, ids=lambda quota: f"{quota.kind}-{quota.what}".replace(" ", "-"))
    def test_its_quotas_hold(self, quota: Quota) -> None:
        none(
            f"{resource}: {number} {quota.what}, at most {quota.most} ({quota.page})"
            for resource in every(quota.kind)
            if (number := quota.count(resource)) > quota.most
        )

    def test_a_load_balancer_has_room_for_the_rules_of_its_listeners(self) -> None:
        listeners = ((rule.stack.variant, rule["listener_arn"]) for rule in every("aws_lb_listener_rule"))
        balancers = Counter((variant, listener.rpartition(".outputs.")[0]) for variant, listener in listeners)
        assert max(balancers.values()) <= RULES_PER_BALANCER

    def test_the_models_of_its_apis_accept_every_call(self) -> None:
        none(
            f"{resource}: {fault}"
            for resource in distinct()
            if resource.kind in calls.CALLS
            for fault in calls.faults_of(resource)
        )


class TestProvider:
    def test_it_accepts_every_value(self) -> None:
        none(faults(PROVIDER_FACTS, values()))

    def test_it_accepts_the_arguments_together(self) -> None:
        none(
            f"{resource}: {fault} ({relation.source})"
            for relation in RELATIONS
            for resource in every(relation.kind)
            for fault in fault_of_relation(relation, resource)
        )


class TestTheChecksThemselves:
    """Each check refuses a wrong value, so that none of them passes because it looks at nothing."""

    APOSTROPHE = Value("aws_security_group", ("description",), "The API's port", "example")
    CONTENT_TYPE = Value(
        "aws_lb_listener", ("default_action", "fixed_response", "content_type"), "application/problem+json", "example"
    )

    def test_the_schema_refuses_an_apostrophe_in_a_group(self) -> None:
        assert "does not match" in (fault_of(self.APOSTROPHE) or "")

    def test_ec2_refuses_an_apostrophe_in_a_rule(self) -> None:
        rule = Value("aws_vpc_security_group_ingress_rule", ("description",), "The API's port", "example")
        assert len([*faults(AWS_FACTS, (self.APOSTROPHE, rule))]) == 2

    def test_the_provider_refuses_a_content_type_that_it_does_not_know(self) -> None:
        assert [*faults(PROVIDER_FACTS, (self.CONTENT_TYPE,))]

    @pytest.mark.parametrize(
        ("kind", "path", "value"),
        [
            ("aws_kms_key", ("deletion_window_in_days",), 31),
            ("aws_cloudwatch_log_group", ("retention_in_days",), 15),
            ("aws_ecs_service", ("deployment_configuration", "strategy"), "PURPLE"),
            ("aws_lb_target_group", ("port",), 70_000),
        ],
    )
    def test_the_schemas_refuse(self, kind: str, path: tuple[str, ...], value: str | int) -> None:
        assert fault_of(Value(kind, path, value, "example"))

    def test_an_argument_that_nothing_knows_has_no_property(self) -> None:
        assert not properties_of(Value("aws_lb", ("colour",), "blue", "example"))

    def test_the_models_refuse(self) -> None:
        alarm = every("aws_cloudwatch_metric_alarm")[0]
        body = {**alarm.body, "comparison_operator": "Above", "evaluation_periods": 0, "colour": "red"}
        found = " ".join(calls.faults_of(Resource(alarm.stack, alarm.kind, alarm.name, body)))
        assert "ComparisonOperator is 'Above'" in found
        assert "EvaluationPeriods is 0" in found
        assert "no member for colour" in found
