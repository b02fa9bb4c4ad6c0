"""The load balancer: HTTPS with a current policy, nothing by default, and a firewall where there is one."""

import json
from typing import Any

from order_api.config import ApiSettings
from tests.infra.synthesis import Resource, Stack, every, none, of_kind

TLS_POLICY = "ELBSecurityPolicy-TLS13-"
API_KEEP_ALIVE_SECONDS = ApiSettings.model_fields["keep_alive_seconds"].default

MANAGED_RULES = {
    "AWSManagedRulesAmazonIpReputationList": [],
    "AWSManagedRulesKnownBadInputsRuleSet": [],
    "AWSManagedRulesCommonRuleSet": ["SizeRestrictions_BODY"],
}
"""Rules of AWS, and which of each only count."""


def has_firewall(stack: Stack) -> bool:
    return stack.environment.waf and not stack.environment.is_feature


def rules(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(stack.one("aws_wafv2_web_acl")["rule_json"])
    return found


def listeners(port: int) -> list[Resource]:
    return [listener for listener in every("aws_lb_listener") if listener["port"] == port]


def test_three_listeners_and_no_other() -> None:
    for balancer in every("aws_lb"):
        ports = {listener["port"]: listener["protocol"] for listener in balancer.stack.resources("aws_lb_listener")}
        assert ports == {80: "HTTP", 443: "HTTPS", 8443: "HTTPS"}, str(balancer)


def test_http_is_only_redirected() -> None:
    for listener in listeners(80):
        assert listener["default_action"] == [
            {"type": "redirect", "redirect": {"port": "443", "protocol": "HTTPS", "status_code": "HTTP_301"}}
        ], str(listener)


def test_https_has_a_current_policy_and_answers_404_as_json() -> None:
    for listener in listeners(443) + listeners(8443):
        assert listener["ssl_policy"].startswith(TLS_POLICY), str(listener)
        assert listener["certificate_arn"].startswith("${"), str(listener)
        (action,) = listener["default_action"]
        answer = action["fixed_response"]
        assert (action["type"], answer["status_code"]) == ("fixed-response", "404"), str(listener)
        # A fixed response knows no other JSON: `problem+json` stops the plan.
        assert answer["content_type"] == "application/json", str(listener)
        assert json.loads(answer["message_body"])["status"] == 404, str(listener)


def test_requests_that_are_not_clean_are_dropped() -> None:
    none(
        str(balancer)
        for balancer in every("aws_lb")
        if balancer.get("drop_invalid_header_fields") is not True
        or balancer.get("desync_mitigation_mode") != "strictest"
    )


def test_the_load_balancer_lets_go_before_the_api_does() -> None:
    none(str(balancer) for balancer in every("aws_lb") if balancer["idle_timeout"] >= API_KEEP_ALIVE_SECONDS)


def test_it_is_public_in_every_zone() -> None:
    for balancer in every("aws_lb"):
        assert balancer["internal"] is False, str(balancer)
        assert balancer["subnets"] == [f"${{aws_subnet.public_{zone}.id}}" for zone in range(3)], str(balancer)


def test_a_protected_one_refuses_to_go() -> None:
    none(
        f"{balancer}: {balancer['enable_deletion_protection']}"
        for balancer in every("aws_lb")
        if balancer["enable_deletion_protection"] is not balancer.stack.environment.protected
    )


def test_certificates_are_proved_and_replaced_before_they_go() -> None:
    for certificate in every("aws_acm_certificate"):
        assert certificate["validation_method"] == "DNS", str(certificate)
        assert certificate["lifecycle"] == {"create_before_destroy": True}, str(certificate)
        assert certificate["domain_name"] == certificate.stack.environment.certificate_name, str(certificate)


def test_a_certificate_of_ones_own_is_taken_as_it_is() -> None:
    for stack in of_kind("supporting", where=lambda stack: bool(stack.environment.certificate_domain)):
        wanted = stack.data("aws_acm_certificate")["certificate"]
        assert wanted["domain"] == stack.environment.certificate_domain, str(stack)
        assert wanted["statuses"] == ["ISSUED"], str(stack)
        assert not stack.resources("aws_acm_certificate"), str(stack)


def test_customers_find_it_by_its_name() -> None:
    for stack in of_kind("supporting", where=lambda stack: not stack.environment.is_feature):
        record = stack.the("aws_route53_record.record")
        assert (record["name"], record["type"]) == (stack.environment.certificate_name, "A"), str(stack)
        assert record["alias"]["name"] == "${aws_lb.load_balancer.dns_name}", str(stack)


def test_a_firewall_is_where_the_environment_has_one() -> None:
    for stack in of_kind("supporting"):
        count = len(stack.resources("aws_wafv2_web_acl"))
        assert count == len(stack.resources("aws_wafv2_web_acl_association")) == has_firewall(stack), str(stack)


def test_the_firewall_limits_each_address_first() -> None:
    for stack in of_kind("supporting", where=has_firewall):
        first = min(rules(stack), key=lambda rule: rule["Priority"])
        limit = {"Limit": stack.environment.waf_rate, "AggregateKeyType": "IP"}
        assert first["Statement"] == {"RateBasedStatement": limit}, str(stack)
        assert first["Action"] == {"Block": {"CustomResponse": {"ResponseCode": 429}}}, str(stack)


def test_the_firewall_has_awss_rules_and_lets_long_orders_through() -> None:
    for stack in of_kind("supporting", where=has_firewall):
        found = {}
        for rule in rules(stack)[1:]:
            group = rule["Statement"]["ManagedRuleGroupStatement"]
            assert rule["OverrideAction"] == {"None": {}}, f"{stack}: {rule['Name']} only counts"
            assert group["VendorName"] == "AWS", str(stack)
            overrides = group.get("RuleActionOverrides", [])
            assert all(each["ActionToUse"] == {"Count": {}} for each in overrides), str(stack)
            found[group["Name"]] = [each["Name"] for each in overrides]
        assert found == MANAGED_RULES, str(stack)


def test_rules_have_priorities_of_their_own() -> None:
    for stack in of_kind("supporting", where=has_firewall):
        priorities = [rule["Priority"] for rule in rules(stack)]
        assert len(priorities) == len(set(priorities)), str(stack)


def test_no_token_is_in_the_firewalls_log_or_samples() -> None:
    for stack in of_kind("supporting", where=has_firewall):
        logging = stack.one("aws_wafv2_web_acl_logging_configuration")
        assert logging["redacted_fields"] == [{"single_header": {"name": "authorization"}}], str(stack)
        assert logging["log_destination_configs"] == ["${aws_cloudwatch_log_group.web_acl_logs.arn}"], str(stack)
        assert stack.one("aws_wafv2_web_acl")["visibility_config"]["sampled_requests_enabled"] is False, str(stack)
        assert not any(rule["VisibilityConfig"]["SampledRequestsEnabled"] for rule in rules(stack)), str(stack)


def test_the_firewall_is_before_the_load_balancer() -> None:
    for association in every("aws_wafv2_web_acl_association"):
        assert association["resource_arn"] == "${aws_lb.load_balancer.arn}", str(association)
        assert association["web_acl_arn"] == "${aws_wafv2_web_acl.web_acl.arn}", str(association)
