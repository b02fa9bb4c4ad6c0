"""Functions that run the deployment engine for a command and report its result."""

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
from orderctl.deploy.checks import Check, passed, relaxed_for_rollback
from orderctl.deploy.context import DeployContext
from orderctl.deploy.ecr_repository import Image
from orderctl.deploy.engine import Engine, HookDecision, Outcome, Step
from orderctl.deploy.fleet import Deployment
from orderctl.deploy.preflight import check_freeze, check_image, check_service
from orderctl.deploy.smoke import Smoke
from orderctl.exceptions import ExitCode, Refused
from orderctl.terminal import Output, can_ask, errors, print_json

LEFT = {
    Step.CHECKING: "nothing was changed",
    Step.MOVING: "the tag may have moved; no deployment has started. Run the same command again to continue, or "
    "`orderctl rollback` to move the tag back",
    Step.STARTING: "the tag has moved; a deployment may have started. Run the same command again to continue. If "
    "`orderctl status` shows a deployment, `orderctl abort` rolls it back; if it shows drift, `orderctl rollback` "
    "moves the tag back",
    Step.FOLLOWING: "ECS continues the deployment. Run the same command again to follow it, or `orderctl abort` to "
    "roll it back",
    Step.RESTORING: "the deployment has ended, but the tag may point to the wrong image: check with `orderctl status`",
    Step.DONE: "the command had finished its work",
}


@dataclass(frozen=True, kw_only=True)
class DeployOptions:
    """Options of a deployment, except the image."""

    auto: bool
    wait: bool
    dry_run: bool
    yes: bool
    reason: str | None
    test_url: str | None
    output: Output
    is_rollback: bool = False
    """True for a rollback, which a freeze or an unhealthy service does not block."""


def ship(context: DeployContext, reference: str, options: DeployOptions) -> None:
    """Deploy the image with a tag or digest, and print the result. A dry run only prints the preflight.

    Raises:
        CommandError: if the deployment is refused or cannot be followed.
        typer.Exit: in all other cases, with the exit code, unless it is a dry run.
    """
    image = context.repository.get(reference)
    named = image.digest if reference == image.digest else f"{reference}, {image.digest}"
    announce(context, f"deploy {named}")
    reason = reason_of(context, options.reason, dry_run=options.dry_run)
    report = Report(partial(context.record, reason=reason), lambda: context.fleet.describe().events)
    if options.dry_run:
        report_preflight(context, report, image, output=options.output, is_rollback=options.is_rollback)
        report.noted("nothing was changed")
        return
    confirm(context, f"Deploy {reference} to {context.ref}?", yes=options.yes)
    if not options.is_rollback:
        await_scan(context, image, report)  # before the lock, which would block other operators
    engine = Engine(
        repository=context.repository,
        fleet=context.fleet,
        lock=context.lock(f"deploy {reference}"),
        observer=report,
        check=lambda image: preflight(context, image, is_rollback=options.is_rollback),
        at_hook=_hook_decision(context, report, image, options),
        # During a rollback the running image creates dead letters, not the image that is deployed.
        rejected=(lambda _: None) if options.is_rollback else context.watch(),
        poll_sleep=pace.poll_sleep,
        clock=time.monotonic,
    )
    outcome = _run_engine(engine, report, image, wait=options.wait)
    _end(context, outcome, output=options.output)


def report_preflight(
    context: DeployContext, report: Report, image: Image, *, output: Output, is_rollback: bool = False
) -> None:
    """Run the preflight without a deployment, and print its results. Raises Refused if a check fails."""
    checks = preflight(context, image, is_rollback=is_rollback)
    report.checked(checks)
    if output is Output.JSON:
        print_json(of_checks(context, image.digest, checks))
    if not passed(checks):
        raise Refused("checks marked FAIL did not pass: a deployment would be refused")


def preflight(context: DeployContext, image: Image, *, is_rollback: bool = False) -> list[Check]:
    service = context.fleet.describe()
    checks = [
        check_freeze(context.freezes.get()),
        *check_image(context.repository, image, context.fleet.architecture(service)),
        *check_service(context.fleet, service, context.cloudwatch, context.traffic),
    ]
    return relaxed_for_rollback(checks) if is_rollback else checks


def _hook_decision(
    context: DeployContext, report: Report, image: Image, options: DeployOptions
) -> Callable[[Deployment], HookDecision]:
    """Return the function for `Engine.at_hook`: it tests green, and then continues (`auto`) or asks the operator."""

    def decide(_: Deployment) -> HookDecision:
        try:
            url = options.test_url or context.traffic.test_url(context.fleet.describe())
            release = context.repository.commit_of(image)
        except Refused as error:
            report.noted(f"green cannot be tested, so the deployment stays paused: {error}")
            return HookDecision.WAIT
        token = context.settings.smoke_token
        checks = Smoke(
            url=url,
            token=token.get_secret_value() if token else None,
            release=release,
            # Older releases do not send this header, and a rollback to them must be possible.
            may_be_unnamed=options.is_rollback,
            poll_sleep=pace.wait_for_listener,
        ).run()
        report.noted("smoke test of green:")
        report.checked(checks)
        if not passed(checks):
            report.noted("smoke test failed; rolling back")
            return HookDecision.ROLLBACK
        freeze = None if options.is_rollback else context.freezes.get()
        if freeze is not None:
            report.checked([check_freeze(freeze)])
        if options.auto and freeze is not None:
            report.noted("smoke test passed; paused, since deployments are frozen: `orderctl continue` shifts traffic")
            return HookDecision.WAIT
        if options.auto:
            return HookDecision.CONTINUE
        if not can_ask():
            report.noted("smoke test passed; paused, no terminal to ask at: `orderctl continue` shifts traffic")
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
    """Run the engine. After an interruption or an AWS error, print the resulting state and the next command.

    Raises:
        typer.Exit: after an interruption or an AWS error.
    """
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
        errors.print("the image is live already: nothing to do")
    elif not outcome.over:
        errors.print(
            "the deployment is under way: `orderctl wait` follows it; while it is paused, `orderctl continue` or "
            "`orderctl abort` decides"
        )
    answer(of_outcome(context, outcome), output)
    if not outcome.over:
        raise typer.Exit(ExitCode.UNFINISHED)
    raise typer.Exit(ExitCode.DONE if outcome.succeeded else ExitCode.FAILED)
