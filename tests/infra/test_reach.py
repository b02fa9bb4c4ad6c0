"""Who can reach what: what each ref may use and change, what is forbidden, and that a loosened row is found."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import pytest
import yaml

from infra.environments import ENVIRONMENTS
from infra.github import FEATURE_BRANCHES, GITHUB_ENVIRONMENTS, GithubEnvironment
from tests.infra import workflows
from tests.infra.reach import PULL_REQUEST, Act, Role, reached, roles_of
from tests.infra.synthesis import FEATURE, ROOT, Resource, none, stack_of, stacks
from tests.infra.workflows import SignIn, sign_ins, sign_ins_of, workflow

REGION = "eu-central-1"
REFS = {
    "main": [
        "dev-{}-ci-apply",
        "dev-{}-ci-deploy",
        "dev-{}-ci-plan",
        "features-{}-ci-destroy",
        "images-{}-ci-push",
        "prod-{}-ci-apply",
        "prod-{}-ci-deploy",
        "prod-{}-ci-plan",
        "uat-{}-ci-apply",
        "uat-{}-ci-deploy",
        "uat-{}-ci-plan",
    ],
    "feat/login": ["features-{}-ci-apply", "features-{}-ci-deploy"],
    "feat-login": ["features-{}-ci-apply", "features-{}-ci-deploy"],
    "feature/a/b": ["features-{}-ci-apply", "features-{}-ci-deploy"],
    "fix/feat": [],
    PULL_REQUEST: ["dev-{}-ci-plan", "prod-{}-ci-plan", "uat-{}-ci-plan"],
}
"""Roles by ref."""

SERVICES = ("order-api", "order-processor", "order-notifier")
PUSHES = ("ecr:PutImage", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload")
ENDS = ("dynamodb:DeleteTable", "dynamodb:PutItem", "dynamodb:GetItem")

MAINS_IMAGES = [Act(action, f"ecr:repository/{service}") for action in PUSHES for service in SERVICES]
FEATURES_IMAGES = [Act(action, f"ecr:repository/features/{service}") for action in PUSHES for service in SERVICES]
ACCOUNTS_RULES = [
    Act("iam:CreatePolicyVersion", "iam:policy/order-platform/feature-boundary"),
    Act("iam:PutRolePolicy", f"iam:role/order-platform-ci/features-{REGION}-ci-apply"),
    Act("iam:UpdateAssumeRolePolicy", f"iam:role/order-platform-ci/prod-{REGION}-ci-apply"),
]


def of_environment(name: str) -> list[Act]:
    """Changes of what belongs to an environment."""
    return [
        *(Act(action, f"dynamodb:table/{name}-orders") for action in ENDS),
        Act("ecs:UpdateService", f"ecs:service/{name}/order-api"),
        Act("ecs:DeleteService", f"ecs:service/{name}/order-api"),
        Act("elasticloadbalancing:ModifyRule", f"elasticloadbalancing:listener-rule/app/{name}-orders/1/2/3", name),
        Act("elasticloadbalancing:ModifyListener", f"elasticloadbalancing:listener/app/{name}-orders/1/2"),
        Act("ec2:AuthorizeSecurityGroupIngress", "ec2:security-group/sg-1", name),
        Act("ec2:DeleteVpc", "ec2:vpc/vpc-1", name),
        Act("iam:PutRolePolicy", f"iam:role/order-platform/{name}-{REGION}-order-api-task"),
        Act("iam:PassRole", f"iam:role/order-platform/{name}-{REGION}-order-api-task"),
        Act("logs:DeleteLogGroup", f"logs:log-group:/{REGION}/{name}/order-api"),
        Act("cloudwatch:DeleteAlarms", f"cloudwatch:alarm:{name}-dead-letters"),
        Act("s3:PutObject", f"s3:order-platform-state-1-{REGION}/{name}/{REGION}/supporting.tfstate"),
        Act("secretsmanager:PutSecretValue", f"secretsmanager:secret:{name}/payment-api-key-Ab12Cd"),
        Act("sqs:PurgeQueue", f"sqs:{name}-orders"),
        Act("application-autoscaling:PutScalingPolicy", "application-autoscaling:scalable-target/1", name),
    ]


@dataclass(frozen=True)
class Setting:
    environments: Sequence[GithubEnvironment]
    roles: Sequence[Role]


@cache
def ours() -> Setting:
    return Setting(GITHUB_ENVIRONMENTS, roles_of(stack_of(name, "supporting") for name in ENVIRONMENTS))


def faults(setting: Setting) -> list[str]:
    """Every forbidden row that holds."""
    found = []
    for ref, expected in REFS.items():
        roles = reached(ref, setting.environments, setting.roles)
        unexpected = sorted(set(roles) - {each.format(REGION) for each in expected})
        found += [f"{ref}: reaches {name}" for name in unexpected]
        for act in forbidden(ref):
            found += [f"{ref}: may {act}, as {role.name}" for role in roles.values() if role.may(act)]
    for role in setting.roles:
        found += [f"{role.name}: may {act}" for act in forbidden_to(role.name) if role.may(act)]
    found += [
        f"{each.name}: nobody approves" for each in setting.environments if _is_approved(each) != bool(each.reviewers)
    ]
    return found


def _is_approved(each: GithubEnvironment) -> bool:
    return each.name in {"uat-approval", "prod-approval"}


def forbidden(ref: str) -> list[Act]:
    if ref == "main":
        return ACCOUNTS_RULES
    everything = [act for name in ENVIRONMENTS for act in of_environment(name)]
    features = of_environment("feat-x") if not ref.startswith("feat") else []
    return [
        *ACCOUNTS_RULES,
        *MAINS_IMAGES,
        *everything,
        *features,
        *([] if ref.startswith("feat") else FEATURES_IMAGES),
        *([] if ref == PULL_REQUEST else [Act("s3:GetObject", f"s3:order-platform-state-1-{REGION}/prod/x.tfstate")]),
        Act("secretsmanager:GetSecretValue", "secretsmanager:secret:prod/payment-api-key-Ab12Cd"),
        Act("secretsmanager:GetSecretValue", "secretsmanager:secret:dev/cursor-secrets-Ab12Cd"),
        Act("lambda:CreateFunction", "lambda:function:x"),
    ]


def forbidden_to(role: str) -> list[Act]:
    """What a role may not do, although its refs may."""
    group, _, verb = role.partition(f"-{REGION}-ci-")
    others = [act for name in ENVIRONMENTS if name != group for act in of_environment(name)]
    if verb == "deploy" and group != "features":
        uploads = [act for act in (*MAINS_IMAGES, *FEATURES_IMAGES) if act.action != "ecr:PutImage"]
        return [*uploads, *others, Act("dynamodb:DeleteTable", f"dynamodb:table/{group}-orders")]
    if verb == "push":
        return [*FEATURES_IMAGES, *others, *of_environment("dev"), *of_environment("feat-x")]
    if verb == "destroy":
        return [*MAINS_IMAGES, *others]
    return []


def test_each_ref_reaches_these_roles() -> None:
    setting = ours()
    for ref, expected in REFS.items():
        found = sorted(reached(ref, setting.environments, setting.roles))
        assert found == [each.format(REGION) for each in expected], ref


def test_no_forbidden_row_holds() -> None:
    none(faults(ours()))


def test_what_must_be_allowed_is() -> None:
    """Or a table of what is forbidden would say nothing."""
    roles = {role.name: role for role in ours().roles}
    for act in (*FEATURES_IMAGES, Act("ecs:UpdateService", "ecs:service/dev/feat-x-order-api")):
        assert roles[f"features-{REGION}-ci-deploy"].may(act), str(act)
    for act in MAINS_IMAGES:
        assert roles[f"images-{REGION}-ci-push"].may(act), str(act)
    for name in ENVIRONMENTS:
        assert roles[f"{name}-{REGION}-ci-deploy"].may(Act("ecr:PutImage", "ecr:repository/order-api"))
        assert roles[f"{name}-{REGION}-ci-deploy"].may(Act("ecs:UpdateService", f"ecs:service/{name}/order-api"))
        assert roles[f"{name}-{REGION}-ci-apply"].may(Act("dynamodb:DeleteTable", f"dynamodb:table/{name}-orders"))
    plans = [role for name, role in roles.items() if name.endswith("-ci-plan")]
    assert len(plans) == len(ENVIRONMENTS)
    assert all(role.may(Act("acm:GetCertificate", "acm:certificate/1")) for role in plans)


ARNS: dict[str, Callable[[Resource], list[Act]]] = {
    "aws_appautoscaling_policy": lambda _: [
        Act("application-autoscaling:PutScalingPolicy", "application-autoscaling:scalable-target/1", FEATURE),
        Act("cloudwatch:PutMetricAlarm", f"cloudwatch:alarm:TargetTracking-service/dev/{FEATURE}-order-api-AlarmHigh"),
    ],
    "aws_appautoscaling_target": lambda _: [
        Act("application-autoscaling:RegisterScalableTarget", "application-autoscaling:scalable-target/1", FEATURE),
        Act("application-autoscaling:DeregisterScalableTarget", "application-autoscaling:scalable-target/1", FEATURE),
    ],
    "aws_cloudwatch_log_group": lambda each: [Act("logs:CreateLogGroup", f"logs:log-group:{each['name']}")],
    "aws_cloudwatch_log_metric_filter": lambda _: [
        Act("logs:PutMetricFilter", f"logs:log-group:/{REGION}/{FEATURE}/order-api")
    ],
    "aws_cloudwatch_metric_alarm": lambda each: [
        Act("cloudwatch:PutMetricAlarm", f"cloudwatch:alarm:{each['alarm_name']}")
    ],
    "aws_dynamodb_table": lambda each: [Act("dynamodb:CreateTable", f"dynamodb:table/{each['name']}")],
    "aws_ecs_service": lambda each: [Act("ecs:CreateService", f"ecs:service/dev/{each['name']}")],
    "aws_ecs_task_definition": lambda each: [
        Act("ecs:RegisterTaskDefinition", f"ecs:task-definition/{each['family']}:1")
    ],
    "aws_iam_role": lambda each: [
        Act(action, f"iam:role{each['path']}{each['name']}")
        for action in ("iam:CreateRole", "iam:PassRole", "iam:DeleteRole")
    ],
    "aws_iam_role_policy": lambda _: [
        Act("iam:PutRolePolicy", f"iam:role/order-platform/{FEATURE[:20]}-order-api-task")
    ],
    "aws_lb_listener_rule": lambda _: [
        Act("elasticloadbalancing:CreateRule", "elasticloadbalancing:listener/app/dev-orders/1/2"),
        Act("elasticloadbalancing:AddTags", "elasticloadbalancing:listener-rule/app/dev-orders/1/2/3", FEATURE),
        Act("elasticloadbalancing:DeleteRule", "elasticloadbalancing:listener-rule/app/dev-orders/1/2/3", FEATURE),
    ],
    "aws_lb_target_group": lambda each: [
        Act("elasticloadbalancing:CreateTargetGroup", f"elasticloadbalancing:targetgroup/{each['name']}/1")
    ],
    "aws_pipes_pipe": lambda each: [Act("pipes:CreatePipe", f"pipes:pipe/{each['name']}")],
    "aws_secretsmanager_secret": lambda each: [
        Act("secretsmanager:CreateSecret", f"secretsmanager:secret:{each['name']}-Ab12Cd")
    ],
    "aws_security_group": lambda _: [
        Act("ec2:CreateSecurityGroup", "ec2:vpc/vpc-1"),
        Act("ec2:CreateSecurityGroup", "ec2:security-group/*", FEATURE),
        Act("ec2:DeleteSecurityGroup", "ec2:security-group/sg-1", FEATURE),
    ],
    "aws_sns_topic": lambda each: [Act("sns:CreateTopic", f"sns:{each['name']}")],
    "aws_sns_topic_policy": lambda _: [Act("sns:SetTopicAttributes", f"sns:{FEATURE}-order-changes")],
    "aws_sns_topic_subscription": lambda _: [Act("sns:Subscribe", f"sns:{FEATURE}-order-changes")],
    "aws_sqs_queue": lambda each: [Act("sqs:CreateQueue", f"sqs:{each['name']}")],
    "aws_sqs_queue_policy": lambda _: [Act("sqs:SetQueueAttributes", f"sqs:{FEATURE}-orders")],
    "aws_sqs_queue_redrive_allow_policy": lambda _: [Act("sqs:SetQueueAttributes", f"sqs:{FEATURE}-orders")],
    "aws_vpc_security_group_egress_rule": lambda _: [
        Act("ec2:AuthorizeSecurityGroupEgress", "ec2:security-group/sg-1", FEATURE),
        Act("ec2:AuthorizeSecurityGroupEgress", "ec2:security-group-rule/*"),
    ],
    "aws_vpc_security_group_ingress_rule": lambda _: [
        Act("ec2:AuthorizeSecurityGroupIngress", "ec2:security-group/sg-1", FEATURE),
        Act("ec2:RevokeSecurityGroupIngress", "ec2:security-group-rule/sgr-1"),
    ],
}
"""The calls by which Terraform makes and removes each kind of a feature's resources."""


@pytest.mark.parametrize("verb", ["apply", "destroy"])
def test_a_feature_can_be_made_and_destroyed(verb: str) -> None:
    (role,) = [role for role in ours().roles if role.name == f"features-{REGION}-ci-{verb}"]
    own = [each for stack in stacks() if stack.variant == FEATURE for each in stack.resources()]
    assert {each.kind for each in own} <= ARNS.keys()
    none(f"{each}: {act}" for each in own for act in ARNS[each.kind](each) if not role.may(act))


IAM_NAMES = {
    "acm": "acm",
    "appautoscaling": "application-autoscaling",
    "autoscaling": "autoscaling",
    "cloudwatch_log": "logs",
    "cloudwatch": "cloudwatch",
    "dynamodb": "dynamodb",
    "ecr": "ecr",
    "ecs": "ecs",
    "iam": "iam",
    "kms": "kms",
    "lb": "elasticloadbalancing",
    "pipes": "pipes",
    "route53": "route53",
    "s3": "s3",
    "secretsmanager": "secretsmanager",
    "sns": "sns",
    "sqs": "sqs",
    "ssm": "ssm",
    "wafv2": "wafv2",
}
"""Of AWS's services, by the beginning of the provider's names."""
OF_EC2 = re.compile(
    r"aws_(default_security_group|eip|flow_log|internet_gateway|launch_template|nat_gateway|route|route_table\w*|"
    r"security_group|subnet|vpc\w*|availability_zones?)"
)


def service_of(kind: str) -> str | None:
    """The name in IAM; None for what calls no service that needs a permission."""
    if kind in {"aws_caller_identity", "terraform_remote_state"}:
        return None
    if OF_EC2.fullmatch(kind):
        return "ec2"
    return next(name for prefix, name in IAM_NAMES.items() if kind.startswith(f"aws_{prefix}"))


def test_apply_may_use_the_services_of_the_stacks_and_no_other() -> None:
    kinds = {kind for stack in stacks() for part in ("resource", "data") for kind in stack.body.get(part, {})}
    expected = {f"{service}:*" for kind in kinds if (service := service_of(kind))} - {"iam:*"}
    for name in ENVIRONMENTS:
        (role,) = [role for role in ours().roles if role.name == f"{name}-{REGION}-ci-apply"]
        (statement,) = [each for each in role.statements if each.sid == "Stacks"]
        assert set(statement.actions) == expected


def test_each_environment_of_github_is_used_and_named() -> None:
    signs_in = {each.environment for each in sign_ins() if each.environment}
    approves = {
        str(job.body["environment"])
        for job in workflow("deploy.yml").jobs
        if "environment" in job.body and not job.signs_in
    }
    assert signs_in | approves == {each.name for each in GITHUB_ENVIRONMENTS}
    assert approves == {each.name for each in GITHUB_ENVIRONMENTS if each.reviewers}


def test_the_table_of_the_document_is_this_one() -> None:
    rows = re.findall(r"^   \| (`[^|]+) \| ([^|]*) \| ([^|]*) \|$", (ROOT / "docs" / "ci.md").read_text(), re.MULTILINE)
    shown = {
        name: (tuple(re.findall("`([^`]+)`", branches)), reviewers.strip())
        for names, branches, reviewers in rows
        for name in re.findall("`([^`]+)`", names)
    }
    assert shown == {each.name: (each.branches, each.reviewers) for each in GITHUB_ENVIRONMENTS}


def started_by(name: str) -> list[SignIn]:
    return [each for job in workflow(name).jobs for each in sign_ins_of(job)]


def loose(found: list[SignIn], allowed: str) -> list[str]:
    """Sign-ins as another role than those whose names match."""
    return [str(each) for each in found if not re.search(rf"/order-platform-ci/{allowed}$", each.role)]


FROM_A_BRANCH = "features-region-ci-(deploy|apply|destroy)"
FROM_A_PULL_REQUEST = "(dev|uat|prod)-region-ci-plan"
FROM_MAIN = "(images-region-ci-push|(dev|uat|prod)-region-ci-(apply|deploy))"
WORKFLOWS = {
    "feature.yml": FROM_A_BRANCH,
    "gc.yml": FROM_A_BRANCH,
    "infrastructure.yml": FROM_A_PULL_REQUEST,
    "deploy.yml": FROM_MAIN,
}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_signs_in_as_its_own_roles(name: str) -> None:
    assert started_by(name)
    assert loose(started_by(name), WORKFLOWS[name]) == []


@pytest.mark.parametrize(
    ("name", "file", "text", "loosened"),
    [
        ("feature.yml", "feature.yml", "roles-of: features", "roles-of: dev"),
        ("feature.yml", "images.yml", "inputs.environment && 'features' || 'images'", "'images'"),
        ("feature.yml", "feature.yml", "          environment: features\n", "          environment: dev\n"),
        ("gc.yml", "gc.yml", "          environment: features\n", "          environment: prod\n"),
        ("infrastructure.yml", "infrastructure.yml", "role: plan", "role: apply"),
        ("deploy.yml", "images.yml", "|| 'push'", "|| 'destroy'"),
    ],
)
def test_a_workflow_that_is_loosened_is_found(
    name: str, file: str, text: str, loosened: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workflow(file).path
    assert text in path.read_text()
    changed = replace(workflow(file), body=yaml.safe_load(path.read_text().replace(text, loosened)))
    monkeypatch.setattr(workflows, "workflow", lambda each, known=workflow: changed if each == file else known(each))
    found = [each for job in workflows.workflow(name).jobs for each in sign_ins_of(job)]
    assert loose(found, WORKFLOWS[name])


def branches_of(name: str, branches: tuple[str, ...]) -> Callable[[Setting], Setting]:
    def mutate(setting: Setting) -> Setting:
        return replace(
            setting,
            environments=[
                replace(each, branches=branches) if each.name == name else each for each in setting.environments
            ],
        )

    return mutate


def trusting(role: str, subject: str) -> Callable[[Setting], Setting]:
    def mutate(setting: Setting) -> Setting:
        return replace(
            setting,
            roles=[
                replace(each, subjects=each.subjects | {subject}) if each.name == role else each
                for each in setting.roles
            ],
        )

    return mutate


def allowing(role: str, sid: str, **changes: tuple[str, ...] | dict[str, str]) -> Callable[[Setting], Setting]:
    """Change a statement of a role."""

    def mutate(setting: Setting) -> Setting:
        return replace(
            setting, roles=[_changed(each, sid, changes) if each.name == role else each for each in setting.roles]
        )

    return mutate


def _changed(role: Role, sid: str, changes: dict[str, tuple[str, ...] | dict[str, str]]) -> Role:
    assert sid in {each.sid for each in role.statements}
    statements = tuple(replace(each, **changes) if each.sid == sid else each for each in role.statements)  # type: ignore[arg-type]  # names of fields
    return replace(role, statements=statements)


def unreviewed(setting: Setting) -> Setting:
    return replace(setting, environments=[replace(each, reviewers="") for each in setting.environments])


FEATURES = f"features-{REGION}-ci"
MUTATIONS: dict[str, Callable[[Setting], Setting]] = {
    "a branch uses dev-apply": branches_of("dev-apply", ("main", *FEATURE_BRANCHES)),
    "a branch uses images": branches_of("images", ("main", *FEATURE_BRANCHES)),
    "every branch uses prod": branches_of("prod", ("*",)),
    "a branch destroys": branches_of("features-destroy", FEATURE_BRANCHES),
    "every branch makes features": branches_of("features-apply", ("**/*",)),
    "features push main's images": trusting(f"images-{REGION}-ci-push", "environment:features"),
    "a pull request deploys": trusting(f"dev-{REGION}-ci-deploy", "pull_request"),
    "features apply prod": trusting(f"prod-{REGION}-ci-apply", "environment:features-apply"),
    "no reviewers": unreviewed,
    "a branch pushes to every repository": allowing(f"{FEATURES}-deploy", "Images", resources=("*",)),
    "a branch uploads layers everywhere": allowing(f"{FEATURES}-deploy", "Layers", resources=("*",)),
    "a branch deploys dev's services": allowing(f"{FEATURES}-deploy", "Services", resources=("*",)),
    "a branch changes every table": allowing(f"{FEATURES}-apply", "FeatureResources", resources=("*",)),
    "a branch writes every state": allowing(f"{FEATURES}-apply", "WriteFeatureState", resources=("*",)),
    "a branch reads every state": allowing(f"{FEATURES}-apply", "ReadState", resources=("*",)),
    "a branch changes every role": allowing(f"{FEATURES}-apply", "KeepFeatureRoles", resources=("*",)),
    "a branch passes every role": allowing(f"{FEATURES}-apply", "HandFeatureRolesOn", resources=("*",)),
    "a branch reads every secret": allowing(f"{FEATURES}-apply", "HostsPaymentKey", resources=("*",)),
    "a branch opens every group": allowing(f"{FEATURES}-apply", "FeatureGroups", conditions={}),
    "a branch changes every rule": allowing(f"{FEATURES}-apply", "FeatureRules", conditions={}),
    "a branch scales everything": allowing(f"{FEATURES}-apply", "FeatureScaling", conditions={}),
    "a branch silences every alarm": allowing(f"{FEATURES}-apply", "FeatureAlarms", resources=("*",)),
    "destroy takes dev's tables": allowing(f"{FEATURES}-destroy", "FeatureResources", resources=("*",)),
    "prod's deployments upload layers": allowing(f"prod-{REGION}-ci-deploy", "Images", actions=("ecr:*",)),
    "uat deploys prod": allowing(f"uat-{REGION}-ci-deploy", "Services", resources=("*",)),
    "apply changes CI's roles": lambda setting: allowing(f"dev-{REGION}-ci-apply", "NeverItself", resources=())(
        allowing(f"dev-{REGION}-ci-apply", "KeepRoles", resources=("*",))(setting)
    ),
    "a plan writes": allowing(f"prod-{REGION}-ci-plan", "ReadState", actions=("s3:*",)),
    "push moves feature's tags": allowing(f"images-{REGION}-ci-push", "Images", resources=("*",)),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_each_loosened_row_is_found(mutation: str) -> None:
    assert faults(MUTATIONS[mutation](ours()))
