"""What can be wrong with an image, with a service and with AWS, and what a deployment does then."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from fake_ecs.engine import TaskDefinition
from fake_ecs.images import push_image, tag_image
from tests.integration.deploy_desk import (
    API,
    FIRST,
    PROCESSOR,
    SECOND,
    Desk,
    Ground,
    empty_operations,
    give_terminal,
)

DONE, FAILED, REFUSED, UNDER_WAY = 0, 1, 3, 4
ERRORS_ALARM = "dev-api-errors"
FAKED = {"ecs", "ecr", "elbv2", "cloudwatch"}


def refused(desk: Desk, tag: str, why: str) -> None:
    before = desk.state()
    ended = desk.deploy(tag)
    assert (ended.exit_code, why in ended.stderr) == (REFUSED, True), ended.output
    assert desk.state() == before
    assert desk.audit() == []


def test_an_image_for_another_architecture_stays_out(desk: Desk) -> None:
    push_image(desk.ecs.client("ecr"), API, "sha-0000001", labels={}, platforms=("amd64",))
    refused(desk, "sha-0000001", "the tasks are arm64; the image is built for amd64")


def test_findings_keep_an_image_out(desk: Desk) -> None:
    def find(answer: dict[str, Any]) -> None:
        answer["imageScanFindings"]["findingSeverityCounts"] = {"CRITICAL": 2, "LOW": 7}

    desk.wire.after["DescribeImageScanFindings"] = find
    refused(desk, SECOND, "the image has findings: 2 CRITICAL")


def test_a_scan_that_failed_keeps_an_image_out(desk: Desk) -> None:
    def fail(answer: dict[str, Any]) -> None:
        answer["imageScanStatus"]["status"] = "FAILED"

    desk.wire.after["DescribeImageScanFindings"] = fail
    refused(desk, SECOND, "the scan failed")


def test_an_alarm_that_is_on_already_keeps_everything_out(desk: Desk) -> None:
    desk.ecs.set_alarm(ERRORS_ALARM, "ALARM")
    refused(desk, SECOND, "already in ALARM, so ECS watches no alarm")


def test_another_image_under_way_keeps_this_one_out(desk: Desk) -> None:
    desk.deploy(SECOND, "--no-wait")
    ended = desk.deploy(FIRST)
    assert (ended.exit_code, f"is under way, with another image: {desk.digest(SECOND)}" in ended.stderr) == (
        REFUSED,
        True,
    )
    assert desk.digest("live-dev") == desk.digest(SECOND)


def test_the_same_image_under_way_is_followed(desk: Desk) -> None:
    desk.deploy(SECOND, "--no-wait")
    ended = desk.deploy(SECOND)
    assert (ended.exit_code, "deploys this image already: following it" in ended.stderr) == (DONE, True)
    assert desk.digest("previous-dev") == desk.digest(FIRST)


def test_throttled_calls_are_made_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))  # it waits between attempts
    assert desk.deploy(SECOND).exit_code == DONE
    operations = {operation for service, operation in desk.wire.calls if service in FAKED}
    assert len(operations) > 12
    for operation in operations:
        desk.ecs.engine.faults.throttle(operation, 2)
    assert desk.deploy(FIRST).exit_code == DONE
    assert desk.state() == (desk.digest(FIRST),) * 2


def test_an_aws_that_does_not_recover_leaves_word_of_how_things_stand(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    desk.ecs.engine.faults.throttle("UpdateService", 100)
    ended = desk.deploy(SECOND)
    assert ended.exit_code == FAILED
    assert "then run the same command again" in ended.stderr
    assert desk.state() == (desk.digest(FIRST),) * 2
    desk.ecs.engine.faults.throttle("UpdateService", 0)
    assert desk.deploy(SECOND).exit_code == DONE


@pytest.mark.parametrize(("calls", "is_good"), [(1, True), (4, True), (3, False)])
def test_answers_that_lag_behind_are_waited_for(desk: Desk, calls: int, *, is_good: bool) -> None:
    desk.ecs.lag(calls)
    desk.green.is_ready = is_good
    ended = desk.deploy(SECOND)
    assert ended.exit_code == (DONE if is_good else FAILED), ended.output
    desk.ecs.lag(0)
    assert desk.state() == (desk.digest(SECOND if is_good else FIRST),) * 2


def test_an_alarm_during_the_bake_rolls_back_and_the_tag_goes_with_it(desk: Desk) -> None:
    def ring() -> None:
        if desk.stage() == "BAKE_TIME":
            desk.ecs.set_alarm(ERRORS_ALARM, "ALARM")

    desk.on_look = ring
    ended = desk.deploy(SECOND)
    assert (ended.exit_code, f"alarms: {ERRORS_ALARM}" in ended.stderr) == (FAILED, True)
    assert desk.state() == (desk.digest(FIRST),) * 2
    assert "ECS: (service order-api)" in ended.stderr


def test_a_word_that_comes_after_the_pause_is_over_comes_to_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody is asked, thinks for longer than the pause lasts, and says yes."""
    give_terminal(monkeypatch)
    desk.wire.before["ContinueServiceDeployment"] = desk.finish
    ended = desk.deploy(SECOND, answer="y\n")
    assert (ended.exit_code, "too late, ECS refused the call" in ended.stderr) == (FAILED, True)
    assert desk.state() == (desk.digest(FIRST),) * 2


def test_a_deployment_that_went_on_during_the_test_is_still_turned_down(desk: Desk) -> None:
    """Its green side fails, and at that moment somebody says `continue`."""

    def proceed() -> None:
        del desk.wire.before["ContinueServiceDeployment"]
        desk.verb("continue")
        desk.ecs.skip()

    desk.green.is_ready = False
    desk.wire.before["ContinueServiceDeployment"] = proceed
    assert desk.deploy(SECOND).exit_code == FAILED
    assert ("ecs", "StopServiceDeployment") in desk.wire.calls
    assert desk.state() == (desk.digest(FIRST),) * 2


def test_a_processor_that_leaves_dead_letters_goes_back(desk: Desk) -> None:
    def leave_letter() -> None:
        if desk.stage(PROCESSOR) == "BAKE_TIME":
            sqs = desk.aws("sqs")
            sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="dev-orders-dead")["QueueUrl"], MessageBody="{}")
            desk.on_look = lambda: None

    desk.on_look = leave_letter
    ended = desk.deploy(SECOND, service=PROCESSOR)
    assert (ended.exit_code, "1 new dead letters" in ended.stderr) == (FAILED, True)
    assert desk.state(PROCESSOR) == (desk.digest(FIRST, PROCESSOR),) * 2


def test_tasks_that_do_not_start_go_back_and_the_events_say_why(desk: Desk) -> None:
    broken = desk.digest(SECOND, PROCESSOR)
    assert broken is not None
    desk.ecs.break_image(broken, "exec format error")
    ended = desk.deploy(SECOND, service=PROCESSOR)
    assert (ended.exit_code, "circuit breaker" in ended.stderr) == (FAILED, True)
    assert desk.state(PROCESSOR) == (desk.digest(FIRST, PROCESSOR),) * 2


def test_a_deployment_that_takes_its_place_keeps_its_tag(desk: Desk) -> None:
    """Such as Terraform's, of a new task definition with the same tag."""

    def replace() -> None:
        if desk.stage(PROCESSOR) == "BAKE_TIME":
            desk.ecs.client("ecs").update_service(cluster="dev", service=PROCESSOR, forceNewDeployment=True)
            desk.on_look = lambda: None

    desk.on_look = replace
    ended = desk.deploy(SECOND, service=PROCESSOR)
    assert (ended.exit_code, "has superseded this deployment" in ended.stderr) == (FAILED, True)
    desk.finish()
    assert desk.state(PROCESSOR) == (desk.digest(SECOND, PROCESSOR),) * 2


def test_a_service_that_is_all_down_can_be_repaired_by_another_image(desk: Desk) -> None:
    """Such as one whose first image never came up: it has nothing to go back to."""

    def nothing_runs(answer: dict[str, Any]) -> None:
        for service in answer["services"]:
            service["runningCount"] = 0

    def nothing_is_there(answer: dict[str, Any]) -> None:
        answer["TargetHealthDescriptions"] = []

    desk.wire.after |= {"DescribeServices": nothing_runs, "DescribeTargetHealth": nothing_is_there}
    ended = desk.deploy(SECOND)
    assert ended.exit_code == DONE, ended.output
    assert "SKIP tasks: 0 of 2 running: a deployment can do no harm" in ended.stderr


def test_two_images_without_a_deployment_are_drift(desk: Desk) -> None:
    """As one leaves them that was stopped without being rolled back."""
    desk.deploy(SECOND, "--no-wait")
    desk.come_to_pause()
    service = desk.ecs.engine.state.services["dev", API]
    deployment = service.ongoing
    assert deployment is not None
    deployment.status = type(deployment.status).STOPPED
    told = desk.status()
    assert "two images run" in told["drift"]
    assert desk.verb("rollback").exit_code == REFUSED
    assert desk.deploy(SECOND).exit_code == REFUSED  # it was stopped
    assert desk.deploy(SECOND, "--despite", "rejected", "--reason", "it is good").exit_code == DONE
    assert desk.state() == (desk.digest(SECOND),) * 2


def test_a_service_without_tasks_is_deployed_and_has_no_drift(desk: Desk) -> None:
    desk.ecs.client("ecs").update_service(cluster="dev", service=PROCESSOR, desiredCount=0)
    while desk.ecs.skip():
        pass
    assert desk.status(PROCESSOR)["drift"] is None
    ended = desk.deploy(SECOND, service=PROCESSOR)
    assert (ended.exit_code, "SKIP tasks: the service is scaled to zero" in ended.stderr) == (DONE, True)


def stand_beside(desk: Desk, environment: str) -> None:
    """A processor of another environment in the same account, which runs FIRST."""
    live, clean = f"live-{environment}", desk.ecs.engine.state
    digest = desk.digest(FIRST, PROCESSOR)
    assert digest is not None
    tag_image(desk.ecs.client("ecr"), PROCESSOR, live, digest)
    (dev,) = (each for each in clean.task_definitions.values() if each.family == f"dev-{PROCESSOR}")
    content: dict[str, Any] = json.loads(json.dumps(dev.content).replace("live-dev", live))
    desk.ecs.engine.create_service(
        cluster=environment,
        name=PROCESSOR,
        task_definition=TaskDefinition(f"{environment}-{PROCESSOR}", 1, content),
        desired=2,
        configuration=clean.services["dev", PROCESSOR].configuration,
        balancing=None,
    )


def test_what_dev_runs_is_promoted_by_its_digest(desk: Desk, deploy_ground: Ground) -> None:
    empty_operations(deploy_ground.embedded, "uat-")
    stand_beside(desk, "uat")
    promote = ("promote", PROCESSOR, "--from", "dev", "--to", "uat")
    assert "nothing to do" in desk.run(*promote).stderr
    desk.deploy(SECOND, "--no-wait", service=PROCESSOR)
    under_way = desk.run(*promote)
    assert (under_way.exit_code, "dev has a deployment under way" in under_way.stderr) == (REFUSED, True)
    desk.finish()
    assert desk.run(*promote, "--dry-run").exit_code == DONE
    scans = ["COMPLETE", "COMPLETE", "IN_PROGRESS"]
    desk.wire.after["DescribeImageScanFindings"] = lambda told: told["imageScanStatus"].update(status=scans.pop())
    promoted = desk.run(*promote, "--output", "json")
    assert promoted.stderr.count("waiting for ECR to scan the image") == 1
    told = json.loads(promoted.stdout)
    assert (told["environment"], told["changed"]) == ("uat", True)
    assert told["image"] == desk.digest("live-uat", PROCESSOR) == desk.digest(SECOND, PROCESSOR)

    push_image(desk.ecs.client("ecr"), PROCESSOR, "live-dev", labels={"drift": "yes"})
    drifted = desk.run(*promote)
    assert (drifted.exit_code, "dev has drifted" in drifted.stderr) == (REFUSED, True)


def test_a_green_side_that_cannot_be_reached_waits_for_a_word(desk: Desk) -> None:
    def by_path_only(answer: dict[str, Any]) -> None:
        for rule in answer["Rules"]:
            rule["Conditions"] = [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}]

    desk.wire.after["DescribeRules"] = by_path_only
    left = desk.run("deploy", API, "--env", "dev", "--tag", SECOND, "--auto")
    assert left.exit_code == UNDER_WAY
    expected = "green cannot be tested, so the deployment stays paused: the rule of the test listener names no host"
    assert f"{expected}: give green's base URL with --test-url" in left.stderr
    assert desk.deploy(SECOND).exit_code == DONE


def test_a_dead_letter_that_somebody_has_been_reading_is_not_a_new_one(desk: Desk) -> None:
    def put_down() -> None:
        if desk.stage(PROCESSOR) == "BAKE_TIME":
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
            desk.on_look = lambda: None

    sqs = desk.aws("sqs")
    url = sqs.get_queue_url(QueueName="dev-orders-dead")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    (letter,) = sqs.receive_message(QueueUrl=url, VisibilityTimeout=600)["Messages"]
    handle = letter["ReceiptHandle"]
    desk.on_look = put_down
    assert desk.deploy(SECOND, service=PROCESSOR).exit_code == DONE


def test_a_stage_that_is_new_to_orderctl_is_no_stage(desk: Desk) -> None:
    def invent(answer: dict[str, Any]) -> None:
        for deployment in answer["serviceDeployments"]:
            deployment["lifecycleStage"] = "PRE_PRODUCTION_TRAFFIC_SHIFT"

    desk.deploy(SECOND, "--no-wait")
    desk.wire.after["DescribeServiceDeployments"] = invent
    assert desk.status()["stage"] is None
