"""Web ACL in front of the load balancer: AWS's rules for known attacks, and a rate limit for each address."""

import json

from cdktn_provider_aws.wafv2_web_acl import (
    Wafv2WebAcl,
    Wafv2WebAclDefaultAction,
    Wafv2WebAclDefaultActionAllow,
    Wafv2WebAclVisibilityConfig,
)
from cdktn_provider_aws.wafv2_web_acl_association import Wafv2WebAclAssociation
from cdktn_provider_aws.wafv2_web_acl_logging_configuration import (
    Wafv2WebAclLoggingConfiguration,
    Wafv2WebAclLoggingConfigurationLoggingFilter,
    Wafv2WebAclLoggingConfigurationLoggingFilterFilter,
    Wafv2WebAclLoggingConfigurationLoggingFilterFilterCondition,
    Wafv2WebAclLoggingConfigurationLoggingFilterFilterConditionActionCondition,
    Wafv2WebAclLoggingConfigurationRedactedFields,
    Wafv2WebAclLoggingConfigurationRedactedFieldsSingleHeader,
)

from infra.constructs.logs import LogGroup
from infra.constructs.workspace import Workspace
from infra.environments import Environment

MANAGED = {
    "AWSManagedRulesAmazonIpReputationList": (),
    "AWSManagedRulesKnownBadInputsRuleSet": (),
    # An order of 50 lines exceeds the 8 KB that this rule allows; the API has its own limit.
    "AWSManagedRulesCommonRuleSet": ("SizeRestrictions_BODY",),
}
"""AWS's rule groups, each with those of its rules that only count requests instead of blocking them."""

SAMPLED = False
"""AWS samples no requests, because samples would contain whole requests, including their tokens."""


class Firewall:
    def __init__(
        self, stack: Workspace, environment: Environment, *, load_balancer_arn: str, logs_key_arn: str
    ) -> None:
        name = f"{environment.name}-orders"
        acl = Wafv2WebAcl(
            stack,
            "web_acl",
            name=name,
            description=f"Before the load balancer of {environment.name}",
            scope="REGIONAL",
            default_action=Wafv2WebAclDefaultAction(allow=Wafv2WebAclDefaultActionAllow()),
            visibility_config=Wafv2WebAclVisibilityConfig(
                cloudwatch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=SAMPLED
            ),
            # Rules are a tree without a fixed depth, which no block of the provider types: docs/decisions/0029.
            rule_json=json.dumps([_rate(environment.waf_rate), *_managed()]),
        )
        Wafv2WebAclAssociation(stack, "web_acl_association", resource_arn=load_balancer_arn, web_acl_arn=acl.arn)
        # WAF accepts only log groups whose name begins with `aws-waf-logs-`.
        logs = LogGroup(
            stack,
            "web-acl",
            key_arn=logs_key_arn,
            days=environment.log_days,
            name=f"aws-waf-logs-{stack.region}-{environment.name}",
        )
        Wafv2WebAclLoggingConfiguration(
            stack,
            "web_acl_logging",
            resource_arn=acl.arn,
            log_destination_configs=[logs.arn],
            # Allowed requests are dropped: the load balancer's access log has them for a fifteenth of the price.
            logging_filter=Wafv2WebAclLoggingConfigurationLoggingFilter(
                default_behavior="DROP",
                filter=[
                    Wafv2WebAclLoggingConfigurationLoggingFilterFilter(
                        behavior="KEEP",
                        requirement="MEETS_ANY",
                        condition=[
                            Wafv2WebAclLoggingConfigurationLoggingFilterFilterCondition(
                                action_condition=(
                                    Wafv2WebAclLoggingConfigurationLoggingFilterFilterConditionActionCondition(
                                        action=action
                                    )
                                )
                            )
                            for action in ("BLOCK", "COUNT")
                        ],
                    )
                ],
            ),
            redacted_fields=[
                Wafv2WebAclLoggingConfigurationRedactedFields(
                    single_header=Wafv2WebAclLoggingConfigurationRedactedFieldsSingleHeader(name="authorization")
                )
            ],
        )


def _rate(limit: int) -> dict[str, object]:
    return {
        "Name": "rate",
        "Priority": 0,
        "Statement": {"RateBasedStatement": {"Limit": limit, "AggregateKeyType": "IP"}},
        "Action": {"Block": {"CustomResponse": {"ResponseCode": 429}}},
        "VisibilityConfig": _visibility("rate"),
    }


def _managed() -> list[dict[str, object]]:
    return [
        {
            "Name": rules,
            "Priority": priority,
            "Statement": {"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": rules, **_counting(counted)}},
            "OverrideAction": {"None": {}},
            "VisibilityConfig": _visibility(rules),
        }
        for priority, (rules, counted) in enumerate(MANAGED.items(), start=1)
    ]


def _counting(rules: tuple[str, ...]) -> dict[str, object]:
    """Return the member that lets these rules only count; none without rules, as in AWS's responses."""
    overrides = [{"Name": rule, "ActionToUse": {"Count": {}}} for rule in rules]
    return {"RuleActionOverrides": overrides} if overrides else {}


def _visibility(metric: str) -> dict[str, object]:
    return {"CloudWatchMetricsEnabled": True, "MetricName": metric, "SampledRequestsEnabled": SAMPLED}
