"""AWS's fixed quotas and names: how much of something one resource may have, each with its page."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import regex

from tests.infra.aws.rules import Fact, length, matches
from tests.infra.synthesis import Resource

CLOUDWATCH = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring"
DYNAMODB = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide"
ECR = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html"
ECS = "https://docs.aws.amazon.com/general/latest/gr/ecs-service.html"
"""Its table could not be read. The numbers were in older editions of the ECS guide's page, which refers to this one."""
ECS_NETWORK = "https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AwsVpcConfiguration.html"
ELB = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html"
IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"
"""Its lists of the sizes of policies could not be read: 6,144 and 10,240 are as others quote them from it."""

DAY = 24 * 3600


@dataclass(frozen=True)
class Quota:
    """At most `most` of what `count` counts in each resource of a kind."""

    kind: str
    what: str
    most: int
    page: str
    count: Callable[[Resource], int]


def _elements(*path: str) -> Callable[[Resource], int]:
    """Count the elements of a list, in all blocks that the path leads through together."""

    def count(resource: Resource) -> int:
        nodes: list[Any] = [resource.body]
        for name in path:
            nodes = [each for node in nodes for each in _listed(node.get(name)) if each is not None]
        return len(nodes)

    return count


def _listed(node: Any) -> list[Any]:
    return node if isinstance(node, list) else [node]


def _queries(member: str) -> Callable[[Resource], int]:
    return lambda alarm: len([query for query in alarm["metric_query"] if member in query])


def _watched_seconds(alarm: Resource) -> int:
    periods: list[int] = [query["metric"]["period"] for query in alarm["metric_query"] if "metric" in query]
    return int(alarm["evaluation_periods"]) * max(periods)


def _characters(argument: str) -> Callable[[Resource], int]:
    return lambda resource: _characters_of(resource[argument])


def _characters_of(policy: str) -> int:
    """Count the characters of a policy as IAM does, without white space. A reference counts as an ARN of 100."""
    text = json.dumps(json.loads(policy), separators=(",", ":"))
    return len(regex.sub(r"\$\{[^}]*\}", "x" * 100, text))


def _inline_characters(role: Resource) -> int:
    reference = f"${{{role.address}.id}}"
    inline = [each for each in role.stack.resources("aws_iam_role_policy") if each["role"] == reference]
    return sum(_characters_of(each["policy"]) for each in inline)


def _bytes(argument: str) -> Callable[[Resource], int]:
    return lambda resource: len(str(resource[argument]).encode())


def _policies_of(role: Resource) -> int:
    attached = role.stack.resources("aws_iam_role_policy_attachment")
    return len([each for each in attached if each["role"] == f"${{{role.address}.name}}"])


def _rules_of(group: Resource) -> int:
    kinds = ("aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule")
    reference = f"${{{group.address}.id}}"
    return max(
        len([rule for rule in group.stack.resources(kind) if rule["security_group_id"] == reference]) for kind in kinds
    )


def _condition_values(rule: Resource) -> int:
    return sum(len(part["values"]) for condition in rule["condition"] for part in condition.values())


def _projected(table: Resource) -> int:
    return sum(len(index.get("non_key_attributes") or []) for index in table["global_secondary_index"])


def _widgets(dashboard: Resource) -> int:
    return len(json.loads(dashboard["dashboard_body"])["widgets"])


def _lifecycle_rules(policy: Resource) -> int:
    return len(json.loads(policy["policy"])["rules"])


QUOTAS = (
    Quota("aws_cloudwatch_metric_alarm", "metrics", 10, f"{CLOUDWATCH}/alarm-limits.html", _queries("metric")),
    Quota(
        "aws_cloudwatch_metric_alarm",
        "expressions",
        10,
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html",
        _queries("expression"),
    ),
    Quota(
        "aws_cloudwatch_metric_alarm",
        "seconds that are watched, in periods below an hour",
        DAY,
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html",
        _watched_seconds,
    ),
    Quota(
        "aws_cloudwatch_metric_alarm", "actions", 5, f"{CLOUDWATCH}/cloudwatch_limits.html", _elements("alarm_actions")
    ),
    Quota("aws_cloudwatch_dashboard", "widgets", 500, f"{CLOUDWATCH}/cloudwatch_limits.html", _widgets),
    Quota(
        "aws_dynamodb_table",
        "global secondary indexes",
        20,
        f"{DYNAMODB}/ServiceQuotas.html",
        _elements("global_secondary_index"),
    ),
    Quota(
        "aws_dynamodb_table", "projected attributes of all indexes", 100, f"{DYNAMODB}/ServiceQuotas.html", _projected
    ),
    Quota("aws_ecr_lifecycle_policy", "rules", 50, ECR, _lifecycle_rules),
    Quota("aws_ecr_lifecycle_policy", "characters", 30_720, ECR, lambda resource: len(resource["policy"])),
    Quota("aws_ecs_service", "subnets", 16, ECS_NETWORK, _elements("network_configuration", "subnets")),
    Quota("aws_ecs_service", "security groups", 5, ECS_NETWORK, _elements("network_configuration", "security_groups")),
    Quota("aws_ecs_service", "target groups", 5, ECS, _elements("load_balancer")),
    Quota("aws_ecs_task_definition", "bytes", 64 * 1024, ECS, _bytes("container_definitions")),
    Quota("aws_iam_policy", "characters", 6144, IAM, _characters("policy")),
    Quota("aws_iam_role", "characters of its trust policy", 2048, IAM, _characters("assume_role_policy")),
    Quota("aws_iam_role", "characters of its inline policies together", 10_240, IAM, _inline_characters),
    # In an older edition of the page. Others who read it since report 20: the smaller number is on the safe side.
    Quota("aws_iam_role", "managed policies", 10, IAM, _policies_of),
    # Older editions of the page had this number. Today's names none, and the API takes 131,072 characters: the smaller
    # number is on the safe side.
    Quota(
        "aws_kms_key",
        "bytes of its policy",
        32 * 1024,
        "https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html",
        _bytes("policy"),
    ),
    Quota(
        "aws_launch_template",
        "bytes of user data",
        16 * 1024,
        "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html",
        _bytes("user_data"),
    ),
    Quota("aws_lb_listener_rule", "condition values", 5, ELB, _condition_values),
    Quota("aws_lb_listener_rule", "target groups", 5, ELB, _elements("action", "forward", "target_group")),
    Quota(
        "aws_security_group",
        "rules of one direction",
        60,
        "https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html",
        _rules_of,
    ),
    Quota(
        "aws_sns_topic_policy",
        "bytes",
        30 * 1024,
        "https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html",
        _bytes("policy"),
    ),
)

RULES_PER_BALANCER = 100
"""Rules of all its listeners besides their default ones, as the page `ELB` says."""

ROLE_NAME = r"[\w+=,.@-]{1,64}"

NAMES: dict[str, dict[str, Fact]] = {
    "aws_autoscaling_group": {
        "name": Fact(
            matches("[!-9;-~]{1,255}"),
            "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html",
        )
    },
    "aws_cloudwatch_dashboard": {
        "dashboard_name": Fact(
            matches("[A-Za-z0-9_-]{1,255}"),
            "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html",
        )
    },
    "aws_dynamodb_table": {
        "global_secondary_index.name": Fact(matches("[A-Za-z0-9_.-]{3,255}"), f"{DYNAMODB}/Constraints.html"),
        "name": Fact(matches("[A-Za-z0-9_.-]{3,255}"), f"{DYNAMODB}/Constraints.html"),
    },
    "aws_ecs_capacity_provider": {
        "name": Fact(
            matches("(?!aws|ecs|fargate)[A-Za-z0-9_-]{1,255}"),
            "https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCapacityProvider.html",
        )
    },
    "aws_ecs_cluster": {
        "name": Fact(
            matches("[A-Za-z0-9_-]{1,255}"),
            "https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCluster.html",
        )
    },
    "aws_ecs_task_definition": {
        "family": Fact(
            matches("[A-Za-z0-9_-]{1,255}"),
            "https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html",
        )
    },
    "aws_iam_instance_profile": {"name": Fact(matches(r"[\w+=,.@-]{1,128}"), IAM)},
    "aws_iam_policy": {"name": Fact(matches(r"[\w+=,.@-]{1,128}"), IAM)},
    "aws_iam_role": {"name": Fact(matches(ROLE_NAME), IAM)},
    "aws_iam_role_policy": {"name": Fact(matches(r"[\w+=,.@-]{1,128}"), IAM)},
    "aws_launch_template": {
        "name": Fact(
            matches(r"[A-Za-z0-9().\-/_]{3,128}"),
            "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html",
        )
    },
    "aws_sns_topic": {
        "name": Fact(matches("[A-Za-z0-9_-]{1,256}"), "https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html")
    },
    "aws_sqs_queue": {
        "name": Fact(
            matches("[A-Za-z0-9_-]{1,80}"),
            "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html",
        )
    },
    "aws_vpc": {
        "tags.value": Fact(length(0, 256), "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Tag.html")
    },
}
