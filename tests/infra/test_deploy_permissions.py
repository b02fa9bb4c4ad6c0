"""What `orderctl deploy` and its kin call is what CI's deploy role may, and the names that they use are the stacks'."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

import pytest

from order_operations.deployments.service_ref import API, SERVICES, ServiceRef
from order_shared.tables import OPERATIONS
from tests.infra.policies import Statement, statements_of
from tests.infra.synthesis import FEATURE, REFERENCE, Stack, none, of_kind, stack_of
from tests.integration.deploy_desk import FIRST, SECOND, Desk, ground
from tests.integration.deploy_wire import Call

HOSTS = ("dev", "uat", "prod")
ENVIRONMENTS = (*HOSTS, FEATURE)

PREFIXES = {"elbv2": "elasticloadbalancing"}
"""Of actions, where IAM does not call a service as botocore does."""
FREE = {"sts:GetCallerIdentity"}
"""No policy can refuse it."""
PUSH = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:GetAuthorizationToken",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
}
"""What a build calls; with the same role for features only."""
UNTRIED = {"elasticloadbalancing:DescribeListeners"}
"""Green's port, where no --test-url gives it: `order_operations.deployments.traffic`."""

Request = tuple[Call, dict[str, Any]]


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> list[Request]:
    """Of every verb on every service, with good ends and bad ones."""
    with ground(tmp_path_factory.mktemp("deployments")) as opened, opened.desk() as desk:
        for service in SERVICES:
            assert desk.deploy(SECOND, service=service).exit_code == 0
        for verb in ("status", "history", "verify"):
            assert desk.verb(verb).exit_code == 0
        assert desk.verb("diff", "--tag", SECOND).exit_code == 0
        desk.green.is_ready = False
        assert desk.verb("rollback", "--auto", "--test-url", desk.green.url).exit_code == 1
        assert _stopped_midway(desk).exit_code == 4
        assert desk.verb("wait").exit_code == 1
        assert desk.verb("finish").exit_code == 1
        _answer_nowhere(desk)
        # its green side is looked for where the balancer says
        assert desk.verb("rollback", "--to", FIRST, "--auto").exit_code == 1
        return desk.wire.requests


def _stopped_midway(desk: Desk) -> Any:
    desk.verb("rollback", "--to", FIRST, "--no-wait")
    desk.ecs.skip()
    return desk.verb("abort", "--reason", "of the test", "--no-wait")


def _answer_nowhere(desk: Desk) -> None:
    """The test listener is at a port that nobody listens on."""

    def here(answer: dict[str, Any]) -> None:
        for condition in (condition for rule in answer["Rules"] for condition in rule["Conditions"]):
            condition["HostHeaderConfig"]["Values"] = ["127.0.0.1"]

    def nobody(answer: dict[str, Any]) -> None:
        answer["Listeners"][0]["Port"] = 1

    desk.wire.after |= {"DescribeRules": here, "DescribeListeners": nobody}


def action_of(call: Call) -> str:
    service, operation = call
    return f"{PREFIXES.get(service, service)}:{operation}"


def deploy_role(environment: str) -> list[Statement]:
    """Of the environment, or of the one that it stands on."""
    ref = ServiceRef(environment=environment, kind=API)
    label = "ci_feature_deploy" if ref.is_feature else "ci_deploy"
    return statements_of(stack_of(ref.cluster, "supporting").the(f"aws_iam_role_policy.{label}_policy"))


def allowed(environment: str) -> set[str]:
    """Without the use of the key of the table."""
    return {
        action
        for statement in deploy_role(environment)
        for action in statement.actions
        if not action.startswith("kms:")
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_call_is_allowed(requests: list[Request], environment: str) -> None:
    called = {action_of(call) for call, _ in requests} - FREE
    assert called <= allowed(environment)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_nothing_is_allowed_that_no_verb_calls(requests: list[Request], environment: str) -> None:
    pushes = PUSH if environment == FEATURE else set()
    assert allowed(environment) - {action_of(call) for call, _ in requests} == pushes | UNTRIED


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_its_table_of_operations_is_allowed(environment: str) -> None:
    name = ServiceRef(environment=environment, kind=API).table_prefix + OPERATIONS.name
    assert _covers(environment, "dynamodb:PutItem", f"table/{name}")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("kind", SERVICES)
def test_its_services_are_allowed(environment: str, kind: str) -> None:
    ref = ServiceRef(environment=environment, kind=kind)
    for resource in ("service", "service-deployment", "service-revision"):
        assert _covers(environment, "ecs:UpdateService", f"{resource}/{ref.cluster}/{ref.service}/of-some-id")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("kind", SERVICES)
def test_its_dead_letters_may_be_counted(environment: str, kind: str) -> None:
    queue = ServiceRef(environment=environment, kind=kind).queue.dead_letter_name
    assert _covers(environment, "sqs:GetQueueAttributes", queue)


def _covers(environment: str, action: str, resource: str) -> bool:
    patterns = [
        _named(stack_of(ServiceRef(environment=environment, kind=API).cluster, "supporting"), pattern)
        for statement in deploy_role(environment)
        if action in statement.actions
        for pattern in statement.resources
    ]
    return any(fnmatch(f"arn:aws:service:region:account:{resource}", pattern) for pattern in patterns)


def _named(stack: Stack, arn: str) -> str:
    """What an ARN of the policy matches, whatever the service, the region and the account."""
    if reference := re.fullmatch(r"\$\{(aws_\w+\.\w+)\.arn\}", arn):
        return f"arn:*:{stack.the(reference.group(1))['name']}"
    return "arn:*:" + REFERENCE.sub("", arn).split(":", 5)[-1]


def services() -> Iterator[tuple[ServiceRef, Stack]]:
    for environment in ENVIRONMENTS:
        for kind in SERVICES:
            yield ServiceRef(environment=environment, kind=kind), stack_of(environment, kind)


def test_services_and_clusters_have_the_names_that_are_asked_for() -> None:
    def faults() -> Iterator[str]:
        for ref, stack in services():
            service = stack.one("aws_ecs_service")
            cluster = stack_of(ref.cluster, "supporting").one("aws_ecs_cluster")
            if service["name"] != ref.service:
                yield f"{stack}: the service is {service['name']}, not {ref.service}"
            if cluster["name"] != ref.cluster:
                yield f"{stack}: the cluster is {cluster['name']}, not {ref.cluster}"
            if f"_{ref.cluster}_supporting_" not in service["cluster"]:
                yield f"{stack}: the service is in {service['cluster']}"

    none(faults())


def test_tasks_start_from_the_tag_that_is_moved() -> None:
    def faults() -> Iterator[str]:
        for ref, stack in services():
            containers = json.loads(stack.one("aws_ecs_task_definition")["container_definitions"])
            images = {each["name"]: each["image"] for each in containers}
            if not images.get(ref.kind, "").endswith(f":{ref.live_tag}"):
                yield f"{stack}: {ref.kind} does not run {ref.live_tag}: {images}"

    none(faults())


def test_the_repositories_let_exactly_these_tags_be_moved() -> None:
    refs = [ref for ref, _ in services()]
    for registry in of_kind("registry"):
        repositories = registry.resources("aws_ecr_repository")
        assert {each["name"] for each in repositories} == {ref.repository for ref in refs}
        for repository in repositories:
            movable = [each["filter"] for each in repository["image_tag_mutability_exclusion_filter"]]
            for tag in (tag for ref in refs for tag in (ref.live_tag, ref.previous_tag)):
                assert any(fnmatch(tag, pattern) for pattern in movable), tag
            assert not any(fnmatch(SECOND, pattern) for pattern in movable)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("kind", SERVICES)
def test_locks_and_letters_are_where_they_are_looked_for(environment: str, kind: str) -> None:
    ref = ServiceRef(environment=environment, kind=kind)
    supporting = stack_of(environment, "supporting")
    assert ref.table_prefix + OPERATIONS.name in {each["name"] for each in supporting.resources("aws_dynamodb_table")}
    assert ref.queue.dead_letter_name in {each["name"] for each in supporting.resources("aws_sqs_queue")}
