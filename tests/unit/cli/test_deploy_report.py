"""What is shown of a deployment that is followed."""

from typing import Any

import pytest

from order_operations.deployments.fleet import Deployment, Event, Revision, Stage, Status
from orderctl.commands.deployment.report import Report
from tests.factories import NOON

STEADY = "(service order-api) has reached a steady state."


def deployment(status: Status, stage: Stage | None = None) -> Deployment:
    return Deployment(
        arn="arn:aws:ecs:eu-central-1:000000000000:service-deployment/dev/order-api/one",
        status=status,
        state=status.value,
        stage=stage,
        reason="",
        created_at=NOON,
        finished_at=None,
        target=Revision(arn="green"),
        sources=(Revision(arn="blue"),),
        hook=None,
        alarms=(),
        alarms_status="MONITORING",
        triggered_alarms=(),
        bake_minutes=10,
        rollback_reason="",
        rollback_revision=None,
    )


def test_an_event_that_says_what_an_older_one_said_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """ECS says most things more than once."""
    events = [Event(id="1", message=STEADY)]
    nothing_recorded: Any = None
    report = Report(nothing_recorded, lambda: events)
    report.observed(deployment(Status.PENDING))
    events.insert(0, Event(id="2", message=STEADY))
    report.observed(deployment(Status.PENDING))
    report.observed(deployment(Status.PENDING))
    assert capsys.readouterr().err.count(STEADY) == 1


class Spinner:
    def __init__(self) -> None:
        self.text = ""

    def update(self, text: str) -> None:
        self.text = text


@pytest.mark.parametrize(
    ("status", "stage", "told"),
    [
        (Status.IN_PROGRESS, Stage.BAKE_TIME, "baking; up to 10 min left"),
        (Status.IN_PROGRESS, Stage.CLEAN_UP, "clean up"),
        (Status.ROLLBACK_IN_PROGRESS, Stage.BAKE_TIME, "rollback in progress"),
    ],
)
def test_the_time_that_a_bake_has_left_is_told_while_it_bakes(status: Status, stage: Stage, told: str) -> None:
    nothing_recorded: Any = None
    report, spinner = Report(nothing_recorded), Spinner()
    on_a_terminal: Any = spinner
    report._spinner = on_a_terminal
    report.observed(deployment(Status.IN_PROGRESS, Stage.BAKE_TIME))
    report.observed(deployment(status, stage))
    assert spinner.text.endswith(told)
