"""What ECS really does to a deployment, and what the verbs do then: one section for each rule."""

import json
from datetime import timedelta
from typing import Any

import pytest

from fake_ecs.images import push_image, tag_image
from order_operations.deployments.errors import DeploymentRefused
from order_operations.deployments.judgement import judge
from order_shared.storage.audit_trail import Operation
from orderctl.deploy.smoke import ATTEMPTS
from tests.integration.deploy_desk import API, FIRST, PROCESSOR, SECOND, Desk, Ground, empty_operations, give_terminal
from tests.integration.test_deploy_conditions import stand_beside

DONE, FAILED, WRONG, REFUSED, UNDER_WAY = range(5)
ERRORS = "dev-api-errors"
WHY = ("--reason", "it must be")


class TestRejectedImage:
    """E1: a rollback moves no tag, so the image that was rolled back must not ship again unasked."""

    def test_finish_puts_the_tag_back_and_starts_nothing(self, desk: Desk) -> None:
        desk.roll_back_unwatched()
        assert desk.state(PROCESSOR) == (desk.digest(SECOND, PROCESSOR), desk.digest(FIRST, PROCESSOR))
        before = desk.started()
        ended = desk.verb("finish", service=PROCESSOR)
        assert (ended.exit_code, "ended ROLLBACK_SUCCESSFUL" in ended.stderr) == (FAILED, True), ended.output
        assert desk.state(PROCESSOR) == (desk.digest(FIRST, PROCESSOR),) * 2
        assert desk.started() == before

    def test_the_same_deployment_again_is_refused_with_the_reason(self, desk: Desk) -> None:
        desk.roll_back_unwatched()
        before = desk.started()
        ended = desk.deploy(SECOND, service=PROCESSOR)
        assert ended.exit_code == REFUSED
        for told in ("FAIL rejected", "One or more alarms went into ALARM: dev-failures", "--despite rejected"):
            assert told in ended.stderr
        assert desk.started() == before

    def test_it_ships_again_when_an_operator_says_so(self, desk: Desk) -> None:
        desk.roll_back_unwatched()
        without = desk.deploy(SECOND, "--despite", "rejected", service=PROCESSOR)
        assert (without.exit_code, "--reason" in without.stderr) == (WRONG, True)
        ended = desk.deploy(SECOND, "--despite", "rejected", *WHY, service=PROCESSOR)
        assert ended.exit_code == DONE, ended.output
        assert ("despite", "rejected") in desk.audit(PROCESSOR)

    def test_an_apply_with_a_drifting_tag_is_refused(self, desk: Desk) -> None:
        desk.roll_back_unwatched()
        with pytest.raises(DeploymentRefused, match="the live tag points to another image"):
            desk.apply(PROCESSOR)
        desk.verb("finish", service=PROCESSOR)
        desk.apply(PROCESSOR)
        desk.finish()
        assert desk.state(PROCESSOR) == (desk.digest(FIRST, PROCESSOR),) * 2


class TestJudgement:
    """E2: a deployment of the same image with a new task definition that is rolled back is no success."""

    def test_finish_fails_after_a_deployment_of_terraform_was_rolled_back(self, desk: Desk) -> None:
        desk.change_task(PROCESSOR)
        desk.come_to("BAKE_TIME", PROCESSOR)
        desk.ecs.set_alarm("dev-failures", "ALARM")
        desk.ecs.step(0)
        desk.finish()
        desk.ecs.set_alarm("dev-failures", "OK")
        ended = desk.verb("finish", service=PROCESSOR)
        assert (ended.exit_code, "ended ROLLBACK_SUCCESSFUL" in ended.stderr) == (FAILED, True), ended.output

    def test_an_older_task_definition_than_the_newest_is_no_success(self, desk: Desk) -> None:
        new = desk.change_task(PROCESSOR)
        desk.verb("abort", "--reason", "no", service=PROCESSOR)
        assert desk.deploy(SECOND, service=PROCESSOR).exit_code == DONE
        ended = desk.verb("finish", service=PROCESSOR)
        assert (ended.exit_code, f"{new.rpartition('/')[2]} is the newest" in ended.stderr) == (FAILED, True)
        assert "orderctl env apply --env dev" in ended.stderr

    def test_one_that_is_under_way_is_no_success_yet(self, desk: Desk) -> None:
        access = desk.access(PROCESSOR)
        assert judge(access.fleet).is_good
        desk.apply(PROCESSOR)
        assert not judge(access.fleet).is_good
        desk.finish()
        assert judge(access.fleet).is_good

    def test_a_bad_task_definition_does_not_reject_the_image(self, desk: Desk) -> None:
        desk.change_task(PROCESSOR)
        desk.verb("abort", "--reason", "no", service=PROCESSOR)
        assert desk.deploy(SECOND, service=PROCESSOR).exit_code == DONE
        assert desk.verb("rollback", service=PROCESSOR).exit_code == DONE
        assert desk.state(PROCESSOR) == (desk.digest(FIRST, PROCESSOR),) * 2


class TestAlarms:
    """E3: ECS watches no alarm of a deployment that starts while one is on."""

    def ring_at_the_start(self, desk: Desk) -> None:
        desk.wire.before["UpdateService"] = lambda: desk.ecs.set_alarm(ERRORS, "ALARM")

    def test_by_itself_it_is_rolled_back(self, desk: Desk) -> None:
        self.ring_at_the_start(desk)
        ended = desk.deploy(SECOND)
        assert (ended.exit_code, "ECS watches no alarm of this deployment" in ended.stderr) == (FAILED, True)
        assert ERRORS in ended.stderr
        assert desk.state() == (desk.digest(FIRST),) * 2

    def test_with_despite_it_goes_on_and_the_answer_names_the_alarms(self, desk: Desk) -> None:
        desk.ecs.set_alarm(ERRORS, "ALARM")
        refused = desk.deploy(SECOND)
        assert (refused.exit_code, "--despite alarms --reason" in refused.stderr) == (REFUSED, True)
        ended = desk.deploy(SECOND, "--despite", "alarms", *WHY, "--output", "json")
        assert ended.exit_code == DONE, ended.output
        assert f"ECS watches no alarm and will not roll back for any: {ERRORS}" in ended.stderr
        assert ERRORS in json.loads(ended.stdout)["unwatched_alarms"]
        assert desk.audit()[0] == ("despite", "alarms")
        assert {each.reason for each in desk.trail().of(desk.ref.subject)} == {"it must be"}

    @pytest.mark.parametrize(("answers", "code"), [("n\n", FAILED), ("y\ny\n", DONE)])
    def test_whoever_is_there_is_asked(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch, answers: str, code: int
    ) -> None:
        give_terminal(monkeypatch)
        self.ring_at_the_start(desk)
        ended = desk.deploy(SECOND, answer=answers)
        assert (ended.exit_code, "Continue without alarms?" in ended.stderr) == (code, True), ended.output

    def test_on_a_rollback_it_is_only_reported(self, desk: Desk) -> None:
        desk.deploy(SECOND)
        desk.ecs.set_alarm(ERRORS, "ALARM")
        ended = desk.verb("rollback", "--auto", "--test-url", desk.test_url)
        assert (ended.exit_code, "ECS watches no alarm of this deployment" in ended.stderr) == (DONE, True)
        assert desk.state() == (desk.digest(FIRST),) * 2


def test_the_image_that_ecs_resolved_is_compared(desk: Desk) -> None:
    """E5: the first task fixes the digest, and the tag may have moved before."""
    third = desk.push("0000003")

    def move(_: dict[str, Any]) -> None:
        tag_image(desk.ecs.client("ecr"), API, "live-dev", third)

    desk.wire.after["UpdateService"] = move
    ended = desk.deploy(SECOND)
    assert (ended.exit_code, f"ECS runs {third} instead of {desk.digest(SECOND)}" in ended.stderr) == (FAILED, True)
    assert desk.state()[1] == desk.digest(FIRST)


class TestTags:
    """E6: every image that may be needed has a movable tag at any moment."""

    def test_no_moment_leaves_an_image_without_a_tag(self, desk: Desk) -> None:
        desk.deploy(SECOND)
        third = desk.push("0000003")
        needed = {desk.digest(FIRST), desk.digest(SECOND)}
        seen = 0

        def look(_: dict[str, Any] | None = None) -> None:
            nonlocal seen
            seen += 1
            tags = ("live-dev", "previous-dev", "previous-dev.oldest")
            with desk.ecs.quiet():
                assert needed <= {desk.digest(tag) for tag in tags}

        for operation in ("PutImage", "UpdateService", "PutItem"):
            desk.wire.before[operation] = look
            desk.wire.after[operation] = look
        assert desk.deploy(third).exit_code == DONE
        assert seen > 8
        assert desk.digest("previous-dev") == desk.digest(SECOND)

    def test_the_lifecycle_during_a_deployment_takes_nothing_that_a_rollback_needs(self, desk: Desk) -> None:
        desk.deploy(SECOND)
        third, first = desk.push("0000003"), desk.digest(FIRST)
        repository = desk.ecs.registry._repositories[API]
        selection = {"tagStatus": "tagged", "tagPatternList": ["sha-*"], "countType": "imageCountMoreThan"}
        keep = [
            {"rulePriority": n, "selection": {**selection, "tagPatternList": [tag], "countNumber": 9999}}
            for n, tag in enumerate(("live-*", "previous-*"))
        ]
        repository.policy = {"rules": [*keep, {"rulePriority": 9, "selection": {**selection, "countNumber": 0}}]}

        def expire_then_ring() -> None:
            if desk.stage() == "BAKE_TIME":
                desk.ecs.registry.expire(API)
                desk.ecs.set_alarm(ERRORS, "ALARM")

        desk.on_look = expire_then_ring
        assert desk.deploy(third).exit_code == FAILED
        assert first in repository.images
        assert desk.state()[0] == desk.state()[1] != third
        assert desk.digest("previous-dev") == first

    def test_the_audit_has_all_three_digests_first(self, desk: Desk) -> None:
        desk.deploy(SECOND)
        third = desk.push("0000003")
        moved: list[str] = []
        desk.wire.before["PutImage"] = lambda: moved.append(desk.audit()[-1][1])
        desk.deploy(third)
        for digest in (desk.digest(FIRST), desk.digest(SECOND), third):
            assert str(digest) in moved[0]


class TestUnknownDigest:
    """E7: ECS may know no digest."""

    def test_it_is_said_and_promotion_asks_the_registry(self, desk: Desk, deploy_ground: Ground) -> None:
        empty_operations(deploy_ground.embedded, "uat-")
        stand_beside(desk, "uat")
        desk.ecs.engine.faults.undigested.add(PROCESSOR)
        assert desk.deploy(SECOND, service=PROCESSOR).exit_code == DONE
        desk.ecs.engine.faults.undigested.clear()
        told = desk.status(PROCESSOR)
        assert (told["running"], told["running_is_unknown"]) == (None, True)
        assert "tasks whose digest ECS does not know" in told["summary"]
        assert "digest unknown" in desk.verb("status", service=PROCESSOR).stdout
        promoted = desk.run("promote", PROCESSOR, "--from", "dev", "--to", "uat")
        assert promoted.exit_code == DONE, promoted.output
        assert "promoting the one that live-dev points to" in promoted.stderr
        assert desk.digest("live-uat", PROCESSOR) == desk.digest(SECOND, PROCESSOR)

    def test_a_service_without_tasks_can_be_promoted(self, desk: Desk, deploy_ground: Ground) -> None:
        empty_operations(deploy_ground.embedded, "uat-")
        stand_beside(desk, "uat")
        desk.ecs.client("ecs").update_service(cluster="dev", service=PROCESSOR, desiredCount=0)
        assert desk.deploy(SECOND, service=PROCESSOR).exit_code == DONE
        promoted = desk.run("promote", PROCESSOR, "--from", "dev", "--to", "uat")
        assert (promoted.exit_code, desk.digest("live-uat", PROCESSOR)) == (DONE, desk.digest(SECOND, PROCESSOR))


class TestAnswers:
    """E8: lists have pages, and answers have failures."""

    def test_a_deployment_that_waits_is_found_behind_an_empty_page(self, desk: Desk) -> None:
        desk.deploy(SECOND, "--no-wait")
        desk.come_to_pause()
        pages = 0

        def only_by_list(answer: dict[str, Any]) -> None:
            for service in answer["services"]:
                service.pop("currentServiceDeployment", None)

        def empty_first(answer: dict[str, Any]) -> None:
            nonlocal pages
            pages += 1
            if pages == 1:
                answer.update(serviceDeployments=[], nextToken="MA==")

        desk.wire.after |= {"DescribeServices": only_by_list, "ListServiceDeployments": empty_first}
        told = desk.status()
        assert (told["stage"], told["drift"]) == ("POST_TEST_TRAFFIC_SHIFT", None)

    def test_a_failure_in_an_answer_is_an_error(self, desk: Desk) -> None:
        desk.deploy(SECOND, "--no-wait")

        def fail(answer: dict[str, Any]) -> None:
            failed = [
                {"arn": each["serviceDeploymentArn"], "reason": "BROKEN"} for each in answer["serviceDeployments"]
            ]
            answer.update(serviceDeployments=[], failures=failed)

        def only_by_list(answer: dict[str, Any]) -> None:
            for service in answer["services"]:
                service.pop("currentServiceDeployment", None)

        desk.wire.after |= {"DescribeServiceDeployments": fail, "DescribeServices": only_by_list}
        before = desk.started()
        for words in (("status",), ("rollback",)):
            ended = desk.verb(*words)
            assert (ended.exit_code, "BROKEN" in ended.stderr) == (FAILED, True), ended.output
        assert desk.deploy(FIRST).exit_code == FAILED
        assert desk.started() == before

    def test_the_deployment_that_the_answer_names_is_followed(self, desk: Desk) -> None:
        """Another one that is new is somebody else's."""

        def another(_: dict[str, Any]) -> None:
            del desk.wire.after["UpdateService"]
            desk.change_task(PROCESSOR)

        desk.wire.after["UpdateService"] = another
        ended = desk.deploy(SECOND, "--output", "json", service=PROCESSOR)
        ours = desk.ecs.engine.state.services["dev", PROCESSOR].deployments[-2].id
        assert (ended.exit_code, json.loads(ended.stdout)["deployment"]) == (FAILED, ours)

    @pytest.mark.parametrize("seed", range(8))
    def test_late_reads_and_empty_pages_change_no_result(self, desk: Desk, seed: int) -> None:
        desk.ecs.engine.faults.vary(seed)
        assert desk.deploy(SECOND).exit_code == DONE
        desk.green.is_ready = False
        assert desk.deploy(desk.push("0000003")).exit_code == FAILED
        desk.green.is_ready = True
        assert desk.state() == (desk.digest(SECOND),) * 2
        assert desk.verb("rollback", "--auto", "--test-url", desk.test_url).exit_code == DONE
        assert desk.state() == (desk.digest(FIRST),) * 2


class TestAbort:
    """E9: a requested rollback may still end in success, so the tag follows the end."""

    def test_the_tag_stays_until_the_end(self, desk: Desk) -> None:
        desk.deploy(SECOND, "--no-wait")
        desk.ecs.skip()
        requested = desk.verb("abort", "--reason", "no", "--no-wait")
        assert (requested.exit_code, "`orderctl finish order-api --env dev`" in requested.stderr) == (UNDER_WAY, True)
        assert desk.digest("live-dev") == desk.digest(SECOND)
        assert desk.verb("finish").exit_code == FAILED
        assert desk.state() == (desk.digest(FIRST),) * 2

    def test_one_that_succeeds_all_the_same_keeps_its_tag(self, desk: Desk) -> None:
        desk.deploy(SECOND, "--no-wait")
        desk.come_to_pause()
        desk.verb("continue")
        desk.come_to("CLEAN_UP")
        ended = desk.verb("abort", "--reason", "too late")
        assert (ended.exit_code, "ended SUCCESSFUL: `orderctl rollback" in ended.stderr) == (FAILED, True), ended.output
        assert desk.state() == (desk.digest(SECOND),) * 2
        assert desk.digest("previous-dev") == desk.digest(FIRST)


class TestErrors:
    """E10: late calls and new states. `tests/unit/operations/test_deployment_errors.py` enumerates the model's."""

    @pytest.mark.parametrize(
        "code", ["ClientException", "InvalidParameterException", "ServiceDeploymentNotFoundException"]
    )
    def test_a_late_continue_is_no_end(self, desk: Desk, code: str) -> None:
        desk.ecs.engine.faults.fail("ContinueServiceDeployment", code)
        ended = desk.deploy(SECOND)
        assert "too late, ECS refused the call" in ended.stderr
        desk.finish()
        assert desk.verb("finish").exit_code == FAILED
        assert desk.state() == (desk.digest(FIRST),) * 2

    def test_a_new_state_is_shown_and_waited_for(self, desk: Desk) -> None:
        calls = 0

        def invent(answer: dict[str, Any]) -> None:
            nonlocal calls
            calls += 1
            for deployment in answer["serviceDeployments"]:
                if deployment["status"] == "IN_PROGRESS" and calls % 2:
                    deployment["status"] = "STOP_IN_PROGRESS"

        desk.wire.after["DescribeServiceDeployments"] = invent
        ended = desk.deploy(SECOND)
        assert (ended.exit_code, "stop in progress" in ended.stderr) == (DONE, True), ended.output


class TestSteadiness:
    """E11: an ordinary scale-out refuses no release."""

    @pytest.mark.parametrize("service", [API, PROCESSOR])
    def test_tasks_that_start_are_waited_for(self, desk: Desk, service: str) -> None:
        desk.ecs.client("ecs").update_service(cluster="dev", service=service, desiredCount=4)
        desk.ecs.step(1)
        ended = desk.deploy(SECOND, service=service)
        assert (ended.exit_code, "waiting for tasks that ECS is starting" in ended.stderr) == (DONE, True), ended.output
        assert "4 of 4 running" in ended.stderr

    def test_tasks_that_never_start_refuse_it_in_the_end(self, desk: Desk) -> None:
        desk.ecs.break_image(str(desk.digest(FIRST, PROCESSOR)))
        desk.ecs.client("ecs").update_service(cluster="dev", service=PROCESSOR, desiredCount=4)
        ended = desk.deploy(SECOND, service=PROCESSOR)
        assert (ended.exit_code, "FAIL tasks: 2 of 4" in ended.stderr) == (REFUSED, True), ended.output
        assert desk.deploy(SECOND, "--despite", "tasks", *WHY, service=PROCESSOR).exit_code == DONE


class TestSmoke:
    """E12: one failed request says nothing about a release."""

    def test_a_green_side_that_warms_up_is_tried_again(self, desk: Desk) -> None:
        desk.green.unready = 3
        ended = desk.deploy(SECOND)
        assert (ended.exit_code, desk.waits) == (DONE, 2), ended.output

    def test_blue_that_still_answers_is_not_judged(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ORDER_SMOKE_TOKEN", "token")
        desk.green.release = FIRST.removeprefix("sha-")

        def shift() -> None:
            desk.waits += 1
            desk.green.release = SECOND.removeprefix("sha-")

        monkeypatch.setattr("orderctl.commands.deployment.pace.wait_for_listener", shift)
        assert desk.deploy(SECOND).exit_code == DONE
        assert desk.waits == 1

    def test_one_that_stays_unready_is_rolled_back(self, desk: Desk) -> None:
        desk.green.is_ready = False
        assert (desk.deploy(SECOND).exit_code, desk.waits) == (FAILED, ATTEMPTS - 1)


class TestWayBack:
    """E13: an image that was rolled away from is no candidate."""

    def deploy_three(self, desk: Desk) -> str:
        third = desk.push("0000003")
        for tag in (SECOND, "sha-0000003"):
            desk.green.release = tag.removeprefix("sha-")
            assert desk.deploy(tag).exit_code == DONE
        return third

    def roll_back(self, desk: Desk, *words: str) -> Any:
        return desk.verb("rollback", "--auto", "--test-url", desk.test_url, *words)

    def test_a_second_rollback_goes_one_further_back(self, desk: Desk) -> None:
        self.deploy_three(desk)
        first = self.roll_back(desk)
        assert (first.exit_code, f"--to {desk.digest(FIRST)}" in first.stderr) == (DONE, True), first.output
        assert desk.state() == (desk.digest(SECOND),) * 2
        assert self.roll_back(desk).exit_code == DONE
        assert desk.state() == (desk.digest(FIRST),) * 2
        third = self.roll_back(desk)
        assert (third.exit_code, "no previous image is known" in third.stderr) == (REFUSED, True)

    def test_to_chooses(self, desk: Desk) -> None:
        self.deploy_three(desk)
        assert self.roll_back(desk, "--to", FIRST).exit_code == DONE
        assert desk.state() == (desk.digest(FIRST),) * 2

    def test_one_that_is_deployed_again_is_a_candidate_again(self, desk: Desk) -> None:
        third = self.deploy_three(desk)
        self.roll_back(desk)
        assert desk.deploy("sha-0000003").exit_code == DONE
        desk.deploy(FIRST)
        assert self.roll_back(desk).exit_code == DONE
        assert desk.state() == (third,) * 2


class TestPrompt:
    """E14: an answer is acted on only while the lock is held."""

    def test_an_answer_after_the_lock_was_lost_shifts_nothing(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        give_terminal(monkeypatch)

        def think(*_: Any, **__: Any) -> bool:
            later = desk.lock()
            later._now = lambda: desk.ecs.clock.now.timestamp() + timedelta(hours=1).total_seconds()
            later.take()
            return True

        monkeypatch.setattr("typer.confirm", think)
        ended = desk.deploy(SECOND, answer="")
        assert (ended.exit_code, "was lost" in ended.stderr) == (FAILED, True), ended.output
        assert ("ecs", "ContinueServiceDeployment") not in desk.wire.calls

    @pytest.mark.parametrize(
        ("status", "told"),
        [
            ("FINDINGS_UNAVAILABLE", "aws ecr start-image-scan"),
            ("LIMIT_EXCEEDED", "limit of scans"),
            ("IMAGE_ARCHIVED", "archived"),
            ("FAILED", "make push"),
        ],
    )
    def test_each_state_of_a_scan_has_its_sentence(self, desk: Desk, status: str, told: str) -> None:
        desk.wire.after["DescribeImageScanFindings"] = lambda answer: answer["imageScanStatus"].update(status=status)
        ended = desk.deploy(SECOND)
        assert (ended.exit_code, told in ended.stderr) == (REFUSED, True), ended.output


class TestPlatformDigest:
    """E15: ECS may report the digest of the platform's image instead of the index."""

    def test_both_are_the_same_image(self, desk: Desk) -> None:
        desk.ecs.engine.faults.platform_digests.add(PROCESSOR)
        assert desk.deploy(SECOND, service=PROCESSOR).exit_code == DONE
        second = desk.digest(SECOND, PROCESSOR)
        told = desk.status(PROCESSOR)
        assert (told["running"], told["live"], told["drift"]) == (second, second, None)
        assert "nothing to do" in desk.deploy(SECOND, service=PROCESSOR).stderr
        desk.roll_back_unwatched(desk.push("0000003", PROCESSOR))
        desk.verb("finish", service=PROCESSOR)
        assert desk.digest("live-dev", PROCESSOR) == second
        assert desk.verb("rollback", service=PROCESSOR).exit_code == DONE
        assert desk.digest("live-dev", PROCESSOR) == desk.digest(FIRST, PROCESSOR)


def test_an_image_older_than_a_migration_is_deployed_with_a_warning(desk: Desk) -> None:
    """E16: it may not read the items."""
    at = desk.ecs.clock.now + timedelta(hours=1)
    desk.trail().record(
        Operation(subject="migration#orders", at=at, actor="ada", verb="migrate", detail="to version 3")
    )
    ended = desk.deploy(SECOND)
    assert (ended.exit_code, "warning: migration#orders to version 3" in ended.stderr) == (DONE, True), ended.output
    assert "docs/evolution.md" in ended.stderr
    desk.ecs.clock.now += timedelta(hours=2)
    push_image(desk.ecs.client("ecr"), API, "sha-0000003", labels={})
    assert "warning: migration" not in desk.deploy("sha-0000003", "--dry-run").stderr


class TestRepeats:
    """UpdateService is not idempotent: each repeat forces a deployment."""

    def test_a_lost_answer_starts_no_second_deployment(self, desk: Desk) -> None:
        desk.ecs.engine.faults.lose_answers("UpdateService")
        ended = desk.deploy(SECOND)
        assert (ended.exit_code, "checking whether it started" in ended.stderr) == (DONE, True), ended.output
        assert len(desk.ecs.engine.state.services["dev", API].deployments) == 2

    def test_a_refused_start_moves_the_tags_back(self, desk: Desk) -> None:
        desk.ecs.engine.faults.fail("UpdateService", "InvalidParameterException")
        ended = desk.deploy(SECOND)
        assert (ended.exit_code, "ECS refused the deployment" in ended.stderr) == (FAILED, True)
        assert desk.state() == (desk.digest(FIRST),) * 2
        assert desk.verb("status").exit_code == DONE

    def test_a_throttled_start_is_repeated(self, desk: Desk) -> None:
        desk.ecs.engine.faults.throttle("UpdateService", 3)
        assert desk.deploy(SECOND).exit_code == DONE
        assert len(desk.ecs.engine.state.services["dev", API].deployments) == 2
