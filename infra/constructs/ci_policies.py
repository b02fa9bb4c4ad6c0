"""IAM permissions of the roles of CI for dev, uat and prod."""

from collections.abc import Sequence

from infra.constructs.keys import use_key
from infra.constructs.outputs import DataOutputs, RegistryOutputs
from infra.constructs.policies import SIGN_IN_TO_REGISTRY, Statement
from infra.constructs.roles import BOUNDARY_NAME, FEATURE_BOUNDARY_NAME
from infra.constructs.workspace import ROLE_PATH, Workspace
from infra.environments import FEATURE_PREFIX
from infra.stacks import PROJECT
from order_shared.tables import order_changes, order_queue

CI_PATH = f"/{PROJECT}-ci/"
"""Path of CI's own roles, which CI may not change."""

STACK_SERVICES = (
    "acm",
    "application-autoscaling",
    "autoscaling",
    "cloudwatch",
    "dynamodb",
    "ec2",
    "ecr",
    "ecs",
    "elasticloadbalancing",
    "kms",
    "logs",
    "pipes",
    "route53",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "wafv2",
)
"""AWS services of the resources and data sources of the stacks, without IAM."""

ROLE_USERS = (
    "ec2.amazonaws.com",
    "ecs.amazonaws.com",
    "ecs-tasks.amazonaws.com",
    "pipes.amazonaws.com",
    "vpc-flow-logs.amazonaws.com",
)
LINKED_SERVICES = (
    "autoscaling.amazonaws.com",
    "dynamodb.application-autoscaling.amazonaws.com",
    "ecs.amazonaws.com",
    "ecs.application-autoscaling.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
    "replication.dynamodb.amazonaws.com",
    "wafv2.amazonaws.com",
)


def deploy_statements(
    stack: Workspace, registry: RegistryOutputs, data: DataOutputs, data_key_arn: str
) -> tuple[Statement, ...]:
    """Return the permissions for `orderctl deploy` in the environment of a stack."""
    queues = (
        data.queue_arn,
        data.dead_letter_queue_arn,
        data.changes_queue_arn,
        data.changes_dead_letter_queue_arn,
    )
    return (
        *registry_statements(list(registry.repository_arns.values()), pushes=False),
        *_deployment(
            stack, services="*", operations=[data.operations_table_arn], queues=queues, data_key_arn=data_key_arn
        ),
    )


def feature_deploy_statements(stack: Workspace, registry: RegistryOutputs, data_key_arn: str) -> tuple[Statement, ...]:
    """Return the permissions for `orderctl deploy` in feature environments, and for pushing their images."""
    return (
        *registry_statements(list(registry.feature_repository_arns.values()), pushes=True),
        *_deployment(
            stack,
            services=f"{FEATURE_PREFIX}*",
            operations=[stack.arn("dynamodb", f"table/{FEATURE_PREFIX}*-operations")],
            queues=[stack.arn("sqs", name) for name in _feature_queues()],
            data_key_arn=data_key_arn,
        ),
    )


def registry_statements(repositories: Sequence[str], *, pushes: bool) -> tuple[Statement, ...]:
    """Return the permissions for moving tags of images, and for building and pushing images if `pushes`."""
    return (
        Statement(
            sid="Images",
            actions=[
                "ecr:BatchGetImage",
                "ecr:DescribeImageScanFindings",
                "ecr:DescribeImages",
                "ecr:GetDownloadUrlForLayer",
                "ecr:PutImage",
            ],
            resources=repositories,
        ),
        *((_layers(repositories), SIGN_IN_TO_REGISTRY) if pushes else ()),
    )


def push_statements(repositories: Sequence[str]) -> tuple[Statement, ...]:
    """Return the permissions of `make push`."""
    return (
        Statement(
            sid="Images",
            actions=["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:PutImage"],
            resources=repositories,
        ),
        _layers(repositories),
        SIGN_IN_TO_REGISTRY,
    )


def _layers(repositories: Sequence[str]) -> Statement:
    return Statement(
        sid="Layers",
        actions=[
            "ecr:BatchCheckLayerAvailability",
            "ecr:CompleteLayerUpload",
            "ecr:InitiateLayerUpload",
            "ecr:UploadLayerPart",
        ],
        resources=repositories,
    )


def _deployment(
    stack: Workspace, *, services: str, operations: Sequence[str], queues: Sequence[str], data_key_arn: str
) -> tuple[Statement, ...]:
    return (
        Statement(
            sid="Services",
            actions=[
                "ecs:ContinueServiceDeployment",
                "ecs:DescribeServiceDeployments",
                "ecs:DescribeServiceRevisions",
                "ecs:DescribeServices",
                "ecs:ListServiceDeployments",
                "ecs:StopServiceDeployment",
                "ecs:UpdateService",
            ],
            resources=services_named(stack, services),
        ),
        look(),
        Statement(
            sid="LocksAndAudit",
            actions=[
                "dynamodb:DeleteItem",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:UpdateItem",
            ],
            resources=operations,
        ),
        use_key("OperationsTable", data_key_arn, f"dynamodb.{stack.region}.amazonaws.com"),
        Statement(
            sid="QueueDepth",
            actions=["sqs:GetQueueAttributes", "sqs:GetQueueUrl"],
            resources=queues,
        ),
    )


def services_named(stack: Workspace, pattern: str) -> list[str]:
    """Return the ARNs of the services of a cluster whose names match the pattern, and of their deployments."""
    kinds = ("service", "service-deployment", "service-revision")
    return [stack.arn("ecs", f"{kind}/{stack.owner}/{pattern}") for kind in kinds]


def look() -> Statement:
    return Statement(
        sid="Look",
        actions=[
            "cloudwatch:DescribeAlarms",
            "ecs:DescribeTaskDefinition",
            "elasticloadbalancing:DescribeListeners",
            "elasticloadbalancing:DescribeRules",
            "elasticloadbalancing:DescribeTargetHealth",
        ],
        resources=["*"],
        wildcard="these list or describe, and most of them take no resource",
    )


def _feature_queues() -> list[str]:
    """Return the patterns of the names of the workers' queues and dead-letter queues of feature environments."""
    prefix = f"{FEATURE_PREFIX}*-"
    queues = (order_queue(prefix), order_changes(prefix).queue)
    return [name for queue in queues for name in (queue.name, queue.dead_letter_name)]


def read_state(stack: Workspace) -> Statement:
    return Statement(
        sid="ReadState",
        actions=["s3:GetObject", "s3:ListBucket"],
        resources=[state_buckets(stack), f"{state_buckets(stack)}/*"],
    )


def read_settings() -> Statement:
    return Statement(
        sid="ReadSettings",
        actions=[
            "acm:GetCertificate",
            "application-autoscaling:ListTagsForResource",
            "pipes:DescribePipe",
            "pipes:ListTagsForResource",
            "sns:GetSubscriptionAttributes",
            "ssm:GetParameter",
        ],
        resources=["*"],
        wildcard="a plan reads these too; none of it is data, and the platform keeps no secret in a parameter",
    )


def state_buckets(stack: Workspace) -> str:
    return f"arn:aws:s3:::{PROJECT}-state-{stack.account_id}-*"


def apply_statements(stack: Workspace) -> tuple[Statement, ...]:
    """Return the permissions for Terraform. They deny changes to CI's own roles and the boundaries."""
    roles = stack.iam_arn(f"role{ROLE_PATH}*")
    boundary = stack.iam_arn(f"policy{ROLE_PATH}{BOUNDARY_NAME}")
    feature_boundary = stack.iam_arn(f"policy{ROLE_PATH}{FEATURE_BOUNDARY_NAME}")
    within = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    return (
        Statement(
            sid="Stacks",
            actions=[f"{service}:*" for service in STACK_SERVICES],
            resources=["*"],
            wildcard="every service of which the stacks have resources, and no other",
        ),
        Statement(
            sid="ReadIam",
            actions=["iam:Get*", "iam:List*"],
            resources=["*"],
            wildcard="a plan compares every role and policy; it changes none",
        ),
        Statement(
            sid="MakeRolesWithinTheBoundary",
            actions=["iam:AttachRolePolicy", "iam:CreateRole", "iam:DetachRolePolicy", "iam:PutRolePolicy"],
            resources=[roles],
            conditions=within,
        ),
        Statement(
            sid="KeepRoles",
            actions=[
                "iam:DeleteRole",
                "iam:DeleteRolePolicy",
                "iam:TagRole",
                "iam:UntagRole",
                "iam:UpdateAssumeRolePolicy",
                "iam:UpdateRoleDescription",
            ],
            resources=[roles],
        ),
        Statement(
            sid="InstanceProfiles",
            actions=[
                "iam:AddRoleToInstanceProfile",
                "iam:CreateInstanceProfile",
                "iam:DeleteInstanceProfile",
                "iam:RemoveRoleFromInstanceProfile",
                "iam:TagInstanceProfile",
            ],
            resources=[stack.iam_arn(f"instance-profile{ROLE_PATH}*")],
        ),
        Statement(
            sid="HandRolesOn",
            actions=["iam:PassRole"],
            resources=[roles],
            conditions={"StringEquals": {"iam:PassedToService": ROLE_USERS}},
        ),
        Statement(
            sid="ServiceLinkedRoles",
            actions=["iam:CreateServiceLinkedRole"],
            resources=[stack.iam_arn("role/aws-service-role/*")],
            conditions={"StringEquals": {"iam:AWSServiceName": LINKED_SERVICES}},
        ),
        Statement(
            sid="NeverItself",
            effect="Deny",
            actions=[
                "iam:AttachRolePolicy",
                "iam:CreatePolicyVersion",
                "iam:CreateRole",
                "iam:DeletePolicy",
                "iam:DeleteRole",
                "iam:DeleteRolePermissionsBoundary",
                "iam:DeleteRolePolicy",
                "iam:DetachRolePolicy",
                "iam:PassRole",
                "iam:PutRolePermissionsBoundary",
                "iam:PutRolePolicy",
                "iam:UpdateAssumeRolePolicy",
            ],
            resources=[stack.iam_arn(f"role{CI_PATH}*"), boundary, feature_boundary],
        ),
    )
