"""Deployments through the fake's API, over HTTP with boto3 clients. The test sets the clock."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest

from fake_ecs.images import tag_image
from fake_ecs.model import Stage
from fake_ecs.seed import standard
from tests.ecs import SteppedEcs, stepped_ecs
from tests.factories import NOON
from tests.unit.fake_ecs.operators import API, LIVE, PROCESSOR, Operator, error_code


@pytest.fixture(scope="module")
def fake() -> Iterator[SteppedEcs]:
    with stepped_ecs(standard()) as ecs:
        yield ecs


@pytest.fixture
def operator(fake: SteppedEcs) -> Iterator[Operator]:
    fake.reset()
    with ExitStack() as stack:
        yield Operator(fake, stack)


def test_a_tag_is_resolved_when_the_first_task_starts_and_not_at_the_request(operator: Operator) -> None:
    first, second = operator.digest("sha-1a2b3c4"), operator.digest("sha-5d6e7f8")
    arn = operator.deploy(API)
    revision = operator.look(arn)["targetServiceRevision"]["arn"]
    assert "imageDigest" not in operator.revision(revision)["containerImages"][0]

    tag_image(operator.ecr, API, LIVE, second)
    operator.reach(arn, Stage.SCALE_UP)
    assert "imageDigest" not in operator.revision(revision)["containerImages"][0]
    operator.reach(arn, Stage.POST_SCALE_UP)
    tag_image(operator.ecr, API, LIVE, first)

    assert operator.revision(revision)["containerImages"][0]["imageDigest"] == second


def test_weights_move_and_the_groups_take_turns(operator: Operator) -> None:
    arn = operator.ship(API)
    operator.pause(arn)
    assert operator.weights("productionListenerRule") == [100, 0]
    assert operator.weights("testListenerRule") == [0, 100]
    assert operator.look(arn)["targetServiceRevision"]["requestedTestTrafficWeight"] == 100.0

    operator.proceed(arn)
    assert operator.end(arn)["status"] == "SUCCESSFUL"
    assert operator.weights("productionListenerRule") == [0, 100]

    again = operator.ship(API, "1a2b3c4")
    operator.proceed(again)
    operator.end(again)
    assert operator.weights("productionListenerRule") == [100, 0]
    assert operator.look(arn)["targetServiceRevision"]["runningTaskCount"] == 2  # as it was when it ended


def test_a_rollback_brings_back_weights_and_digest_but_not_the_tag(operator: Operator) -> None:
    old, new = operator.digest(LIVE), operator.digest("sha-5d6e7f8")
    arn = operator.ship(API)
    operator.proceed(arn)
    operator.reach(arn, Stage.BAKE_TIME)

    operator.fake.set_alarm("dev-api-errors", "ALARM")
    ended = operator.end(arn)

    assert ended["status"] == "ROLLBACK_SUCCESSFUL"
    assert ended["alarms"] == {
        "status": "TRIGGERED",
        "alarmNames": ["dev-api-errors", "dev-api-latency"],
        "triggeredAlarmNames": ["dev-api-errors"],
    }
    back = operator.revision(ended["rollback"]["serviceRevisionArn"])
    assert back["containerImages"][0]["imageDigest"] == old
    assert operator.weights("productionListenerRule") == operator.weights("testListenerRule") == [100, 0]
    assert operator.digest(LIVE) == new  # the next deployment would ship it again


def test_targets_are_the_tasks_that_run(operator: Operator) -> None:
    arn = operator.ship(API)
    revision = operator.revision(operator.look(arn)["targetServiceRevision"]["arn"])
    group = revision["resolvedConfiguration"]["loadBalancers"][0]["targetGroupArn"]
    assert health(operator, group) == []

    operator.pause(arn)

    assert health(operator, group) == ["healthy", "healthy"]
    assert len(operator.fake.engine.state.services["dev", API].tasks) == 4

    operator.ecs.stop_service_deployment(serviceDeploymentArn=arn)
    operator.end(arn)
    operator.fake.step(60)  # its targets have drained
    assert health(operator, group) == []


def health(operator: Operator, group: str) -> list[str]:
    answer = operator.elbv2.describe_target_health(TargetGroupArn=group)
    return [each["TargetHealth"]["State"] for each in answer["TargetHealthDescriptions"]]


def test_a_broken_image_opens_the_breaker(operator: Operator) -> None:
    operator.fake.break_image(operator.digest("sha-5d6e7f8", PROCESSOR), "exit code 1")

    ended = operator.end(operator.ship(PROCESSOR))

    assert ended["status"] == "ROLLBACK_SUCCESSFUL"
    assert ended["deploymentCircuitBreaker"]["status"] == "TRIGGERED"
    events = operator.ecs.describe_services(cluster="dev", services=[PROCESSOR])["services"][0]["events"]
    assert any(event["message"].endswith(": exit code 1") for event in events)


def test_a_tag_that_names_nothing_starts_no_task(operator: Operator) -> None:
    definition = operator.fake.engine.state.task_definitions["dev-order-processor:1"]
    definition.content["containerDefinitions"][0]["image"] += "-missing"

    assert operator.end(operator.deploy(PROCESSOR))["status"] == "ROLLBACK_SUCCESSFUL"


def test_a_second_operator_supersedes_the_first(operator: Operator) -> None:
    first = operator.ship(API)
    operator.pause(first)

    second = operator.deploy(API)

    assert operator.look(first)["status"] == "STOP_REQUESTED"
    assert "newer" in operator.look(first)["statusReason"]
    assert len(operator.look(second)["sourceServiceRevisions"]) == 2
    operator.proceed(second)
    assert operator.end(second)["status"] == "SUCCESSFUL"


def test_a_deployment_can_be_stopped_until_it_has_ended(operator: Operator) -> None:
    arn = operator.ship(API)
    stop = operator.ecs.stop_service_deployment
    assert error_code(stop, serviceDeploymentArn=arn, stopType="ABORT") == "InvalidParameterException"

    stop(serviceDeploymentArn=arn, stopType="ROLLBACK")
    stop(serviceDeploymentArn=arn)  # it continues the rollback

    assert operator.end(arn)["status"] == "ROLLBACK_SUCCESSFUL"
    assert error_code(stop, serviceDeploymentArn=arn) == "ConflictException"
    assert error_code(stop, serviceDeploymentArn=f"{arn}-not") == "ServiceDeploymentNotFoundException"


def test_only_the_hook_that_waits_can_be_resolved(operator: Operator) -> None:
    arn = operator.ship(API)
    resume = operator.ecs.continue_service_deployment
    assert error_code(resume, serviceDeploymentArn=arn, hookId="ecs-pause-x") == "InvalidParameterException"
    hook = operator.pause(arn)

    resume(serviceDeploymentArn=arn, hookId=hook)

    assert error_code(resume, serviceDeploymentArn=arn, hookId=hook) == "InvalidParameterException"
    assert error_code(resume, serviceDeploymentArn="no", hookId=hook) == "ServiceDeploymentNotFoundException"


def test_deployments_are_listed_newest_first_by_page_status_and_time(operator: Operator) -> None:
    arns = [operator.deployments(PROCESSOR)[0]]
    for _ in range(3):
        arns.insert(0, operator.deploy(PROCESSOR))
        operator.end(arns[0])

    first = operator.ecs.list_service_deployments(cluster="dev", service=PROCESSOR, maxResults=3)
    rest = operator.ecs.list_service_deployments(cluster="dev", service=PROCESSOR, nextToken=first["nextToken"])
    listed = [each["serviceDeploymentArn"] for each in first["serviceDeployments"] + rest["serviceDeployments"]]
    assert listed == arns
    assert "nextToken" not in rest
    assert operator.deployments(PROCESSOR, status=["IN_PROGRESS"]) == []
    assert operator.deployments(PROCESSOR, createdAt={"before": NOON - timedelta(hours=1)}) == arns[-1:]
    assert operator.deployments(PROCESSOR, createdAt={"after": NOON - timedelta(hours=1)}) == arns[:-1]
    list_ = operator.ecs.list_service_deployments
    assert error_code(list_, cluster="dev", service=PROCESSOR, nextToken="?") == "InvalidParameterException"
    assert error_code(list_, cluster="dev", service=PROCESSOR, maxResults=101) == "InvalidParameterException"


def test_a_count_can_be_changed_without_a_deployment(operator: Operator) -> None:
    operator.ecs.update_service(cluster="dev", service=API, desiredCount=3)
    operator.fake.step(60)

    service = operator.ecs.describe_services(cluster="dev", services=[API])["services"][0]
    assert (service["desiredCount"], service["runningCount"]) == (3, 3)
    assert len(operator.deployments(API)) == 1


@pytest.mark.parametrize("service", [API, PROCESSOR])
def test_a_count_that_changes_during_a_deployment_holds(operator: Operator, service: str) -> None:
    operator.ecs.update_service(cluster="dev", service=service, deploymentConfiguration={"lifecycleHooks": []})
    arn = operator.ship(service)
    operator.reach(arn, Stage.BAKE_TIME)

    operator.ecs.update_service(cluster="dev", service=service, desiredCount=3)

    assert operator.end(arn)["status"] == "SUCCESSFUL"
    operator.fake.step(60)
    described = operator.ecs.describe_services(cluster="dev", services=[service])["services"][0]
    assert described["runningCount"] == 3
    assert len(described["currentServiceRevisions"]) == 1


def test_the_configuration_holds_for_the_next_deployment(operator: Operator) -> None:
    changed = {"bakeTimeInMinutes": 0, "lifecycleHooks": []}
    operator.ecs.update_service(cluster="dev", service=API, deploymentConfiguration=changed)

    arn = operator.ship(API)

    assert operator.end(arn)["status"] == "SUCCESSFUL"
    assert operator.look(arn)["deploymentConfiguration"]["bakeTimeInMinutes"] == 0
    assert operator.look(arn)["deploymentConfiguration"]["alarms"]["enable"]
