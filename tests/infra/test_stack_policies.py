"""IAM: what is open says why, no role outgrows the boundary, and only who is named may take one."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from tests.infra.policies import Statement, statements_in, statements_of
from tests.infra.synthesis import Resource, every, none, of_kind, stacks

CI_PATH = "/order-platform-ci/"

OPEN = {
    "FindLogGroup": ("a list of groups takes no resource", {"flow_log_policy"}),
    "FeatureBoundary": ("it allows nothing by itself: it caps what the roles' own policies name", {"feature_boundary"}),
    "FeatureData": ("every action on tables and queues of features, by their names", {"feature_boundary"}),
    "FeatureResources": (
        "every action on what has the name of a feature",
        {"ci_feature_apply_policy", "ci_feature_destroy_policy"},
    ),
    "ReadSettings": (
        "what a plan reads besides; none of it is data",
        {"ci_plan_policy", "ci_feature_apply_policy", "ci_feature_destroy_policy"},
    ),
    "Stacks": ("the services of the stacks", {"ci_apply_policy"}),
    "AccountDecidesByItsPolicies": (
        "a key's policy is about that key alone, and somebody must administer it",
        {"data_key", "images_key", "logs_key"},
    ),
    "TopicsToQueues": ("a key's policy is about that key alone", {"data_key"}),
    "FindStream": ("a list of streams takes no resource", {"changes_pipe_policy"}),
    "AlarmsToTopic": ("a key's policy is about that key alone", {"data_key"}),
    "Boundary": ("it allows nothing by itself: it caps what the roles' own policies name", {"boundary"}),
    "LogGroups": ("a key's policy is about that key alone", {"logs_key"}),
    "Look": (
        "descriptions, most of which take no resource",
        {
            "ci_deploy_policy",
            "ci_feature_apply_policy",
            "ci_feature_deploy_policy",
            "ci_feature_destroy_policy",
            "order_api_infrastructure_policy",
        },
    ),
    "ReadIam": (
        "a plan compares every role and policy, and changes none",
        {"ci_apply_policy"},
    ),
    "Shell": (
        "the channels of ECS Exec take no resource; off in production",
        {"order_api_task_policy", "order_processor_task_policy", "order_notifier_task_policy"},
    ),
    "SignInToRegistry": (
        "the registry's token has no resource",
        {
            "ci_push_policy",
            "ci_feature_deploy_policy",
            "order_api_execution_policy",
            "order_processor_execution_policy",
            "order_notifier_execution_policy",
        },
    ),
}
"""Statements that allow an action by a pattern, or on everything, by their Sid: why, and where they stand."""

READS = ("Look", "ReadIam")

WITHIN = {
    "FeatureAlarms": "alarms of features",
    "FeatureData": "tables and queues of features",
    "FeatureGroups": "security groups with the tag of a feature",
    "FeatureImages": "image repositories of features",
    "FeatureLogs": "log groups of features",
    "FeatureResources": "what has the name of a feature",
    "FeatureRules": "listener rules with the tag of a feature",
    "FeatureScaling": "scaling with the tag of a feature",
    "GroupsInVpc": "the networks in which a security group is made",
    "HandFeatureRolesOn": "roles of features",
    "HostsPaymentKey": "the payment key of the host, whose ARN ends at random",
    "KeepFeatureRoles": "roles of features",
    "MakeFeatureRoles": "roles of features, inside their boundary",
    "NewGroups": "security groups that get the tag of a feature",
    "NewRules": "the listeners of the host's load balancer",
    "NewScaling": "scaling that gets the tag of a feature",
    "RulesOfGroups": "the rules of security groups: the group is checked too",
    "TagNewGroups": "tags while a security group or its rule is made",
    "TagNewRules": "tags while a listener rule is made",
    "WriteFeatureState": "the states of features",
    "HandRolesOn": "roles of ours, and only to AWS's services that run them",
    "InstanceProfiles": "profiles of ours",
    "KeepRoles": "roles of ours, inside the boundary",
    "ListState": "the state buckets, whose names end in their region",
    "LoadBalancerWrites": "the folder of our account in the bucket",
    "LocksAndAudit": "the audit table of each feature environment",
    "MakeRolesWithinTheBoundary": "roles of ours, inside the boundary",
    "QueueDepth": "the queues of one host's features, besides its own",
    "ReadState": "the state buckets, whose names end in their region",
    "ServiceLinkedRoles": "AWS's own roles for the listed services",
    "Services": "services and their deployments in one cluster",
    "WriteFlowLog": "the streams of one log group",
    "WriteLogs": "the streams of one log group",
}
"""Statements with a pattern in a resource, by their Sid: of what."""

CI = "ci_"
ROLE_LENGTH = 64  # IAM
MANAGED_POLICIES = {
    "ci_plan": {"job-function/ViewOnlyAccess", "SecurityAudit"},
    "ci_feature_apply": {"job-function/ViewOnlyAccess", "SecurityAudit"},
    "ci_feature_destroy": {"job-function/ViewOnlyAccess", "SecurityAudit"},
    "instance": {"service-role/AmazonEC2ContainerServiceforEC2Role", "AmazonSSMManagedInstanceCore"},
}
"""Of AWS, by role."""


def allowed() -> Iterator[Statement]:
    return (statement for stack in stacks() for statement in statements_in(stack) if statement.allows)


def is_open(statement: Statement) -> bool:
    return "*" in statement.resources or any("*" in action for action in statement.actions)


def has_pattern(statement: Statement) -> bool:
    return any("*" in resource and resource != "*" for resource in statement.resources)


def roles() -> list[Resource]:
    return every("aws_iam_role")


def label(role: Resource) -> str:
    return role.name.removesuffix("_role")


def policies(role: Resource) -> list[Statement]:
    """What its inline policy allows."""
    return [
        statement
        for policy in role.stack.resources("aws_iam_role_policy")
        if policy["role"] == f"${{{role.address}.id}}"
        for statement in statements_of(policy)
        if statement.allows
    ]


def test_what_is_open_has_a_reason() -> None:
    none(
        f"{statement} is open: name actions and resources"
        for statement in allowed()
        if is_open(statement) and statement.resource.name not in OPEN.get(statement.sid, ("", set()))[1]
    )


def test_no_reason_is_left_over() -> None:
    found = {(statement.sid, statement.resource.name) for statement in allowed() if is_open(statement)}
    assert found == {(sid, holder) for sid, (_, holders) in OPEN.items() for holder in holders}
    assert {statement.sid for statement in allowed() if has_pattern(statement)} == WITHIN.keys()


def test_patterns_in_resources_have_a_reason() -> None:
    none(
        f"{statement}: {statement.resources}"
        for statement in allowed()
        if has_pattern(statement) and statement.sid not in WITHIN
    )


def test_nothing_allows_everything() -> None:
    none(f"{statement}: {action}" for statement in allowed() for action in statement.actions if action.startswith("*"))


def test_who_looks_only_reads() -> None:
    none(
        f"{statement}: {action}"
        for statement in allowed()
        if statement.sid in READS
        for action in statement.actions
        if not action.split(":")[1].startswith(("Describe", "Get", "List"))
    )


def test_open_statements_of_keys_are_about_one_key() -> None:
    none(
        str(statement)
        for statement in allowed()
        if statement.sid in {"AccountDecidesByItsPolicies", "AlarmsToTopic", "LogGroups", "TopicsToQueues"}
        and statement.resource.kind != "aws_kms_key"
    )


def test_nobody_unnamed_is_let_in() -> None:
    none(
        f"{statement}: {statement.principals}"
        for statement in allowed()
        if "*" in {str(value) for value in statement.principals.values()}
    )


def test_keys_are_administered_by_the_account() -> None:
    none(
        f"{statement}: {statement.principals}"
        for statement in allowed()
        if statement.sid == "AccountDecidesByItsPolicies"
        and statement.principals != {"AWS": "arn:aws:iam::${data.aws_caller_identity.caller.account_id}:root"}
    )


def test_every_role_but_those_of_ci_is_inside_the_boundary() -> None:
    none(f"{role}: {role.get('permissions_boundary')}" for role in roles() if not _is_bounded(role))


def _is_bounded(role: Resource) -> bool:
    if role.name.startswith(CI):
        return role.get("permissions_boundary") is None
    name = "feature-boundary" if role.stack.owner.startswith("feat-") else "boundary"
    expected = f"arn:aws:iam::${{data.aws_caller_identity.caller.account_id}}:policy/order-platform/{name}"
    return bool(role["permissions_boundary"] == expected)


def test_the_boundary_holds_whatever_bounded_roles_may() -> None:
    held = {
        policy["name"]: [pattern for statement in statements_of(policy) for pattern in statement.actions]
        for stack in of_kind("registry", where=lambda stack: stack.variant == "dev")
        for policy in stack.resources("aws_iam_policy")
    }
    assert held.keys() == {"boundary", "feature-boundary"}
    none(
        f"{needed}: the boundary does not hold {action}"
        for role in roles()
        if (boundary := role.get("permissions_boundary"))
        for needed in policies(role)
        for action in needed.actions
        if not any(fnmatchcase(action, pattern) for pattern in held[boundary.rpartition("/")[2]])
    )


def test_the_boundary_holds_neither_iam_nor_the_account() -> None:
    for boundary in every("aws_iam_policy"):
        actions = {action for statement in statements_of(boundary) for action in statement.actions}
        assert not {action.split(":")[0] for action in actions} & {
            "*",
            "iam",
            "sts",
            "organizations",
            "account",
        }


def test_policies_of_aws_are_the_listed_ones() -> None:
    found: dict[str, set[str]] = {}
    for attachment in every("aws_iam_role_policy_attachment"):
        role = attachment["role"].split(".")[1].removesuffix("_role")
        found.setdefault(role, set()).add(attachment["policy_arn"].removeprefix("arn:aws:iam::aws:policy/"))
    assert found == MANAGED_POLICIES


def test_ci_is_our_repository_in_an_environment_of_its_own() -> None:
    """Only dev has roles for features, and no environment has one that destroys it."""
    for stack in of_kind("supporting", where=lambda stack: not stack.environment.is_feature):
        name = stack.environment.name
        expected = {
            "ci_plan": {"pull_request", f"environment:{name}"},
            "ci_deploy": {f"environment:{name}"},
            "ci_apply": {f"environment:{name}-apply"},
        }
        if name == "dev":
            expected |= {
                "ci_push": {"environment:images"},
                "ci_feature_deploy": {"environment:features"},
                "ci_feature_apply": {"environment:features-apply"},
                "ci_feature_destroy": {"environment:features-destroy"},
            }
        found = {}
        for role in stack.resources("aws_iam_role"):
            if role.name.startswith(CI):
                (trust,) = statements_of(role)
                claims = trust.conditions["StringEquals"]
                assert trust.conditions.keys() == {"StringEquals"}, trust
                assert claims["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com", trust
                subjects = claims["token.actions.githubusercontent.com:sub"]
                found[label(role)] = {subject.removeprefix("repo:example/order-platform:") for subject in subjects}
        assert found == expected, str(stack)


def test_ci_has_a_path_of_its_own() -> None:
    """By which it is kept from its own roles, however others are named."""
    paths = {role["path"] for role in roles() if label(role).startswith("ci_")}
    assert paths == {CI_PATH}
    assert CI_PATH not in {role["path"] for role in roles() if not label(role).startswith("ci_")}


def test_ci_makes_roles_inside_the_boundary_only_and_leaves_its_own() -> None:
    appliers = [role for role in roles() if label(role) == "ci_apply"]
    for role in appliers:
        statements = policies(role)
        makes = [statement for statement in statements if "iam:CreateRole" in statement.actions]
        assert makes, str(role)
        assert all("iam:PermissionsBoundary" in statement.conditions["StringEquals"] for statement in makes), str(role)
        grows = {
            "iam:AttachRolePolicy",
            "iam:PutRolePolicy",
            "iam:PutRolePermissionsBoundary",
            "iam:CreatePolicyVersion",
        }
        none(
            f"{statement}: without the boundary"
            for statement in statements
            if grows & set(statement.actions) and statement not in makes
        )
        (never,) = [
            statement
            for policy in role.stack.resources("aws_iam_role_policy")
            if policy["role"] == f"${{{role.address}.id}}"
            for statement in statements_of(policy)
            if not statement.allows
        ]
        assert {"iam:DeleteRolePermissionsBoundary", "iam:CreatePolicyVersion", "iam:UpdateAssumeRolePolicy"} <= set(
            never.actions
        )
        assert any(resource.endswith(f"role{CI_PATH}*") for resource in never.resources), str(never)
        assert any(resource.endswith("policy/order-platform/boundary") for resource in never.resources), str(never)


def test_names_fit() -> None:
    named = [*roles(), *every("aws_iam_instance_profile")]
    none(f"{resource}: {resource['name']}" for resource in named if len(resource["name"]) > ROLE_LENGTH)


def test_roles_have_one_name_each_in_the_account() -> None:
    for variant in {stack.variant for stack in stacks()}:
        names = [role["name"] for role in roles() if role.stack.variant == variant]
        assert len(names) == len(set(names)), variant
