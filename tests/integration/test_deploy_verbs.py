"""The verbs of a deployment as an operator uses them: what they say, what they leave, and how they end."""

import json
from collections.abc import Iterator

import pytest

from fake_ecs.images import push_image
from tests.integration.deploy_desk import API, FIRST, PROCESSOR, SECOND, Desk, Ground, give_terminal

DONE, FAILED, WRONG, REFUSED, UNDER_WAY = range(5)
REASON = ("--reason", "release 4")


@pytest.fixture(scope="module")
def resting(deploy_ground: Ground) -> Iterator[Desk]:
    """One for all tests that change nothing."""
    with deploy_ground.desk("uat") as opened:
        yield opened


@pytest.fixture
def prod(deploy_ground: Ground) -> Iterator[Desk]:
    with deploy_ground.desk("prod") as opened:
        yield opened


def test_a_deployment_says_where_it_is_and_what_happens(desk: Desk) -> None:
    before = desk.digest(FIRST)
    ended = desk.deploy(SECOND)
    assert ended.exit_code == DONE, ended.output
    for told in ("account  000000000000", "region  eu-central-1", "cluster  dev", "service  order-api"):
        assert told in ended.stderr
    for told in (
        "OK   scan",
        "scale up",
        "100 % of the traffic",
        "paused, waiting for approval",
        "OK   reachable",
        "bake time",
    ):
        assert told in ended.stderr
    assert "SUCCESSFUL" in ended.stdout
    assert desk.state() == (desk.digest(SECOND),) * 2
    assert desk.digest("previous-dev") == before
    assert [verb for verb, _ in desk.audit()] == ["deploy", "continue", "deployed"]
    assert desk.green.asked == 1


def test_its_answer_is_one_json_document(desk: Desk) -> None:
    told = json.loads(desk.deploy(SECOND, "--output", "json").stdout)
    assert told.pop("deployment")
    assert told == {
        "environment": "dev",
        "service": API,
        "status": "SUCCESSFUL",
        "image": desk.digest(SECOND),
        "before": desk.digest(FIRST),
        "changed": True,
        "over": True,
        "unwatched_alarms": None,
    }


def test_a_green_side_that_fails_its_test_gets_no_customers(desk: Desk) -> None:
    desk.green.is_ready = False
    ended = desk.deploy(SECOND)
    assert (ended.exit_code, "returned 503" in ended.stderr) == (FAILED, True)
    assert "live-dev points to sha256:" in ended.stderr
    assert desk.state() == (desk.digest(FIRST),) * 2
    assert desk.verb("status").exit_code == DONE
    assert [verb for verb, _ in desk.audit()] == ["deploy", "rollback", "rolled back"]


def test_an_empty_token_is_none(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub gives a secret that is not there as an empty one."""
    monkeypatch.setenv("ORDER_SMOKE_TOKEN", "")
    ended = desk.deploy(SECOND)
    assert (ended.exit_code, "no token is set: ORDER_SMOKE_TOKEN" in ended.stderr) == (DONE, True), ended.output


def test_what_is_live_already_is_no_work(resting: Desk) -> None:
    ended = resting.deploy(FIRST, "--output", "json")
    assert (ended.exit_code, json.loads(ended.stdout)["changed"]) == (DONE, False)
    assert "nothing to do" in ended.stderr
    assert resting.audit() == []


@pytest.mark.parametrize("service", [API, PROCESSOR])
def test_a_dry_run_changes_nothing(resting: Desk, service: str) -> None:
    before = len(resting.wire.calls)
    ended = resting.deploy(SECOND, "--dry-run", "--output", "json", service=service)
    told = json.loads(ended.stdout)
    assert (ended.exit_code, told["ready"], told["image"]) == (DONE, True, resting.digest(SECOND, service))
    assert "nothing was changed" in ended.stderr
    changing = {"PutImage", "UpdateService", "PutItem", "UpdateItem", "DeleteItem"}
    assert not changing & {operation for _, operation in resting.wire.calls[before:]}


def test_without_waiting_it_is_under_way(desk: Desk) -> None:
    ended = desk.deploy(SECOND, "--no-wait", "--output", "json")
    assert (ended.exit_code, json.loads(ended.stdout)["over"]) == (UNDER_WAY, False)
    assert "`orderctl finish order-api --env dev`" in ended.stderr
    assert desk.verb("status").exit_code == DONE  # no drift: a deployment is about it


def test_the_way_through_a_pause_word_by_word(desk: Desk) -> None:
    desk.deploy(SECOND, "--no-wait")
    waited = desk.verb("wait", "--for", "POST_TEST_TRAFFIC_SHIFT", "--output", "json")
    assert (waited.exit_code, json.loads(waited.stdout)["stage"]) == (DONE, "POST_TEST_TRAFFIC_SHIFT")
    desk.come_to_pause()
    assert desk.verb("continue", "--dry-run").exit_code == DONE
    assert "paused, waiting for approval" in desk.verb("status").stdout
    assert desk.verb("continue").exit_code == DONE
    assert desk.verb("wait").exit_code == DONE
    assert desk.state() == (desk.digest(SECOND),) * 2
    assert [verb for verb, _ in desk.audit()] == ["deploy", "continue"]
    assert desk.deploy(SECOND).exit_code == DONE
    assert desk.digest("previous-dev") == desk.digest(FIRST)


def test_a_deployment_is_aborted_and_followed_to_its_end(desk: Desk) -> None:
    desk.deploy(SECOND, "--no-wait")
    desk.ecs.skip()
    assert desk.verb("abort", "--reason", "looks wrong", "--dry-run").exit_code == DONE
    assert desk.digest("live-dev") == desk.digest(SECOND)
    aborted = desk.verb("abort", "--reason", "looks wrong")
    assert (aborted.exit_code, "live-dev points to sha256:" in aborted.stderr) == (DONE, True), aborted.output
    assert desk.state() == (desk.digest(FIRST),) * 2
    assert desk.verb("status").exit_code == DONE
    assert desk.trail().of(desk.ref.subject)[-1].reason == "looks wrong"


def test_an_abort_reaches_a_deployment_that_waits(desk: Desk) -> None:
    def abort() -> None:
        if desk.stage() == "POST_TEST_TRAFFIC_SHIFT":
            desk.on_look = lambda: None
            desk.verb("abort", "--reason", "no", "--no-wait")

    desk.deploy(SECOND, "--no-wait")
    desk.on_look = abort
    assert desk.verb("wait").exit_code == FAILED
    desk.verb("finish")
    assert desk.state() == (desk.digest(FIRST),) * 2


@pytest.mark.parametrize("words", [("continue",), ("abort", "--reason", "no"), ("wait",)])
def test_without_a_deployment_there_is_nothing_to_say(resting: Desk, words: tuple[str, ...]) -> None:
    ended = resting.verb(*words)
    assert (ended.exit_code, "no deployment is under way" in ended.stderr) == (REFUSED, True)


def test_what_does_not_wait_is_not_continued(desk: Desk) -> None:
    desk.deploy(SECOND, "--no-wait")
    ended = desk.verb("continue")
    assert (ended.exit_code, "is not paused" in ended.stderr) == (REFUSED, True)


def test_a_pause_that_nobody_can_be_asked_about_is_left(desk: Desk) -> None:
    ended = desk.deploy(SECOND, answer="")
    assert (ended.exit_code, "no terminal to ask at" in ended.stderr) == (UNDER_WAY, True)
    assert desk.verb("continue").exit_code == DONE
    assert desk.deploy(SECOND).exit_code == DONE


@pytest.mark.parametrize(("answers", "code"), [("y\n", DONE), ("n\ny\n", FAILED), ("n\nn\n", UNDER_WAY)])
def test_whoever_is_there_is_asked(desk: Desk, monkeypatch: pytest.MonkeyPatch, answers: str, code: int) -> None:
    give_terminal(monkeypatch)
    ended = desk.deploy(SECOND, answer=answers)
    assert (ended.exit_code, "Shift production traffic to green?" in ended.stderr) == (code, True)


def test_production_is_asked_about(prod: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    without = prod.deploy(SECOND)
    assert (without.exit_code, "--reason" in without.stderr) == (WRONG, True)
    alone = prod.deploy(SECOND, *REASON)
    assert (alone.exit_code, "--yes" in alone.stderr) == (REFUSED, True)
    give_terminal(monkeypatch)
    assert prod.run("deploy", API, "--env", "prod", "--tag", SECOND, *REASON, answer="n\n").exit_code == REFUSED
    assert prod.state() == (prod.digest(FIRST),) * 2
    assert prod.audit() == []
    assert prod.deploy(SECOND, *REASON, answer="y\ny\n").exit_code == DONE
    assert {each.reason for each in prod.trail().of(prod.ref.subject)} == {"release 4"}


def test_production_is_not_asked_about_twice(prod: Desk) -> None:
    assert prod.deploy(SECOND, "--yes", *REASON).exit_code == DONE
    assert prod.verb("rollback", "--dry-run").exit_code == DONE
    assert prod.verb("rollback", *REASON).exit_code == REFUSED
    assert prod.verb("rollback", "--yes", "--no-wait", *REASON).exit_code == UNDER_WAY
    assert prod.verb("abort", "--reason", "no").exit_code == REFUSED


@pytest.mark.parametrize(("account", "code"), [("000000000000", DONE), ("111111111111", REFUSED)])
def test_another_account_is_left_alone(desk: Desk, account: str, code: int) -> None:
    desk.environment["ORDER_ACCOUNT_ID"] = account
    assert desk.deploy(SECOND).exit_code == code


def test_a_rollback_goes_to_what_ran_before_and_not_back_again(desk: Desk) -> None:
    refused = desk.verb("rollback")
    assert (refused.exit_code, "no image that was good has the tag previous-dev" in refused.stderr) == (REFUSED, True)
    desk.deploy(SECOND)
    for code in (DONE, REFUSED):
        assert desk.verb("rollback", "--auto", "--test-url", desk.test_url).exit_code == code
        assert desk.state() == (desk.digest(FIRST),) * 2
    assert desk.verb("rollback", "--to", SECOND, "--auto", "--test-url", desk.test_url).exit_code == DONE


def test_after_drift_a_rollback_moves_the_tag_only(desk: Desk) -> None:
    client = desk.ecs.client("ecr")
    digest = push_image(client, API, "live-dev", labels={"drift": "yes"})
    assert desk.verb("status").exit_code == FAILED
    assert desk.status()["live"] == digest
    assert desk.verb("rollback", "--dry-run").exit_code == DONE
    assert desk.digest("live-dev") == digest
    assert desk.verb("rollback").exit_code == DONE
    assert desk.state() == (desk.digest(FIRST),) * 2
    assert desk.status()["drift"] is None
    assert ("ecs", "UpdateService") not in desk.wire.calls
    assert [verb for verb, _ in desk.audit()] == ["tag put back"]


def test_a_rollback_of_what_is_under_way_names_the_verb_for_it(desk: Desk) -> None:
    desk.deploy(SECOND, "--no-wait")
    ended = desk.verb("rollback")
    assert (ended.exit_code, "`orderctl abort order-api --env dev`" in ended.stderr) == (REFUSED, True)


def test_status_for_people_and_for_programs(resting: Desk) -> None:
    shown, told = resting.verb("status"), resting.status()
    assert (shown.exit_code, "blue/green" in shown.stdout, told["running"] in shown.stdout) == (DONE, True, True)
    assert told["tasks"] == {"desired": 2, "running": 2}
    assert (told["running"], told["live"], told["drift"]) == (resting.digest(FIRST), resting.digest(FIRST), None)
    assert "2 of 2, rolling" in resting.verb("status", service=PROCESSOR).stdout


def test_history_has_deployments_and_acts(desk: Desk) -> None:
    desk.deploy(SECOND)
    shown = desk.verb("history")
    for text in ("SUCCESSFUL", "deployed", "arn:aws:iam"):
        assert text in shown.stdout.replace("\n", "")
    told = json.loads(desk.verb("history", "--limit", "1", "--output", "json").stdout)
    assert [each["digest"] for each in told["deployments"]] == [desk.digest(SECOND)]
    assert [each["verb"] for each in told["acts"]] == ["deployed"]


def test_verify_looks_and_says(desk: Desk) -> None:
    assert desk.verb("verify").exit_code == DONE
    desk.ecs.set_alarm("dev-api-errors", "ALARM")
    ended = desk.verb("verify", "--tag", SECOND, "--output", "json")
    told = json.loads(ended.stdout)
    assert (ended.exit_code, told["ready"]) == (REFUSED, False)
    assert [check["name"] for check in told["checks"] if check["verdict"] == "FAIL"] == ["alarms"]


def test_diff_shows_both_sides(resting: Desk) -> None:
    assert "nothing would change" in resting.verb("diff", "--tag", FIRST).stdout
    assert "commits  1a2b3c4..5d6e7f8" in resting.verb("diff", "--tag", SECOND).stdout
    told = json.loads(resting.verb("diff", "--tag", SECOND, "--output", "json").stdout)
    assert (told["changes"], told["commits"]) == (True, "1a2b3c4..5d6e7f8")
    assert told["then"]["digest"] == resting.digest(SECOND)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("deploy", "order-apy", "--env", "uat", "--tag", FIRST), WRONG, "order-processor"),
        (("deploy", API, "--env", "uat"), WRONG, "--tag"),
        (("wait", API, "--env", "uat", "--for", "LATER"), WRONG, "BAKE_TIME"),
        (("deploy", API, "--env", "uat", "--tag", "sha-nothing"), REFUSED, "order-api has no image sha-nothing"),
        (("status", API, "--env", "nowhere"), REFUSED, "there is no cluster nowhere"),
        (("status", API, "--env", "feat-nothing"), REFUSED, "there is no cluster dev"),
        (("promote", API, "--from", "dev", "--to", "dev"), REFUSED, "--from and --to are the same environment: dev"),
        (("promote", API, "--from", "dev", "--to", "uat"), REFUSED, "there is no cluster dev"),
    ],
)
def test_what_was_asked_for_wrongly_is_told(resting: Desk, words: tuple[str, ...], code: int, told: str) -> None:
    ended = resting.run(*words)
    assert (ended.exit_code, told in ended.stderr) == (code, True), ended.output
