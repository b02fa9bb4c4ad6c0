"""What must stand before a resource can be made although the resource does not name it: `depends_on` says so.

The question is asked of every type: it is in `HIDDEN` with what it needs, or in `NAMED` because it names all it needs.
"""

import re
from dataclasses import dataclass

import pytest

from tests.infra.graph import needed_by
from tests.infra.synthesis import Resource, every, none, stacks


@dataclass(frozen=True)
class Hidden:
    """A need that a resource's arguments do not show."""

    kind: str
    needs: str
    """A pattern of the addresses that must stand first, of those that the stack has."""
    because: str


HIDDEN = (
    Hidden(
        "aws_lb",
        r"aws_internet_gateway\..*",
        "a public load balancer needs a gateway on its VPC (InvalidSubnet: VPC has no internet gateway): "
        "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html",
    ),
    Hidden(
        "aws_lb",
        r"aws_s3_bucket_policy\.access_logs_policy",
        "AWS tests that it can write the access log: "
        "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html",
    ),
    Hidden(
        "aws_nat_gateway",
        r"aws_internet_gateway\..*",
        "https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/nat_gateway",
    ),
    Hidden(
        "aws_eip",
        r"aws_internet_gateway\..*",
        "https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/eip",
    ),
    Hidden("aws_flow_log", r"aws_iam_role_policy\.flow_log_policy", "the role could not write the first records"),
    Hidden(
        "aws_ecs_cluster",
        r"aws_cloudwatch_log_group\.container_insights_logs",
        "ECS would make the group by itself, without our key and for ever",
    ),
    Hidden(
        "aws_ecs_cluster_capacity_providers",
        r"aws_ecs_capacity_provider\..*",
        "a cluster takes only providers that exist",
    ),
    Hidden("aws_autoscaling_group", r"aws_ecs_cluster\.cluster", "instances look for the cluster by its name"),
    Hidden(
        "aws_autoscaling_group",
        r"aws_vpc_security_group_egress_rule\.instances_egress",
        "instances join the cluster over HTTPS",
    ),
    Hidden(
        "aws_autoscaling_group",
        r"aws_iam_role_policy_attachment\.instance_managed_\d",
        "an instance without the policies of its role never joins",
    ),
    Hidden(
        "aws_ecs_service",
        r"aws_vpc_security_group_(ingress|egress)_rule\..*",
        "tasks could not pull their image, and the circuit breaker would end the first deployment",
    ),
    Hidden("aws_ecs_service", r"aws_iam_role_policy\..*", "tasks could not start, nor traffic be shifted"),
    Hidden(
        "aws_ecs_service",
        r"aws_lb_listener_rule\..*",
        "ECS takes only target groups that a load balancer uses: "
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/create-application-load-balancer.html",
    ),
    Hidden(
        "aws_pipes_pipe", r"aws_iam_role_policy\.changes_pipe_policy", "AWS tests that the role can read the stream"
    ),
    Hidden(
        "aws_pipes_pipe",
        r"aws_sns_topic_subscription\.changes_subscription",
        "a topic without a subscription drops what is published",
    ),
    Hidden(
        "aws_sns_topic_subscription",
        r"aws_sqs_queue_policy\.changes_queue_policy",
        "a topic drops what its queue refuses",
    ),
    Hidden("aws_appautoscaling_target", r"aws_ecs_service\.service", "its target is named by a text"),
    Hidden(
        "aws_lb_listener",
        r"aws_acm_certificate_validation\..*",
        "a listener takes only a certificate that is issued: "
        "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/https-listener-certificates.html",
    ),
)

NAMED = {
    "aws_acm_certificate",
    "aws_acm_certificate_validation",
    "aws_appautoscaling_policy",
    "aws_cloudwatch_dashboard",
    "aws_cloudwatch_log_group",
    "aws_cloudwatch_log_metric_filter",
    "aws_cloudwatch_metric_alarm",
    "aws_default_security_group",
    "aws_dynamodb_table",
    "aws_ecr_lifecycle_policy",
    "aws_ecr_repository",
    "aws_ecs_account_setting_default",
    "aws_ecs_capacity_provider",
    "aws_ecs_task_definition",
    "aws_iam_instance_profile",
    "aws_iam_openid_connect_provider",
    "aws_iam_policy",
    "aws_iam_role",
    "aws_iam_role_policy",
    "aws_iam_role_policy_attachment",
    "aws_internet_gateway",
    "aws_kms_alias",
    "aws_kms_key",
    "aws_launch_template",
    "aws_lb_listener_rule",
    "aws_lb_target_group",
    "aws_route",
    "aws_route53_record",
    "aws_route_table",
    "aws_route_table_association",
    "aws_s3_bucket",
    "aws_s3_bucket_lifecycle_configuration",
    "aws_s3_bucket_policy",
    "aws_s3_bucket_public_access_block",
    "aws_s3_bucket_server_side_encryption_configuration",
    "aws_secretsmanager_secret",
    "aws_security_group",
    "aws_sns_topic",
    "aws_sns_topic_policy",
    "aws_sqs_queue",
    "aws_sqs_queue_policy",
    "aws_sqs_queue_redrive_allow_policy",
    "aws_subnet",
    "aws_vpc",
    "aws_vpc_endpoint",
    "aws_vpc_security_group_egress_rule",
    "aws_vpc_security_group_ingress_rule",
    "aws_wafv2_web_acl",
    "aws_wafv2_web_acl_association",
    "aws_wafv2_web_acl_logging_configuration",
}
"""Types that name what they need, or whose needs are in a stack that is deployed before."""


def listens_in_the_clear(resource: Resource) -> bool:
    return resource.kind == "aws_lb_listener" and resource["protocol"] == "HTTP"


def goes_to_a_person(resource: Resource) -> bool:
    return resource.kind == "aws_sns_topic_subscription" and resource["protocol"] == "email"


def test_the_question_is_asked_of_every_type() -> None:
    found = {resource.kind for stack in stacks() for resource in stack.resources()}
    hidden = {need.kind for need in HIDDEN}
    assert found == hidden | NAMED
    assert not hidden & NAMED


@pytest.mark.parametrize("need", HIDDEN, ids=lambda need: f"{need.kind}-needs-{need.needs}")
def test_what_a_resource_needs_unnamed_is_made_before_it(need: Hidden) -> None:
    asked = [
        resource for resource in every(need.kind) if not (listens_in_the_clear(resource) or goes_to_a_person(resource))
    ]
    wanted = {
        resource: {each.address for each in resource.stack.resources() if re.fullmatch(need.needs, each.address)}
        for resource in asked
    }
    assert any(wanted.values()), "no stack has what it needs"
    none(
        f"{resource}: {missing} ({need.because})"
        for resource, addresses in wanted.items()
        if (missing := sorted(addresses - needed_by(resource.stack, resource.address)))
    )
