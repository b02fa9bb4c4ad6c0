"""Run the engine for a verb, and report its result."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import typer
from botocore.exceptions import BotoCoreError, ClientError

from orderctl.commands.deployment import pace
from orderctl.commands.deployment.answers import answer, of_checks, of_outcome
from orderctl.commands.deployment.options import announce, confirm, reason_of
from orderctl.commands.deployment.report import Report
from orderctl.commands.deployment.scanning import await_scan
from orderctl.deploy.checks import Check, eased, passed
from orderctl.deploy.context import DeployContext
from orderctl.deploy.ecr_repository import Image
from orderctl.deploy.engine import Engine, HookDecision, Outcome, Step
from orderctl.deploy.fleet import Deployment
from orderctl.deploy.preflight import check_freeze, check_image, check_service
from orderctl.deploy.smoke import Smoke
from orderctl.exceptions import ExitCode, Refused
from orderctl.terminal import Output, can_ask, errors, print_json

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
class DeployOptions:
    """Options of a deployment, beside the image."""

    auto: bool
    wait: bool
    dry_run: bool
    yes: bool
    reason: str | None
    test_url: str | None
    output: Output
    is_way_back: bool = False
    """True for a rollback, which a freeze or a broken service does not block."""


def ship(context: DeployContext, reference: str, options: DeployOptions) -> None:
    """Deploy an image, for every verb that ships one. Raises CommandError, and typer.Exit with the exit code."""
    image = context.repository.get(reference)
    named = image.digest if reference == image.digest else f"{reference}, {image.digest}"
    announce(context, f"deploy {named}")
    reason = reason_of(context, options.reason, dry_run=options.dry_run)
    report = Report(partial(context.record, reason=reason), lambda: context.fleet.describe().events)
    if options.dry_run:
        look(context, report, image, output=options.output, is_way_back=options.is_way_back)
        report.said("nothing was changed")
        return
    confirm(context, f"Deploy {reference} to {context.ref}?", yes=options.yes)
    if not options.is_way_back:
        await_scan(context, image, report)  # before the lock, which keeps others out
    engine = Engine(
        repository=context.repository,
        fleet=context.fleet,
        lock=context.lock(f"deploy {reference}"),
        observer=report,
        check=lambda image: preflight(context, image, is_way_back=options.is_way_back),
        at_hook=_tested(context, report, image, options),
        # On the way back it is the image that still runs which leaves letters.
        rejected=(lambda _: None) if options.is_way_back else context.watch(),
        poll_sleep=pace.poll_sleep,
        clock=time.monotonic,
    )
    outcome = _run_engine(engine, report, image, wait=options.wait)
    _end(context, outcome, output=options.output)


def look(context: DeployContext, report: Report, image: Image, *, output: Output, is_way_back: bool = False) -> None:
    """Run the preflight alone. Raises Refused if a check fails."""
    checks = preflight(context, image, is_way_back=is_way_back)
    report.checked(checks)
    if output is Output.JSON:
        print_json(of_checks(context, image.digest, checks))
    if not passed(checks):
        raise Refused("checks marked FAIL did not pass: it would be refused")


def preflight(context: DeployContext, image: Image, *, is_way_back: bool = False) -> list[Check]:
    service = context.fleet.describe()
    checks = [
        check_freeze(context.freezes.get()),
        *check_image(context.repository, image, context.fleet.architecture(service)),
        *check_service(context.fleet, service, context.cloudwatch, context.traffic),
    ]
    return eased(checks) if is_way_back else checks


def _tested(
    context: DeployContext, report: Report, image: Image, options: DeployOptions
) -> Callable[[Deployment], HookDecision]:
    """Return the decision at the hook: test green, then shift the traffic (`auto`) or ask."""

    def decide(_: Deployment) -> HookDecision:
        try:
            url = options.test_url or context.traffic.test_url(context.fleet.describe())
            release = context.repository.commit_of(image)
        except Refused as error:
            report.said(f"the green side cannot be tested, so the deployment is paused: {error}")
            return HookDecision.WAIT
        checks = Smoke(
            url=url,
            token=os.environ.get(TOKEN_VARIABLE) or None,
            release=release,
            # What ran before this header existed must stay reachable by `rollback`.
            may_be_unnamed=options.is_way_back,
            poll_sleep=pace.wait_for_listener,
        ).run()
        report.said("the green side:")
        report.checked(checks)
        if not passed(checks):
            report.said("smoke test failed; rolling back")
            return HookDecision.ROLLBACK
        freeze = None if options.is_way_back else context.freezes.get()
        if freeze is not None:
            report.checked([check_freeze(freeze)])
        if options.auto and freeze is not None:
            report.said("smoke test passed; paused, since deployments are frozen: `orderctl continue` shifts traffic")
            return HookDecision.WAIT
        if options.auto:
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


def _run_engine(engine: Engine, report: Report, image: Image, *, wait: bool) -> Outcome:
    """Run the engine. An interruption or a failure of AWS names the state that is left, and the command to continue."""
    try:
        with report.live():
            return engine.deploy(image, wait=wait)
    except (KeyboardInterrupt, typer.Abort):
        errors.print(f"interrupted: {LEFT[engine.step]}", style="yellow")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except (BotoCoreError, ClientError) as error:
        errors.print(f"AWS: {error}", style="red")
        errors.print(LEFT[engine.step], style="yellow")
        raise typer.Exit(ExitCode.FAILED) from error


def _end(context: DeployContext, outcome: Outcome, *, output: Output) -> None:
    """Print the result. Raises typer.Exit with the exit code."""
    if not outcome.changed:
        errors.print("it is live already: nothing to do")
    elif not outcome.over:
        errors.print(
            "it is under way: `orderctl wait` follows it, `orderctl continue` or `orderctl abort` ends a pause"
        )
    answer(of_outcome(context, outcome), output)
    if not outcome.over:
        raise typer.Exit(ExitCode.UNFINISHED)
    raise typer.Exit(ExitCode.DONE if outcome.succeeded else ExitCode.FAILED)
