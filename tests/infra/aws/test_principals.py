"""Conditions on AWS's services: each is the one that AWS documents, and there is no other.

A condition on a key that the service does not send is false, and refuses the service. Two such conditions would have
stopped the load balancer's access log and the role by which ECS shifts traffic.
"""

import re
from dataclasses import dataclass

from tests.infra.policies import Statement, statements_in
from tests.infra.synthesis import ROOT, none, stacks

DOCS = "https://docs.aws.amazon.com"


@dataclass(frozen=True)
class Documented:
    """The form of one statement in AWS's documentation."""

    page: str
    operator: str = ""
    key: str = ""
    """Key of the condition; empty if the page has none."""

    @property
    def condition(self) -> set[tuple[str, str]]:
        return {(self.operator, self.key)} if self.key else set()


ACCOUNT = ("StringEquals", "aws:SourceAccount")
"""AWS recommends `aws:SourceArn` beside it, which would be narrower: our policies do not have it."""

DOCUMENTED = {
    ("cloudwatch.amazonaws.com", "aws_kms_key"): Documented(f"{DOCS}/sns/latest/dg/sns-key-management.html", *ACCOUNT),
    ("cloudwatch.amazonaws.com", "aws_sns_topic_policy"): Documented(
        f"{DOCS}/sns/latest/dg/sns-access-policy-use-cases.html", "ArnLike", "aws:SourceArn"
    ),
    ("ec2.amazonaws.com", "aws_iam_role"): Documented(f"{DOCS}/AmazonECS/latest/developerguide/instance_IAM_role.html"),
    ("ecs-tasks.amazonaws.com", "aws_iam_role"): Documented(
        f"{DOCS}/AmazonECS/latest/developerguide/task-iam-roles.html", *ACCOUNT
    ),
    ("ecs.amazonaws.com", "aws_iam_role"): Documented(
        f"{DOCS}/AmazonECS/latest/developerguide/AmazonECSInfrastructureRolePolicyForLoadBalancers.html"
    ),
    ("logdelivery.elasticloadbalancing.amazonaws.com", "aws_s3_bucket_policy"): Documented(
        f"{DOCS}/elasticloadbalancing/latest/application/enable-access-logging.html"
    ),
    ("logs.REGION.amazonaws.com", "aws_kms_key"): Documented(
        f"{DOCS}/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
        "ArnLike",
        "kms:EncryptionContext:aws:logs:arn",
    ),
    ("pipes.amazonaws.com", "aws_iam_role"): Documented(
        f"{DOCS}/eventbridge/latest/userguide/cross-service-confused-deputy-prevention.html", *ACCOUNT
    ),
    ("sns.amazonaws.com", "aws_kms_key"): Documented(
        f"{DOCS}/sns/latest/dg/sns-enable-encryption-for-topic-sqs-queue-subscriptions.html"
    ),
    ("sns.amazonaws.com", "aws_sqs_queue_policy"): Documented(
        f"{DOCS}/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html", "ArnEquals", "aws:SourceArn"
    ),
    ("vpc-flow-logs.amazonaws.com", "aws_iam_role"): Documented(
        f"{DOCS}/vpc/latest/userguide/flow-logs-iam-role.html", *ACCOUNT
    ),
}
"""Documented form by service and kind of resource."""


def allowing_a_service() -> list[tuple[tuple[str, str], Statement]]:
    return [
        (
            (re.sub(r"(?<=logs\.)[a-z0-9-]+-\d", "REGION", statement.principals["Service"]), statement.resource.kind),
            statement,
        )
        for stack in stacks()
        for statement in statements_in(stack)
        if statement.allows and "Service" in statement.principals
    ]


def test_every_service_has_the_documented_condition_and_no_other() -> None:
    none(
        f"{statement}: {place[0]} has the condition {statement.conditions}, unlike {DOCUMENTED[place].page}"
        for place, statement in allowing_a_service()
        if {(operator, key) for operator, keys in statement.conditions.items() for key in keys}
        != DOCUMENTED[place].condition
    )


def test_every_documented_form_is_used() -> None:
    assert {place for place, _ in allowing_a_service()} == DOCUMENTED.keys()


def test_the_code_names_the_page_beside_each_statement() -> None:
    text = "".join(
        path.read_text() for folder in ("constructs", "services") for path in (ROOT / "infra" / folder).glob("*.py")
    )
    none(f"infra: no comment names {form.page}" for form in DOCUMENTED.values() if form.page not in text)
