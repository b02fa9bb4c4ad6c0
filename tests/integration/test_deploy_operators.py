"""An operator can always act, and every refusal names the next command."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from typer.testing import Result

from fake_ecs.seed import standard
from tests.ecs import stepped_ecs
from tests.integration.deploy_desk import API, FIRST, PROCESSOR, SECOND, Desk, Ground

DONE, FAILED, WRONG, REFUSED, UNDER_WAY = range(5)
REASON = ("--yes", "--reason", "release 4")
ERRORS = "dev-api-errors"


@pytest.fixture
def prod(deploy_ground: Ground) -> Iterator[Desk]:
    with deploy_ground.desk("prod") as opened:
        yield opened


@pytest.fixture
def newborn(deploy_ground: Ground) -> Iterator[Desk]:
    """Both services have just been created."""
    with (
        stepped_ecs(replace(standard(), age=timedelta())) as ecs,
        deploy_ground.desk(ecs=ecs) as opened,
    ):
        yield opened


def test_a_processor_whose_first_image_never_starts_is_repaired_by_one_deployment(newborn: Desk) -> None:
    newborn.ecs.break_image(str(newborn.digest(FIRST, PROCESSOR)))
    newborn.finish()
    for alarm in ("dev-no-processor", "dev-queue-age"):
        newborn.ecs.set_alarm(alarm, "ALARM")
    ended = newborn.deploy(SECOND, service=PROCESSOR)
    assert ended.exit_code == DONE, ended.output
    assert "SKIP alarms: already in ALARM" in ended.stderr
    assert newborn.state(PROCESSOR) == (newborn.digest(SECOND, PROCESSOR),) * 2


def test_the_first_image_can_be_tried_again_while_nothing_runs(newborn: Desk) -> None:
    first = str(newborn.digest(FIRST, PROCESSOR))
    newborn.ecs.break_image(first)
    newborn.finish()
    assert newborn.verb("finish", service=PROCESSOR).exit_code == FAILED
    newborn.ecs.mend_image(first)
    ended = newborn.deploy(FIRST, service=PROCESSOR)
    assert (ended.exit_code, "SKIP rejected" in ended.stderr) == (DONE, True), ended.output


@pytest.mark.parametrize("service", [API, PROCESSOR])
def test_an_image_that_starts_and_is_unhealthy_is_rolled_back(desk: Desk, service: str) -> None:
    desk.ecs.sicken_image(str(desk.digest(SECOND, service)))
    ended = desk.deploy(SECOND, service=service)
    assert (ended.exit_code, "failed its health checks" in ended.stderr) == (FAILED, True), ended.output
    assert desk.state(service) == (desk.digest(FIRST, service),) * 2


def test_a_canary_shifts_and_bakes(prod: Desk) -> None:
    ended = prod.deploy(SECOND, *REASON)
    assert ended.exit_code == DONE, ended.output
    canary, rest, bake = (
        ended.stderr.index(text)
        for text in ("production traffic shift · green 2 of 2, 10 % of", "green 2 of 2, 100 % of", "bake time")
    )
    assert canary < rest < bake
    assert prod.state() == (prod.digest(SECOND),) * 2


def test_an_alarm_during_the_canary_rolls_it_back_and_the_tag_with_it(prod: Desk) -> None:
    def ring() -> None:
        if prod.ecs.engine.state.services["prod", API].shifted is not None:
            prod.ecs.set_alarm("prod-api-errors", "ALARM")

    prod.on_look = ring
    ended = prod.deploy(SECOND, *REASON)
    assert (ended.exit_code, "alarms: prod-api-errors" in ended.stderr) == (FAILED, True), ended.output
    assert prod.state() == (prod.digest(FIRST),) * 2


def test_status_says_what_runs_what_waits_for_whom_and_until_when(desk: Desk) -> None:
    desk.ecs.engine.faults.vary(None)
    first = desk.digest(FIRST)
    assert desk.status()["summary"] == (f"order-api in dev runs {first} in 2 of 2 tasks; no deployment is under way")
    desk.deploy(SECOND, "--no-wait")
    desk.come_to_pause()
    told = desk.status()["summary"]
    assert re.search(
        r"is paused and waits for an operator \(`orderctl continue order-api --env dev` or `orderctl abort "
        r"order-api --env dev`\) until \d{4}-\d\d-\d\d \d\d:\d\d UTC, and then is rolled back$",
        told,
    ), told
    assert told in desk.verb("status").stderr
    desk.verb("continue")
    desk.come_to("BAKE_TIME")
    assert "bakes for 7 minutes and needs no operator" in desk.status()["summary"]
    desk.verb("freeze", "--reason", "incident 42")
    assert desk.status()["summary"].endswith("has frozen deployments: incident 42")


def under_way(desk: Desk) -> None:
    desk.deploy(SECOND, "--no-wait")


def ringing(desk: Desk) -> None:
    desk.ecs.set_alarm(ERRORS, "ALARM")


def locked(desk: Desk) -> None:
    desk.lock().take()


def nothing(_: Desk) -> None:
    pass


REFUSALS: dict[str, tuple[Callable[[Desk], object], Callable[[Desk], Result]]] = {
    "frozen": (lambda desk: desk.verb("freeze", "--reason", "no"), lambda desk: desk.deploy(SECOND)),
    "under way": (under_way, lambda desk: desk.deploy(FIRST)),
    "rolled back": (lambda desk: desk.roll_back_unwatched(), lambda desk: desk.deploy(SECOND, service=PROCESSOR)),
    "alarm": (ringing, lambda desk: desk.deploy(SECOND)),
    "locked": (locked, lambda desk: desk.deploy(SECOND)),
    "verify": (ringing, lambda desk: desk.verb("verify", "--tag", SECOND)),
    "no image": (nothing, lambda desk: desk.deploy("sha-nothing")),
    "no cluster": (nothing, lambda desk: desk.run("status", API, "--env", "nowhere")),
    "nothing to go back to": (nothing, lambda desk: desk.verb("rollback")),
    "rollback under way": (under_way, lambda desk: desk.verb("rollback")),
    "nothing to continue": (nothing, lambda desk: desk.verb("continue")),
    "not paused": (under_way, lambda desk: desk.verb("continue")),
    "nothing to abort": (nothing, lambda desk: desk.verb("abort", "--reason", "no")),
    "nothing to wait for": (nothing, lambda desk: desk.verb("wait")),
    "promote to itself": (nothing, lambda desk: desk.run("promote", API, "--from", "dev", "--to", "dev")),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_every_refusal_names_the_next_command(desk: Desk, refusal: str) -> None:
    prepare, ask = REFUSALS[refusal]
    prepare(desk)
    ended = ask(desk)
    assert ended.exit_code == REFUSED, ended.output
    assert re.search(r"`(orderctl|aws|make) [a-z-]+|`--despite", ended.stderr), ended.stderr
