"""Account-wide IAM resources: the permissions boundaries of the platform's roles, and CI's identity provider."""

from cdktn import TerraformResourceLifecycle
from cdktn_provider_aws.iam_openid_connect_provider import IamOpenidConnectProvider
from cdktn_provider_aws.iam_policy import IamPolicy

from infra.constructs.policies import Statement, document
from infra.constructs.roles import BOUNDARY_NAME, FEATURE_BOUNDARY_NAME
from infra.constructs.workspace import ROLE_PATH, Workspace
from infra.environments import FEATURE_PREFIX
from order_shared.naming import FEATURE_REPOSITORIES

GITHUB = "token.actions.githubusercontent.com"

BOUNDED_ACTIONS = (
    "dynamodb:*",
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
    "ec2:DescribeTags",
    "ec2messages:*",
    "ecs:*",
    "elasticloadbalancing:*",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:ReEncrypt*",
    "logs:*",
    "secretsmanager:GetSecretValue",
    "sns:Publish",
    "sqs:*",
    "ssm:UpdateInstanceInformation",
    "ssmmessages:*",
)


def make_boundary(stack: Workspace) -> None:
    """Create the permissions boundary. CI may create roles only with it, so CI cannot make itself an administrator."""
    IamPolicy(
        stack,
        "boundary",
        name=BOUNDARY_NAME,
        path=ROLE_PATH,
        description="The most that a role of the platform can ever be allowed",
        policy=document(
            Statement(
                sid="Boundary",
                actions=BOUNDED_ACTIONS,
                resources=["*"],
                wildcard="a boundary allows nothing by itself: it caps what the roles' own policies name exactly",
            )
        ),
        # A changed description would replace the policy, and IAM does not delete a boundary that roles use.
        lifecycle=TerraformResourceLifecycle(ignore_changes=["description"]),
    )


def make_feature_boundary(stack: Workspace) -> None:
    """Create the permissions boundary of feature environments, by the names of their data.

    The branch of a feature environment writes the policies of its roles. Without this boundary, a task of a branch
    could read every table of the account.
    """

    def arns(service: str, *resources: str) -> list[str]:
        return [f"arn:aws:{service}:*:{stack.account_id}:{resource}" for resource in resources]

    IamPolicy(
        stack,
        "feature_boundary",
        name=FEATURE_BOUNDARY_NAME,
        path=ROLE_PATH,
        description="The most that a role of a feature environment can ever be allowed",
        policy=document(
            Statement(
                sid="FeatureData",
                actions=[
                    "dynamodb:*",
                    "secretsmanager:GetSecretValue",
                    "sns:Publish",
                    "sqs:*",
                ],
                resources=[
                    *arns("dynamodb", f"table/{FEATURE_PREFIX}*"),
                    *arns("secretsmanager", f"secret:{FEATURE_PREFIX}*"),
                    *arns("sns", f"{FEATURE_PREFIX}*"),
                    *arns("sqs", f"{FEATURE_PREFIX}*"),
                ],
                wildcard="a boundary allows nothing by itself, and this one names the data of feature environments",
            ),
            Statement(
                sid="FeatureImages",
                actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                resources=arns("ecr", f"repository/{FEATURE_REPOSITORIES}/*"),
            ),
            Statement(
                sid="FeatureLogs",
                actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                resources=arns("logs", f"log-group:/*/{FEATURE_PREFIX}*"),
            ),
            Statement(
                sid="FeatureBoundary",
                actions=[
                    "dynamodb:ListStreams",
                    "ecr:GetAuthorizationToken",
                    "kms:Decrypt",
                    "kms:DescribeKey",
                    "kms:Encrypt",
                    "kms:GenerateDataKey",
                    "kms:ReEncrypt*",
                    "ssmmessages:*",
                ],
                resources=["*"],
                wildcard="a boundary allows nothing by itself; keys decrypt data only for who may read it",
            ),
        ),
        lifecycle=TerraformResourceLifecycle(ignore_changes=["description"]),
    )


def make_identity_provider(stack: Workspace) -> None:
    """Create the identity provider that lets GitHub workflows assume roles with a token instead of an access key."""
    IamOpenidConnectProvider(stack, "github", url=f"https://{GITHUB}", client_id_list=["sts.amazonaws.com"])
