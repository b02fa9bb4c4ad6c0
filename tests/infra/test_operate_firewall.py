"""Rules of the live web ACL that are not the code's: `plan` names them, since Terraform does not read them back."""

import copy
import json
from typing import Any

import pytest

from infra.operate.firewall import firewall_drift
from infra.stacks import ACCOUNT, REGISTRY, SUPPORTING, Stack
from tests.infra.conftest import HOME, Desk
from tests.infra.synthesis import folder_of, stack_of

Json = dict[str, Any]
VISIBLE = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": True, "MetricName": "prod-orders"}


@pytest.fixture
def rules() -> list[Json]:
    found: list[Json] = json.loads(stack_of("prod", "supporting").one("aws_wafv2_web_acl")["rule_json"])
    return found


def live(desk: Desk, rules: list[Json]) -> Any:
    """Return a client of an account whose web ACL has these rules."""
    wafv2 = desk.client("wafv2")
    wafv2.create_web_acl(
        Name="prod-orders", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=VISIBLE, Rules=rules
    )
    return wafv2


def drift(wafv2: Any) -> list[str]:
    return sorted(firewall_drift(wafv2, folder_of(stack_of("prod", "supporting"))))


def test_rules_as_the_code_has_them_are_none(desk: Desk, rules: list[Json]) -> None:
    """Row 2. AWS adds its defaults to what it was sent."""
    rules[0]["Statement"]["RateBasedStatement"]["EvaluationWindowSec"] = 300
    assert drift(live(desk, rules)) == []


def test_a_rule_that_somebody_changed_is_named(desk: Desk, rules: list[Json]) -> None:
    """Row 2."""
    changed = copy.deepcopy(rules)
    changed[0]["Statement"]["RateBasedStatement"]["Limit"] = 2_000_000
    assert drift(live(desk, changed)) == ["prod-orders: the rule rate differs from the code"]


def test_a_rule_that_only_counts_is_named(desk: Desk, rules: list[Json]) -> None:
    rules[1]["OverrideAction"] = {"Count": {}}
    assert drift(live(desk, rules)) == [f"prod-orders: the rule {rules[1]['Name']} differs from the code"]


def test_a_rule_more_and_a_rule_less_are_named(desk: Desk, rules: list[Json]) -> None:
    rules[0]["Name"] = "other"
    assert drift(live(desk, rules)) == [
        "prod-orders: the rule other is not in the code",
        "prod-orders: the rule rate is missing",
    ]


def test_without_a_firewall_there_is_no_drift(desk: Desk) -> None:
    wafv2 = desk.client("wafv2")
    assert drift(wafv2) == []
    assert firewall_drift(wafv2, folder_of(stack_of("dev", "supporting"))) == []


def test_plan_names_it(desk: Desk, rules: list[Json]) -> None:
    live(desk, rules[1:])
    desk.stand(Stack(owner=ACCOUNT, region=HOME, kind=REGISTRY), Stack(owner="prod", region=HOME, kind=SUPPORTING))
    acl = {"name": "prod-orders", "rule_json": json.dumps(rules)}
    desk.make_up_with(Stack(owner="prod", region=HOME, kind=SUPPORTING), {"aws_wafv2_web_acl": {"web_acl": acl}})
    result = desk.run("plan", "--env", "prod", "--only", "supporting")
    assert "prod-orders: the rule rate is missing" in result.stderr, result.output
