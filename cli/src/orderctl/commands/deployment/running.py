"""Puts the engine together for a verb, and tells an operator how it ended."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import typer
from botocore.exceptions import BotoCoreError, ClientError

from orderctl.commands.deployment import pace
from orderctl.commands.deployment.answers import answer, answer_json, of_checks, of_outcome
from orderctl.commands.deployment.options import (
    DONE,
    FAILED,
    INTERRUPTED,
    STILL_BAKING,
    announce,
    can_ask,
    confirm,
)
from orderctl.commands.deployment.report import Report
from orderctl.commands.deployment.scanning import await_scan
from orderctl.deploy.checks import Check, eased, passed
from orderctl.deploy.engine import Engine, HookDecision, Outcome, Step
from orderctl.deploy.errors import Refused
from orderctl.deploy.fleet import Deployment
from orderctl.deploy.images import Image
from orderctl.deploy.preflight import check_freeze, check_image, check_service
from orderctl.deploy.site import Site
from orderctl.deploy.smoke import Smoke
from orderctl.terminal import errors

TOKEN_VARIABLE = "ORDER_SMOKE_TOKEN"  # noqa: S105 - where it is, not what it is

LEFT = {
    Step.LOOKING: "nothing was changed",
    Step.MOVING: "the tag may have moved, ECS was not told: the same command goes on, `orderctl rollback` puts it back",
    Step.STARTING: "the tag has moved, and ECS may have been told: the same command goes on. If `orderctl status` "
    "shows a deployment, `orderctl abort` ends it; if it shows drift, `orderctl rollback` puts the tag back",
    Step.FOLLOWING: "the deployment goes on without you: the same command follows it again, `orderctl abort` ends it",
    Step.RESTORING: "it has ended, and the tag may stand on the wrong image: `orderctl status` says so, and what to do",
    Step.DONE: "it is done",
}


@dataclass(frozen=True, kw_only=True)
class How:
    """What an operator says beside the image."""

    auto: bool
    wait: bool
    dry_run: bool
    yes: bool
    test_url: str | None
    as_json: bool
    is_way_back: bool = False
    """Then what is wrong with the service, or a pause, keeps nobody from it."""


def ship(site: Site, reference: str, how: How) -> None:
    """What every verb that ships an image comes down to. Raises DeployError, and typer.Exit with how it ended."""
    image = site.images.get(reference)
    named = image.digest if reference == image.digest else f"{reference}, {image.digest}"
    announce(site, f"deploy {named}")
    report = Report(site.audit, lambda: site.fleet.describe().events)
    if how.dry_run:
        look(site, report, image, as_json=how.as_json, is_way_back=how.is_way_back)
        report.said("nothing was changed")
        return
    confirm(site, f"deploy {reference} to {site.place}?", yes=how.yes)
    if not how.is_way_back:
        await_scan(site, image, report)  # before the lock, which keeps others out
    engine = Engine(
        images=site.images,
        fleet=site.fleet,
        lock=site.lock(f"deploy {reference}"),
        observer=report,
        check=lambda image: preflight(site, image, is_way_back=how.is_way_back),
        at_pause=_tested(site, report, image, how),
        # On the way back it is the image that still runs which leaves letters.
        rejected=(lambda _: None) if how.is_way_back else site.watch(),
        pause=pace.poll_sleep,
        clock=time.monotonic,
    )
    outcome = _carry_out(engine, report, image, wait=how.wait)
    _end(site, outcome, as_json=how.as_json)


def look(site: Site, report: Report, image: Image, *, as_json: bool, is_way_back: bool = False) -> None:
    """The preflight alone. Raises Refused if something does not hold."""
    checks = preflight(site, image, is_way_back=is_way_back)
    report.checked(checks)
    if as_json:
        answer_json(of_checks(site, image.digest, checks))
    if not passed(checks):
        raise Refused("it would be refused")


def preflight(site: Site, image: Image, *, is_way_back: bool = False) -> list[Check]:
    service = site.fleet.describe()
    checks = [
        check_freeze(site.freeze.get()),
        *check_image(site.images, image, site.fleet.architecture(service)),
        *check_service(site.fleet, service, site.alarms, site.traffic),
    ]
    return eased(checks) if is_way_back else checks


def _tested(site: Site, report: Report, image: Image, how: How) -> Callable[[Deployment], HookDecision]:
    """At the pause: tests the green side, then goes on by itself, or asks."""

    def decide(_: Deployment) -> HookDecision:
        try:
            url = how.test_url or site.traffic.test_url(site.fleet.describe())
            release = site.images.commit_of(image)
        except Refused as error:
            report.said(f"the green side cannot be tested, so the deployment is paused: {error}")
            return HookDecision.WAIT
        checks = Smoke(
            url=url,
            token=os.environ.get(TOKEN_VARIABLE) or None,
            release=release,
            # What ran before this header existed must stay reachable by `rollback`.
            may_be_unnamed=how.is_way_back,
            pause=pace.wait_for_listener,
        ).run()
        report.said("the green side:")
        report.checked(checks)
        if not passed(checks):
            report.said("smoke test failed; rolling back")
            return HookDecision.ROLLBACK
        paused = None if how.is_way_back else site.freeze.get()
        if paused is not None:
            report.checked([check_freeze(paused)])
        if how.auto and paused is not None:
            report.said("smoke test passed; paused, since deployments are frozen: `orderctl continue` shifts traffic")
            return HookDecision.WAIT
        if how.auto:
            return HookDecision.CONTINUE
        if not can_ask():
            report.said("smoke test passed; paused, since nobody can be asked here (--auto shifts traffic)")
            return HookDecision.WAIT
        with report.asking():
            if typer.confirm("Shift production traffic to green?", default=False, err=True):
                return HookDecision.CONTINUE
            return (
                HookDecision.ROLLBACK
                if typer.confirm("Roll back the deployment?", default=True, err=True)
                else HookDecision.WAIT
            )

    return decide


def _carry_out(engine: Engine, report: Report, image: Image, *, wait: bool) -> Outcome:
    """An interruption, or an AWS that does not answer, says what state things are in and which command goes on."""
    try:
        with report.live():
            return engine.deploy(image, wait=wait)
    except (KeyboardInterrupt, typer.Abort):
        errors.print(f"interrupted: {LEFT[engine.step]}", style="yellow", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    except (BotoCoreError, ClientError) as error:
        errors.print(f"AWS: {error}", style="red", soft_wrap=True)
        errors.print(LEFT[engine.step], style="yellow", soft_wrap=True)
        raise typer.Exit(FAILED) from error


def _end(site: Site, outcome: Outcome, *, as_json: bool) -> None:
    """Raises typer.Exit with the code that says how it ended."""
    if not outcome.changed:
        errors.print("it is live already: nothing to do")
    elif not outcome.over:
        errors.print(
            "it is under way: `orderctl wait` follows it, `orderctl continue` and `orderctl abort` end a pause"
        )
    answer(of_outcome(site, outcome), as_json=as_json)
    if not outcome.over:
        raise typer.Exit(STILL_BAKING)
    raise typer.Exit(DONE if outcome.succeeded else FAILED)
