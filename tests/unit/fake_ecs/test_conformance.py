"""Conformance of the fake with AWS's documents: each test names the page of its rule.

GUIDE is https://docs.aws.amazon.com/AmazonECS/latest/developerguide/, API its API reference, ECR and ELB those of their
services. What is not documented is in `docs/deploy.md`, for an account.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fake_ecs.images import push_image, tag_image
from fake_ecs.model import HookAction, Stage, Strategy
from fake_ecs.seed import DOCUMENTED, standard
from tests.ecs import SteppedEcs, stepped_ecs
from tests.unit.fake_ecs.operators import API, PROCESSOR, Operator

ERRORS, LATENCY = "dev-api-errors", "dev-api-latency"
SECOND = "sha-5d6e7f8"


@pytest.fixture(scope="module")
def fake() -> Iterator[SteppedEcs]:
    with stepped_ecs() as ecs:
        yield ecs


@pytest.fixture
def operator(fake: SteppedEcs) -> Iterator[Operator]:
    fake.reset()
    with ExitStack() as stack:
        yield Operator(fake, stack)


def service_of(operator: Operator, name: str) -> dict[str, Any]:
    return dict(operator.ecs.describe_services(cluster="dev", services=[name])["services"][0])


def test_of_a_deployment_that_starts_while_an_alarm_is_on_no_alarm_is_watched(operator: Operator) -> None:
    """GUIDE deployment-alarm-failure.html: "Amazon ECS will not monitor alarms for the duration of that deployment"."""
    operator.fake.set_alarm(ERRORS, "ALARM")
    arn = operator.ship(API)
    operator.proceed(arn)
    baking = operator.reach(arn, Stage.BAKE_TIME)
    assert baking["alarms"] == {"status": "DISABLED", "alarmNames": [ERRORS, LATENCY], "triggeredAlarmNames": []}

    operator.fake.set_alarm(LATENCY, "ALARM")

    assert operator.end(arn)["status"] == "SUCCESSFUL"


@pytest.mark.parametrize("cause", ["alarm", "breaker"])
def test_a_rollback_by_ecs_was_requested_by_nobody(operator: Operator, cause: str) -> None:
    """GUIDE service-deployment.html and stop-service-deployment.html: ROLLBACK_REQUESTED follows a user's request."""
    if cause == "breaker":
        operator.fake.break_image(operator.digest(SECOND, PROCESSOR))
    arn = operator.ship(PROCESSOR)
    if cause == "alarm":
        operator.reach(arn, Stage.BAKE_TIME)
        operator.fake.set_alarm("dev-failures", "ALARM")
    seen = {operator.look(arn)["status"]}
    while not operator.look(arn).get("finishedAt"):
        assert operator.fake.skip()
        seen.add(operator.look(arn)["status"])
    assert seen >= {"ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"}
    assert "ROLLBACK_REQUESTED" not in seen


@pytest.mark.parametrize("by", ["stop", "hook"])
def test_a_rollback_by_a_user_is_requested_first(operator: Operator, by: str) -> None:
    """GUIDE stop-service-deployment.html: "The service deployment moves to the ROLLBACK_REQUESTED state"."""
    arn = operator.ship(API)
    if by == "hook":
        operator.proceed(arn, HookAction.ROLLBACK)
    else:
        operator.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    assert operator.look(arn)["status"] == "ROLLBACK_REQUESTED"
    assert operator.end(arn)["status"] == "ROLLBACK_SUCCESSFUL"


def test_a_request_that_comes_too_late_ends_in_success(operator: Operator) -> None:
    """GUIDE service-deployment.html: SUCCESSFUL is among the states that follow ROLLBACK_REQUESTED."""
    arn = operator.ship(API)
    operator.proceed(arn)
    operator.reach(arn, Stage.CLEAN_UP)
    operator.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    assert operator.look(arn)["status"] == "ROLLBACK_REQUESTED"
    assert operator.end(arn)["status"] == "SUCCESSFUL"


def test_a_requested_rollback_without_an_earlier_success_ends_stopped() -> None:
    """GUIDE service-deployment.html, and deployment-failure-detection.html: a rollback needs a completed deployment."""
    with stepped_ecs(replace(standard(), age=timedelta())) as fake, ExitStack() as stack:
        operator = Operator(fake, stack)
        (arn,) = operator.deployments(PROCESSOR)
        operator.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
        assert operator.end(arn)["status"] == "STOPPED"


def test_a_superseded_deployment_is_asked_to_stop_before_it_stops(operator: Operator) -> None:
    """GUIDE service-deployment.html: a deployment passes STOP_REQUESTED before it is STOPPED."""
    first = operator.ship(API)
    operator.pause(first)
    second = operator.deploy(API)
    assert (operator.look(first)["status"], operator.look(second)["status"]) == ("STOP_REQUESTED", "PENDING")
    operator.pause(second)
    assert operator.look(first)["status"] == "STOPPED"


@pytest.mark.parametrize("strategy", [Strategy.BLUE_GREEN, Strategy.CANARY, Strategy.LINEAR])
def test_the_breaker_works_for_blue_green_too(strategy: Strategy) -> None:
    """GUIDE deployment-failure-detection.html: both methods support rolling updates and blue/green.

    API_DeploymentCircuitBreaker.html says rolling updates only: a question for an account (docs/deploy.md).
    """
    with stepped_ecs(standard(strategy=strategy)) as fake, ExitStack() as stack:
        operator = Operator(fake, stack)
        fake.break_image(operator.digest(SECOND))
        ended = operator.end(operator.ship(API))
    assert ended["status"] == "ROLLBACK_SUCCESSFUL"
    assert ended["deploymentCircuitBreaker"]["status"] == "TRIGGERED"


@pytest.mark.parametrize("service", [API, PROCESSOR])
def test_the_breaker_counts_tasks_that_start_and_fail_their_health_checks(operator: Operator, service: str) -> None:
    """GUIDE deployment-circuit-breaker.html, stage 2: failed health checks of running tasks are counted."""
    operator.fake.sicken_image(operator.digest(SECOND, service), "Task failed ELB health checks")
    arn = operator.ship(service)
    seen = 0
    while not (view := operator.look(arn)).get("finishedAt"):
        seen = max(seen, view["targetServiceRevision"]["runningTaskCount"])
        assert operator.fake.skip()
    assert seen > 0, "its tasks run"
    assert (view["status"], view["deploymentCircuitBreaker"]["status"]) == ("ROLLBACK_SUCCESSFUL", "TRIGGERED")


def test_after_three_failed_attempts_a_deployment_continues_without_a_digest(operator: Operator) -> None:
    """GUIDE deployment-type-ecs.html, container image resolution: three failed attempts, then without resolution.

    With the circuit breaker the deployment fails; without, its tasks start what the tag means then.
    """
    breaker = {"deploymentCircuitBreaker": {"enable": False, "rollback": False}}
    operator.ecs.update_service(cluster="dev", service=PROCESSOR, deploymentConfiguration=breaker)
    registry = operator.fake.registry._repositories[PROCESSOR]
    second = registry.images.pop(operator.digest("live-dev", PROCESSOR))
    arn = operator.deploy(PROCESSOR)
    operator.until(arn, lambda _: _attempts(operator) >= 3)
    registry.images[second.digest] = second
    ended = operator.end(arn)
    assert ended["status"] == "SUCCESSFUL"
    assert "imageDigest" not in operator.revision(ended["targetServiceRevision"]["arn"])["containerImages"][0]


def _attempts(operator: Operator) -> int:
    service = operator.fake.engine.state.services["dev", PROCESSOR]
    return service.deployments[-1].target.attempts


def test_after_a_rollback_the_service_has_its_old_task_definition(operator: Operator) -> None:
    """GUIDE deployment-circuit-breaker.html: the service returns to the last deployment that completed."""
    before = service_of(operator, PROCESSOR)["taskDefinition"]
    given = operator.fake.engine.state.task_definitions["dev-order-processor:1"].content
    new = operator.ecs.register_task_definition(family="dev-order-processor", **given)["taskDefinition"]
    operator.ecs.update_service(cluster="dev", service=PROCESSOR, taskDefinition=new["taskDefinitionArn"])
    arn = operator.deployments(PROCESSOR)[0]
    assert service_of(operator, PROCESSOR)["taskDefinition"] == new["taskDefinitionArn"]
    operator.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    operator.end(arn)
    assert service_of(operator, PROCESSOR)["taskDefinition"] == before
    newest = operator.ecs.describe_task_definition(taskDefinition="dev-order-processor")["taskDefinition"]
    assert newest["taskDefinitionArn"] == new["taskDefinitionArn"]


def test_a_stage_of_24_hours_is_rolled_back(operator: Operator) -> None:
    """GUIDE blue-green-deployment-how-it-works.html: a lifecycle stage lasts up to 24 hours."""
    breaker = {"deploymentCircuitBreaker": {"enable": False, "rollback": False}}
    operator.ecs.update_service(cluster="dev", service=PROCESSOR, deploymentConfiguration=breaker)
    operator.fake.break_image(operator.digest(SECOND, PROCESSOR))
    arn = operator.ship(PROCESSOR)
    operator.reach(arn, Stage.SCALE_UP)
    operator.fake.clock.now += timedelta(hours=23)
    operator.fake.step(0)
    assert operator.look(arn)["status"] == "IN_PROGRESS"
    operator.fake.clock.now += timedelta(hours=2)
    operator.fake.step(0)
    assert operator.end(arn)["status"] == "ROLLBACK_SUCCESSFUL"


@pytest.mark.parametrize("environment", ["dev", "uat", "prod"])
def test_services_and_alarms_are_those_of_infra(environment: str) -> None:
    """`environments.json` is derived from infra's stacks, which a test in tests/infra compares."""
    known = DOCUMENTED[environment]
    with stepped_ecs(standard(environment)) as fake:
        alarms = fake.cloud.cloudwatch.describe_alarms()["MetricAlarms"]
        client = fake.client("ecs")
        services = client.describe_services(cluster=environment, services=[API, PROCESSOR])["services"]
        client.close()
    assert {alarm["AlarmName"] for alarm in alarms} == set(known["alarms"])
    for service in services:
        given = known["services"][service["serviceName"]]["deploymentConfiguration"]
        shown = service["deploymentConfiguration"]
        assert {key: shown[key] for key in given} == given


def test_with_capacity_providers_there_is_no_launch_type(operator: Operator) -> None:
    """API_Service.html: a service has a launch type or a capacity provider strategy."""
    service = service_of(operator, API)
    revision = operator.revision(service["currentServiceRevisions"][0]["arn"])
    for view in (service, revision):
        assert "launchType" not in view
        assert view["capacityProviderStrategy"][0]["capacityProvider"] == "FARGATE_SPOT"


def test_targets_are_initial_then_healthy_then_draining(operator: Operator) -> None:
    """ELB target-group-health-checks.html: initial until the first checks passed, draining after deregistration."""
    arn = operator.ship(API)
    group = operator.revision(operator.look(arn)["targetServiceRevision"]["arn"])["resolvedConfiguration"]
    target_group = group["loadBalancers"][0]["targetGroupArn"]
    states: list[set[str]] = []
    while True:
        health = operator.elbv2.describe_target_health(TargetGroupArn=target_group)["TargetHealthDescriptions"]
        found = {each["TargetHealth"]["State"] for each in health}
        if found and (not states or states[-1] != found):
            states.append(found)
        view = operator.look(arn)
        if view.get("finishedAt"):
            break
        if any(hook["status"] == "AWAITING_ACTION" for hook in view["lifecycleHookDetails"]):
            operator.proceed(arn, HookAction.ROLLBACK)
        assert operator.fake.skip()
    assert states[:3] == [{"initial"}, {"healthy"}, {"draining"}]


@pytest.mark.parametrize(
    "status",
    [
        "IN_PROGRESS",
        "COMPLETE",
        "FAILED",
        "UNSUPPORTED_IMAGE",
        "ACTIVE",
        "PENDING",
        "SCAN_ELIGIBILITY_EXPIRED",
        "FINDINGS_UNAVAILABLE",
        "LIMIT_EXCEEDED",
        "IMAGE_ARCHIVED",
    ],
)
def test_a_scan_has_every_status_of_ecr(operator: Operator, status: str) -> None:
    """ECR API_ImageScanStatus.html."""
    digest = operator.digest(SECOND)
    operator.fake.registry.set_findings(API, digest, {}, status)
    scan = operator.ecr.describe_image_scan_findings(repositoryName=API, imageId={"imageDigest": digest})
    assert scan["imageScanStatus"]["status"] == status


def test_the_lifecycle_removes_what_has_no_tag_and_keeps_what_an_earlier_rule_matches(operator: Operator) -> None:
    """ECR lifecycle_policy_parameters.html and lifecycle_policy_examples.html."""
    first, second = operator.digest("sha-1a2b3c4"), operator.digest(SECOND)
    tag_image(operator.ecr, API, "live-dev", second)
    kept = next(
        rule["selection"]["countNumber"]
        for rule in DOCUMENTED["dev"]["lifecyclePolicy"]["rules"]
        if rule["selection"].get("tagPatternList") == ["sha-*"]
    )
    for number in range(kept):
        operator.fake.clock.now += timedelta(seconds=1)
        push_image(operator.ecr, API, f"sha-{number:07x}", labels={"build": str(number)})
    operator.fake.registry.expire(API)
    left = operator.fake.registry._repositories[API].images
    assert (first in left, second in left) == (False, True)


def test_the_first_deployment_is_a_deployment() -> None:
    """GUIDE service-deployment.html: a deployment is created when "A user creates a service"."""
    with stepped_ecs(replace(standard(), age=timedelta())) as fake, ExitStack() as stack:
        operator = Operator(fake, stack)
        (arn,) = operator.deployments(PROCESSOR)
        first = operator.look(arn)
        assert (first["status"], first["sourceServiceRevisions"]) == ("PENDING", [])
        assert service_of(operator, PROCESSOR)["runningCount"] == 0
        assert operator.end(arn)["status"] == "SUCCESSFUL"
        assert service_of(operator, PROCESSOR)["runningCount"] == 2


def test_a_first_deployment_that_never_starts_is_stopped() -> None:
    """GUIDE deployment-circuit-breaker.html: without a completed deployment nothing is rolled back, no task starts."""
    with stepped_ecs(replace(standard(), age=timedelta())) as fake, ExitStack() as stack:
        operator = Operator(fake, stack)
        fake.break_image(operator.digest("live-dev", PROCESSOR))
        (arn,) = operator.deployments(PROCESSOR)
        assert operator.end(arn)["status"] == "STOPPED"
        assert service_of(operator, PROCESSOR)["runningCount"] == 0


def test_only_the_services_that_never_start_are_new() -> None:
    """GUIDE deployment-circuit-breaker.html, as above, for a seed that names the service."""
    with stepped_ecs(standard(never_start=(PROCESSOR,))) as fake, ExitStack() as stack:
        operator = Operator(fake, stack)
        (arn,) = operator.deployments(PROCESSOR)
        assert operator.end(arn)["status"] == "STOPPED"
        assert [service_of(operator, each)["runningCount"] for each in (PROCESSOR, API)] == [0, 2]


@pytest.mark.parametrize("seed", range(3))
def test_lists_have_empty_pages_and_reads_are_late(operator: Operator, seed: int) -> None:
    """API_ListServiceDeployments.html: a page may have a token and no items. API welcome page: eventual consistency."""
    operator.fake.engine.faults.vary(seed)
    pages = [
        operator.ecs.list_service_deployments(cluster="dev", service=API).get("serviceDeployments") for _ in range(20)
    ]
    assert [] in pages
    late = 0
    for _ in range(10):
        operator.ecs.update_service(cluster="dev", service=API, forceNewDeployment=True)
        newest = operator.fake.engine.state.services["dev", API].deployments[-1].id
        arn = f"arn:aws:ecs:eu-central-1:000000000000:service-deployment/dev/{API}/{newest}"
        answer = operator.ecs.describe_service_deployments(serviceDeploymentArns=[arn])
        late += [each["reason"] for each in answer["failures"]] == ["MISSING"]
    assert late > 0
    operator.fake.engine.faults.vary(None)


@pytest.mark.parametrize(
    ("strategy", "shares"),
    [
        (Strategy.BLUE_GREEN, [0, 100]),
        (Strategy.CANARY, [0, 10, 100]),
        (Strategy.LINEAR, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]),
    ],
)
def test_traffic_shifts_in_the_steps_of_its_strategy(strategy: Strategy, shares: list[int]) -> None:
    """GUIDE canary-deployment.html and linear-deployment.html; API_CanaryConfiguration and API_LinearConfiguration."""
    with stepped_ecs(standard(strategy=strategy)) as fake, ExitStack() as stack:
        operator = Operator(fake, stack)
        steps = {
            "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 10},
            "linearConfiguration": {"stepPercent": 10.0, "stepBakeTimeInMinutes": 6},
        }
        operator.ecs.update_service(cluster="dev", service=API, deploymentConfiguration=steps)
        arn = operator.ship(API)
        operator.pause(arn)
        seen = [operator.weights("productionListenerRule")[1]]
        operator.proceed(arn)
        fake.step(0)
        while not (view := operator.look(arn)).get("finishedAt"):
            if (weight := operator.weights("productionListenerRule")[1]) != seen[-1]:
                seen.append(weight)
                assert view["targetServiceRevision"]["requestedProductionTrafficWeight"] == weight
            assert fake.skip()
    assert (view["status"], seen) == ("SUCCESSFUL", shares)


def test_an_alarm_during_the_canary_shifts_its_traffic_back() -> None:
    """GUIDE canary-deployment.html: an alarm during the canary phase rolls back."""
    with stepped_ecs(standard("prod")) as fake, ExitStack() as stack:
        client = fake.client("ecs")
        stack.callback(client.close)
        service = fake.engine.state.services["prod", API]
        client.update_service(cluster="prod", service=API, forceNewDeployment=True)
        while service.shifted is None:
            deployment = service.ongoing
            assert deployment is not None
            if deployment.awaiting is not None:
                arn = f"arn:aws:ecs:eu-central-1:000000000000:service-deployment/prod/{API}/{deployment.id}"
                client.continue_service_deployment(serviceDeploymentArn=arn, hookId=deployment.awaiting.id)
                fake.step(0)
                continue
            assert fake.skip()
        fake.set_alarm("prod-api-errors", "ALARM")
        fake.step(0)
        assert service.shifted is None
        assert service.ongoing is not None
        assert service.ongoing.status == "ROLLBACK_IN_PROGRESS"
