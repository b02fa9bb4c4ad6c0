"""The way back: open when it is needed, and the tag is where it belongs afterwards."""

from typing import Any

from fake_ecs.images import tag_image
from tests.integration.deploy_desk import API, FIRST, PROCESSOR, SECOND, Desk

DONE, FAILED, REFUSED, UNDER_WAY = 0, 1, 3, 4


def everything_is_bad(desk: Desk) -> None:
    """As after an image that nothing turned down in time: no task is up, an alarm rings, and the old image has aged."""

    def nothing_runs(answer: dict[str, Any]) -> None:
        for service in answer["services"]:
            service["runningCount"] = 0

    def nothing_is_healthy(answer: dict[str, Any]) -> None:
        for target in answer["TargetHealthDescriptions"]:
            target["TargetHealth"]["State"] = "unhealthy"

    def something_is_found(answer: dict[str, Any]) -> None:
        answer["imageScanFindings"]["findingSeverityCounts"] = {"CRITICAL": 1}

    desk.ecs.set_alarm("dev-api-errors", "ALARM")
    desk.wire.after |= {
        "DescribeServices": nothing_runs,
        "DescribeTargetHealth": nothing_is_healthy,
        "DescribeImageScanFindings": something_is_found,
    }


def test_a_rollback_is_open_when_everything_is_bad(desk: Desk) -> None:
    desk.deploy(SECOND)
    everything_is_bad(desk)
    assert desk.deploy(FIRST).exit_code == REFUSED
    ended = desk.verb("rollback", "--auto", "--test-url", desk.test_url)
    assert ended.exit_code == DONE, ended.output
    for told in (
        "SKIP tasks: 0 of 2 run",
        "SKIP alarms",
        "SKIP targets",
        "SKIP scan: the image has findings: 1 CRITICAL",
    ):
        assert told in ended.stderr
    assert desk.state() == (desk.digest(FIRST),) * 2


def test_a_rollback_to_an_image_that_cannot_run_here_is_refused(desk: Desk) -> None:
    def is_another(answer: dict[str, Any]) -> None:
        answer["taskDefinition"]["runtimePlatform"]["cpuArchitecture"] = "X86_64"

    def is_not_built_for_it(answer: dict[str, Any]) -> None:
        for image in answer["images"]:
            image["imageManifest"] = image["imageManifest"].replace("amd64", "riscv64")

    desk.deploy(SECOND)
    desk.wire.after |= {"DescribeTaskDefinition": is_another, "BatchGetImage": is_not_built_for_it}
    ended = desk.verb("rollback", "--auto", "--test-url", desk.test_url)
    assert (ended.exit_code, "FAIL architecture" in ended.stderr) == (REFUSED, True)


def test_a_tag_is_not_put_back_under_a_deployment_that_has_begun_meanwhile(desk: Desk) -> None:
    def begin() -> None:
        desk.wire.before.clear()
        assert desk.deploy(SECOND, "--no-wait").exit_code == UNDER_WAY

    second = desk.digest(SECOND)
    assert second is not None
    tag_image(desk.ecs.client("ecr"), API, "live-dev", second)  # as an interrupted deployment leaves it
    desk.wire.before["PutItem"] = begin  # the lock's
    ended = desk.verb("rollback")
    assert (ended.exit_code, "has changed in the meantime" in ended.stderr) == (REFUSED, True)
    assert desk.digest("live-dev") == second


def test_a_deployment_is_aborted_before_ecs_names_its_image(desk: Desk) -> None:
    desk.deploy(SECOND, "--no-wait")
    assert desk.verb("abort", "--reason", "at once").exit_code == DONE
    desk.finish()
    assert desk.state() == (desk.digest(FIRST),) * 2


def test_an_image_that_is_gone_cannot_have_the_tag_back(desk: Desk) -> None:
    def forget() -> None:
        desk.ecs.registry._repositories[API].images.pop(first, None)

    first, desk.green.is_ready = str(desk.digest(FIRST)), False
    desk.on_look = forget
    ended = desk.deploy(SECOND)
    assert ended.exit_code == FAILED
    assert f"live-dev cannot be moved back: order-api has no image {first}" in ended.stderr
    assert desk.audit()[-1][0] == "rolled back"


def test_an_old_image_that_is_gone_is_not_remembered(desk: Desk) -> None:
    def forget() -> None:
        desk.ecs.registry._repositories[API].images.pop(first, None)

    first = str(desk.digest(FIRST))
    desk.on_look = forget
    ended = desk.deploy(SECOND)
    assert (ended.exit_code, f"there is no image for a rollback: order-api has no image {first}" in ended.stderr) == (
        DONE,
        True,
    )
    assert desk.audit()[-1][0] == "deployed"


def test_a_deployment_that_took_its_place_and_is_over_keeps_its_tag(desk: Desk) -> None:
    def replace() -> None:
        if desk.stage(PROCESSOR) == "BAKE_TIME":
            desk.on_look = lambda: None
            desk.ecs.client("ecs").update_service(cluster="dev", service=PROCESSOR, forceNewDeployment=True)
            desk.finish()

    desk.on_look = replace
    ended = desk.deploy(SECOND, service=PROCESSOR)
    assert (ended.exit_code, "has superseded this deployment" in ended.stderr) == (FAILED, True)
    assert desk.state(PROCESSOR) == (desk.digest(SECOND, PROCESSOR),) * 2


def test_the_tag_goes_to_where_ecs_went_back(desk: Desk) -> None:
    """Two images run, in an order that says nothing, and a third fails."""

    def turn(answer: dict[str, Any]) -> None:
        for deployment in answer["serviceDeployments"]:
            deployment["sourceServiceRevisions"].reverse()

    desk.deploy(SECOND, "--no-wait", service=PROCESSOR)
    while desk.stage(PROCESSOR) != "BAKE_TIME":
        desk.ecs.skip()
    service = desk.ecs.engine.state.services["dev", PROCESSOR]
    assert service.ongoing is not None
    service.ongoing.status = type(service.ongoing.status).STOPPED
    desk.wire.after["DescribeServiceDeployments"] = turn
    desk.ecs.break_image(str(desk.digest(SECOND, PROCESSOR)))
    again = desk.deploy(SECOND, "--despite", "rejected", "--reason", "once more", service=PROCESSOR)
    assert again.exit_code == FAILED, again.output
    assert desk.digest("live-dev", PROCESSOR) == desk.digest(FIRST, PROCESSOR)


def test_one_that_ended_before_it_could_be_turned_down_is_no_success(desk: Desk) -> None:
    def leave_letter() -> None:
        if desk.stage(PROCESSOR) == "BAKE_TIME":
            desk.on_look = lambda: None
            sqs = desk.aws("sqs")
            sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="dev-orders-dead")["QueueUrl"], MessageBody="{}")

    desk.on_look = leave_letter
    desk.wire.before["StopServiceDeployment"] = desk.finish
    ended = desk.deploy(SECOND, service=PROCESSOR)
    assert ended.exit_code == FAILED
    assert "`orderctl rollback order-processor --env dev` deploys the previous image" in ended.stderr
    assert desk.digest("previous-dev", PROCESSOR) == desk.digest(FIRST, PROCESSOR)


def test_letters_that_the_bad_image_still_leaves_do_not_stop_the_way_back(desk: Desk) -> None:
    def leave_letter() -> None:
        if desk.stage(PROCESSOR) == "SCALE_UP":
            sqs = desk.aws("sqs")
            sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="dev-orders-dead")["QueueUrl"], MessageBody="{}")

    desk.deploy(SECOND, service=PROCESSOR)
    desk.on_look = leave_letter
    assert desk.verb("rollback", service=PROCESSOR).exit_code == DONE
    assert desk.state(PROCESSOR) == (desk.digest(FIRST, PROCESSOR),) * 2


def test_an_abort_is_one_even_if_the_tag_has_nothing_to_go_back_to(desk: Desk) -> None:
    desk.deploy(SECOND, "--no-wait")
    desk.ecs.registry._repositories[API].images.pop(str(desk.digest(FIRST)))
    aborted = desk.verb("abort", "--reason", "no")
    assert (aborted.exit_code, "live-dev cannot be moved back: order-api has no image" in aborted.stderr) == (
        DONE,
        True,
    )
