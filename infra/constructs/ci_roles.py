"""IAM roles of CI: plan, apply, deploy, destroy. GitHub workflows assume them with their token, without access keys."""

from infra.constructs.boundary import GITHUB
from infra.constructs.keys import use_key
from infra.constructs.outputs import DataOutputs, RegistryOutputs
from infra.constructs.policies import SIGN_IN_TO_REGISTRY, Statement, document
from infra.constructs.roles import BOUNDARY_NAME, Role
from infra.constructs.workspace import ROLE_PATH, Workspace
from infra.environments import DEPLOY_SESSION_MINUTES, FEATURE_PREFIX, ORGANISATION, Environment
from infra.stacks import PROJECT
from order_shared.tables import order_changes, order_queue

READ_ONLY = (
    # These policies read no data: no items, no messages, no values of secrets.
    "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess",
    "arn:aws:iam::aws:policy/SecurityAudit",
)
CI_PATH = f"/{PROJECT}-ci/"
"""Path of CI's own roles, which CI may not change."""

DEPLOY_SESSION_SECONDS = 60 * DEPLOY_SESSION_MINUTES
"""Longer than the deployments of all services; `Deployment` refuses steps and a bake time that would outlive it. The
workflows request sessions of this length."""

POWER_USER = "arn:aws:iam::aws:policy/PowerUserAccess"

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


class CiRoles:
    """CI roles of an environment: `plan` for pull requests, `deploy` for images, `apply` and `destroy` for Terraform.

    `apply` and `destroy` each require a separate GitHub environment. A protected environment has no `destroy` role.
    """

    def __init__(
        self, stack: Workspace, environment: Environment, registry: RegistryOutputs, data: DataOutputs, data_key: str
    ) -> None:
        name = environment.name
        Role(
            stack,
            "ci_plan",
            description="Plans on pull requests: reads settings, never data",
            trust=_trust(stack, "pull_request", f"environment:{name}"),
            statements=(_read_state(stack), _read_settings()),
            managed_policy_arns=READ_ONLY,
            path=CI_PATH,
        )
        Role(
            stack,
            "ci_deploy",
            description="Pushes images and deploys them by their tag",
            trust=_trust(stack, f"environment:{name}"),
            statements=deploy_statements(stack, registry, data, data_key),
            path=CI_PATH,
            session_seconds=DEPLOY_SESSION_SECONDS,
        )
        Role(
            stack,
            "ci_apply",
            description="Applies Terraform",
            trust=_trust(stack, f"environment:{name}-apply"),
            statements=_apply_statements(stack),
            managed_policy_arns=(POWER_USER,),
            path=CI_PATH,
            session_seconds=DEPLOY_SESSION_SECONDS,
        )
        if not environment.protected:
            Role(
                stack,
                "ci_destroy",
                description="Destroys feature environments, and services: CI cannot take its own roles away",
                trust=_trust(stack, f"environment:{name}-destroy"),
                statements=_apply_statements(stack),
                managed_policy_arns=(POWER_USER,),
                path=CI_PATH,
            )


def deploy_statements(
    stack: Workspace, registry: RegistryOutputs, data: DataOutputs, data_key_arn: str
) -> tuple[Statement, ...]:
    """Return the permissions for `orderctl deploy` and image pushes, including those of feature environments."""
    repositories = list(registry.repository_arns.values())
    kinds = ("service", "task", "service-deployment", "service-revision")
    return (
        Statement(
            sid="Images",
            actions=[
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:CompleteLayerUpload",
                "ecr:DescribeImageScanFindings",
                "ecr:DescribeImages",
                "ecr:GetDownloadUrlForLayer",
                "ecr:InitiateLayerUpload",
                "ecr:ListImages",
                "ecr:PutImage",
                "ecr:UploadLayerPart",
            ],
            resources=repositories,
        ),
        SIGN_IN_TO_REGISTRY,
        Statement(
            sid="Services",
            actions=[
                "ecs:ContinueServiceDeployment",
                "ecs:DescribeServiceDeployments",
                "ecs:DescribeServiceRevisions",
                "ecs:DescribeServices",
                "ecs:DescribeTasks",
                "ecs:ListServiceDeployments",
                "ecs:StopServiceDeployment",
                "ecs:UpdateService",
            ],
            resources=[stack.arn("ecs", f"{kind}/{stack.owner}/*") for kind in kinds],
        ),
        Statement(
            sid="Look",
            actions=[
                "cloudwatch:DescribeAlarms",
                "cloudwatch:GetMetricData",
                "ecs:DescribeClusters",
                "ecs:DescribeTaskDefinition",
                "ecs:ListTasks",
                "elasticloadbalancing:DescribeListeners",
                "elasticloadbalancing:DescribeLoadBalancers",
                "elasticloadbalancing:DescribeRules",
                "elasticloadbalancing:DescribeTargetGroups",
                "elasticloadbalancing:DescribeTargetHealth",
            ],
            resources=["*"],
            wildcard="these list or describe, and most of them take no resource",
        ),
        Statement(
            sid="LocksAndAudit",
            actions=[
                "dynamodb:DeleteItem",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:UpdateItem",
            ],
            resources=[
                data.operations_table_arn,
                stack.arn("dynamodb", f"table/{FEATURE_PREFIX}*-operations"),
            ],
        ),
        use_key("OperationsTable", data_key_arn, f"dynamodb.{stack.region}.amazonaws.com"),
        Statement(
            sid="QueueDepth",
            actions=["sqs:GetQueueAttributes", "sqs:GetQueueUrl"],
            resources=[
                data.queue_arn,
                data.dead_letter_queue_arn,
                data.changes_queue_arn,
                data.changes_dead_letter_queue_arn,
                *(stack.arn("sqs", name) for name in _feature_queues()),
            ],
        ),
    )


def _feature_queues() -> list[str]:
    """Return the patterns of the names of the workers' queues and dead-letter queues of feature environments."""
    prefix = f"{FEATURE_PREFIX}*-"
    queues = (order_queue(prefix), order_changes(prefix).queue)
    return [name for queue in queues for name in (queue.name, queue.dead_letter_name)]


def _read_state(stack: Workspace) -> Statement:
    return Statement(
        sid="ReadState",
        actions=["s3:GetObject", "s3:ListBucket"],
        resources=[_state_buckets(stack), f"{_state_buckets(stack)}/*"],
    )


def _read_settings() -> Statement:
    return Statement(
        sid="ReadSettings",
        actions=[
            "application-autoscaling:ListTagsForResource",
            "pipes:DescribePipe",
            "pipes:ListTagsForResource",
            "sns:GetSubscriptionAttributes",
            "ssm:GetParameter",
        ],
        resources=["*"],
        wildcard="a plan reads these too; none of it is data, and the platform keeps no secret in a parameter",
    )


def _state_buckets(stack: Workspace) -> str:
    return f"arn:aws:s3:::{PROJECT}-state-{stack.account_id}-*"


def _apply_statements(stack: Workspace) -> tuple[Statement, ...]:
    """Return the IAM permissions that `PowerUserAccess` lacks. They deny changes to CI's own roles and the boundary."""
    roles = stack.iam_arn(f"role{ROLE_PATH}*")
    boundary = stack.iam_arn(f"policy{ROLE_PATH}{BOUNDARY_NAME}")
    within = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    return (
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
            resources=[stack.iam_arn(f"role{CI_PATH}*"), boundary],
        ),
    )


def _trust(stack: Workspace, *subjects: str) -> str:
    """Return the trust policy for the repository's workflows whose token has one of these subjects.

    A subject is `pull_request` or `environment:<name>`.
    """
    return document(
        Statement(
            sid="GitHub",
            actions=["sts:AssumeRoleWithWebIdentity"],
            principals={"Federated": stack.iam_arn(f"oidc-provider/{GITHUB}")},
            conditions={
                "StringEquals": {
                    f"{GITHUB}:aud": "sts.amazonaws.com",
                    f"{GITHUB}:sub": [f"repo:{ORGANISATION.repository}:{subject}" for subject in subjects],
                }
            },
        )
    )
