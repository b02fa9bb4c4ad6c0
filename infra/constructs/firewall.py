"""The web ACL before the load balancer: AWS's rules for known attacks, and a limit on what one address may send."""

import json

from cdktn import Fn, Token
from cdktn_provider_aws.cloudcontrolapi_resource import CloudcontrolapiResource
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
    # An order of 50 lines is longer than the 8 KB that this rule allows; the API has a limit of its own.
    "AWSManagedRulesCommonRuleSet": ("SizeRestrictions_BODY",),
}
"""Rule groups of AWS, and which of their rules only count."""


class Firewall:
    def __init__(
        self, stack: Workspace, environment: Environment, *, load_balancer_arn: str, logs_key_arn: str
    ) -> None:
        name = f"{environment.name}-orders"
        # Rules are a tree without a fixed depth, which no resource of the provider types: docs/decisions/0014.
        acl = CloudcontrolapiResource(
            stack,
            "web_acl",
            type_name="AWS::WAFv2::WebACL",
            desired_state=json.dumps(
                {
                    "Name": name,
                    "Scope": "REGIONAL",
                    "DefaultAction": {"Allow": {}},
                    "VisibilityConfig": _visibility(name),
                    "Rules": [_rate(environment.waf_rate), *_managed()],
                    "Tags": [{"Key": key, "Value": value} for key, value in stack.tags.items()],
                }
            ),
        )
        acl_arn = Token.as_string(Fn.lookup(Fn.jsondecode(acl.properties), "Arn"))
        Wafv2WebAclAssociation(stack, "web_acl_association", resource_arn=load_balancer_arn, web_acl_arn=acl_arn)
        # WAF takes only groups whose name begins so.
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
            resource_arn=acl_arn,
            log_destination_configs=[logs.arn],
            # Requests that nothing objects to are in the load balancer's own log, for a fifteenth of the price.
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
            "Statement": {
                "ManagedRuleGroupStatement": {
                    "VendorName": "AWS",
                    "Name": rules,
                    "RuleActionOverrides": [{"Name": rule, "ActionToUse": {"Count": {}}} for rule in counted],
                }
            },
            "OverrideAction": {"None": {}},
            "VisibilityConfig": _visibility(rules),
        }
        for priority, (rules, counted) in enumerate(MANAGED.items(), start=1)
    ]


def _visibility(metric: str) -> dict[str, object]:
    # Samples would show whole requests, tokens with them.
    return {"CloudWatchMetricsEnabled": True, "MetricName": metric, "SampledRequestsEnabled": False}
