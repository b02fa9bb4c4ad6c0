"""IAM permissions of the roles of CI for feature environments.

A branch runs with these roles before anybody has reviewed it, beside the other environments of the account. So each
change is limited to the names or the tag of feature environments. What a name cannot limit is listed in docs/ci.md.
"""

from infra.constructs.ci_policies import look, read_settings, state_buckets
from infra.constructs.outputs import RegistryOutputs
from infra.constructs.policies import Statement
from infra.constructs.roles import FEATURE_BOUNDARY_NAME
from infra.constructs.workspace import ROLE_PATH, Workspace
from infra.environments import FEATURE_PREFIX
from infra.naming import TARGET_GROUP_LENGTH, name
from infra.stacks import ACCOUNT

NAMED = f"{FEATURE_PREFIX}*"
TAGGED = {"StringLike": {"aws:ResourceTag/Environment": NAMED}}
CREATED = {"StringLike": {"aws:RequestTag/Environment": NAMED}}

OWN_SERVICES = ("dynamodb", "ecs", "elasticloadbalancing", "logs", "pipes", "secretsmanager", "sns", "sqs")
"""AWS services whose resources have the name of their environment: every action on those of feature environments."""


def feature_apply_statements(
    stack: Workspace, registry: RegistryOutputs, data_key_arn: str, logs_key_arn: str
) -> tuple[Statement, ...]:
    """Return the permissions for Terraform on the stacks of feature environments, beyond reading settings.

    `destroy` needs the same, and removes the tags of the images.
    """
    return (
        *_state(stack),
        read_settings(),
        _own_resources(stack),
        _alarms(stack),
        *_scaling(stack),
        *_security_groups(stack),
        *_listener_rules(stack),
        *_roles(stack),
        *_keys(stack, data_key_arn, logs_key_arn),
        look(),
        Statement(
            sid="FirstImages",
            actions=[
                "ecr:BatchDeleteImage",
                "ecr:BatchGetImage",
                "ecr:DescribeImageScanFindings",
                "ecr:DescribeImages",
                "ecr:GetDownloadUrlForLayer",
                "ecr:PutImage",
            ],
            resources=list(registry.feature_repository_arns.values()),
        ),
        Statement(
            sid="HostsPaymentKey",
            actions=["secretsmanager:GetSecretValue"],
            resources=[stack.arn("secretsmanager", f"secret:{stack.owner}/payment-api-key-*")],
        ),
    )


def _state(stack: Workspace) -> tuple[Statement, ...]:
    return (
        Statement(sid="ListState", actions=["s3:ListBucket"], resources=[state_buckets(stack)]),
        Statement(
            sid="ReadState",
            actions=["s3:GetObject"],
            resources=[f"{state_buckets(stack)}/{owner}/*" for owner in (ACCOUNT, stack.owner, NAMED)],
        ),
        Statement(
            sid="WriteFeatureState",
            actions=["s3:DeleteObject", "s3:PutObject"],
            resources=[f"{state_buckets(stack)}/{NAMED}"],
        ),
    )


def _own_resources(stack: Workspace) -> Statement:
    resources = (
        f"dynamodb:{stack.region}:*:table/{NAMED}",
        *(
            f"ecs:{stack.region}:*:{kind}/{stack.owner}/{NAMED}"
            for kind in ("service", "service-deployment", "service-revision")
        ),
        f"ecs:{stack.region}:*:task-definition/{NAMED}",
        f"elasticloadbalancing:{stack.region}:*:targetgroup/{NAMED}",
        f"logs:{stack.region}:*:log-group:/{stack.region}/{NAMED}",
        f"pipes:{stack.region}:*:pipe/{NAMED}",
        f"secretsmanager:{stack.region}:*:secret:{NAMED}",
        f"sns:{stack.region}:*:{NAMED}",
        f"sqs:{stack.region}:*:{NAMED}",
    )
    return Statement(
        sid="FeatureResources",
        actions=[f"{service}:*" for service in OWN_SERVICES],
        # Without the account's number, for the size of the policy: another account would have to allow the access too.
        resources=[f"arn:aws:{resource}" for resource in resources],
        wildcard="every action on what has the name of a feature environment",
    )


def _alarms(stack: Workspace) -> Statement:
    return Statement(
        sid="FeatureAlarms",
        actions=[
            "cloudwatch:DeleteAlarms",
            "cloudwatch:ListTagsForResource",
            "cloudwatch:PutMetricAlarm",
            "cloudwatch:TagResource",
            "cloudwatch:UntagResource",
        ],
        resources=[
            stack.arn("cloudwatch", f"alarm:{NAMED}"),
            # A scaling policy makes alarms in the name of its caller:
            # https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_id-based-policy-examples.html
            stack.arn("cloudwatch", f"alarm:TargetTracking-service/{stack.owner}/{NAMED}"),
        ],
    )


def _scaling(stack: Workspace) -> tuple[Statement, ...]:
    targets = stack.arn("application-autoscaling", "scalable-target/*")
    return (
        Statement(
            sid="NewScaling",
            actions=["application-autoscaling:RegisterScalableTarget", "application-autoscaling:TagResource"],
            resources=[targets],
            conditions=CREATED,
        ),
        Statement(
            sid="FeatureScaling",
            actions=[
                "application-autoscaling:DeleteScalingPolicy",
                "application-autoscaling:DeregisterScalableTarget",
                "application-autoscaling:PutScalingPolicy",
                "application-autoscaling:RegisterScalableTarget",
                "application-autoscaling:UntagResource",
            ],
            resources=[targets],
            conditions=TAGGED,
        ),
    )


def _security_groups(stack: Workspace) -> tuple[Statement, ...]:
    groups, rules = stack.arn("ec2", "security-group/*"), stack.arn("ec2", "security-group-rule/*")
    changes = [f"ec2:{verb}SecurityGroup{way}" for verb in ("Authorize", "Revoke") for way in ("Egress", "Ingress")] + [
        "ec2:ModifySecurityGroupRules"
    ]
    return (
        Statement(sid="GroupsInVpc", actions=["ec2:CreateSecurityGroup"], resources=[stack.arn("ec2", "vpc/*")]),
        Statement(sid="NewGroups", actions=["ec2:CreateSecurityGroup"], resources=[groups], conditions=CREATED),
        Statement(
            sid="FeatureGroups",
            actions=[*changes, "ec2:DeleteSecurityGroup", "ec2:DeleteTags"],
            resources=[groups],
            conditions=TAGGED,
        ),
        # AWS also asks for the permission on the group of each rule.
        Statement(sid="RulesOfGroups", actions=changes, resources=[rules]),
        Statement(
            sid="TagNewGroups",
            actions=["ec2:CreateTags"],
            resources=[groups, rules],
            conditions={
                "StringEquals": {
                    "ec2:CreateAction": [
                        "AuthorizeSecurityGroupEgress",
                        "AuthorizeSecurityGroupIngress",
                        "CreateSecurityGroup",
                    ]
                }
            },
        ),
    )


def _listener_rules(stack: Workspace) -> tuple[Statement, ...]:
    balancer = f"app/{name(stack.owner, 'orders', limit=TARGET_GROUP_LENGTH)}/*"
    rules = stack.arn("elasticloadbalancing", f"listener-rule/{balancer}")
    return (
        Statement(
            sid="NewRules",
            actions=["elasticloadbalancing:CreateRule"],
            resources=[stack.arn("elasticloadbalancing", f"listener/{balancer}")],
        ),
        Statement(
            sid="TagNewRules",
            actions=["elasticloadbalancing:AddTags"],
            resources=[rules],
            conditions={
                **CREATED,
                "StringEquals": {"elasticloadbalancing:CreateAction": "CreateRule"},
            },
        ),
        Statement(
            sid="FeatureRules",
            actions=[
                "elasticloadbalancing:DeleteRule",
                "elasticloadbalancing:ModifyRule",
                "elasticloadbalancing:RemoveTags",
                "elasticloadbalancing:SetRulePriorities",
            ],
            resources=[rules],
            conditions=TAGGED,
        ),
    )


def _roles(stack: Workspace) -> tuple[Statement, ...]:
    roles = stack.iam_arn(f"role{ROLE_PATH}{NAMED}")
    boundary = stack.iam_arn(f"policy{ROLE_PATH}{FEATURE_BOUNDARY_NAME}")
    return (
        Statement(
            sid="MakeFeatureRoles",
            actions=["iam:CreateRole", "iam:PutRolePolicy"],
            resources=[roles],
            conditions={"StringEquals": {"iam:PermissionsBoundary": boundary}},
        ),
        Statement(
            sid="KeepFeatureRoles",
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
            sid="HandFeatureRolesOn",
            actions=["iam:PassRole"],
            resources=[roles],
            conditions={"StringEquals": {"iam:PassedToService": ["ecs-tasks.amazonaws.com", "pipes.amazonaws.com"]}},
        ),
    )


def _keys(stack: Workspace, data_key_arn: str, logs_key_arn: str) -> tuple[Statement, ...]:
    through = [
        f"{service}.{stack.region}.amazonaws.com" for service in ("dynamodb", "secretsmanager", "sns", "sqs", "logs")
    ]
    keys = [data_key_arn, logs_key_arn]
    return (
        Statement(
            sid="UseHostsKeys",
            actions=["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"],
            resources=keys,
            conditions={"StringEquals": {"kms:ViaService": through}},
        ),
        Statement(sid="FindHostsKeys", actions=["kms:DescribeKey"], resources=keys),
        Statement(
            sid="GrantHostsKeys",
            actions=["kms:CreateGrant"],
            resources=keys,
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    )
