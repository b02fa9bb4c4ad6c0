"""Functions that run the deployment engine for a command and report its result."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import typer
from botocore.exceptions import BotoCoreError, ClientError

from order_operations.deployments.checks import (
    Check,
    Override,
    overridden,
    passed,
    refusal,
    relaxed_for_rollback,
)
from order_operations.deployments.ecr_repository import Image
from order_operations.deployments.errors import DeploymentRefused, Locked
from order_operations.deployments.fleet import Deployment
from order_operations.deployments.judgement import judge
from order_operations.deployments.preflight import check_freeze, check_image, check_not_rejected, check_service
from order_operations.deployments.status import state_of
from orderctl.commands.deployment import pace
from orderctl.commands.deployment.answers import answer, of_checks, of_outcome
from orderctl.commands.deployment.options import SHIFT_QUESTION, announce, confirm, reason_of
from orderctl.commands.deployment.report import Report
from orderctl.commands.deployment.waiting import await_scan, await_steady_service
from orderctl.deploy.context import DeployContext
from orderctl.deploy.engine import Engine, HookDecision, Outcome, Step
from orderctl.deploy.smoke import Smoke
from orderctl.exceptions import ExitCode, Failed, Refused
from orderctl.terminal import Output, can_ask, errors, print_json

LEFT = {
    Step.CHECKING: "nothing was changed; run the same `orderctl` command again",
    Step.MOVING: "tags may have moved; no deployment has started. Run the same command again to continue, or "
    "`orderctl finish {place}` to move the tags back",
    Step.STARTING: "the tags have moved; a deployment may have started. Run the same command again to continue, "
    "`orderctl finish {place}` to follow it or to move the tags back, or `orderctl abort {place}` to roll it back",
    Step.FOLLOWING: "ECS continues the deployment. Run the same command again or `orderctl finish {place}` to follow "
    "it, or `orderctl abort {place}` to roll it back",
    Step.RESTORING: "the deployment has ended, but a tag may point to the wrong image: `orderctl finish {place}` "
    "moves it",
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
    despite: frozenset[Override] = frozenset()
    """Checks that the operator overrides."""
    is_rollback: bool = False
    """True for a rollback, which a freeze or an unhealthy service does not block."""


def ship(context: DeployContext, reference: str, options: DeployOptions) -> None:
    """Deploy an image. Raises errors with an exit code, and typer.Exit with the exit code."""
    image = context.repository.get(reference)
    named = image.digest if reference == image.digest else f"{reference}, {image.digest}"
    announce(context, f"deploy {named}")
    reason = reason_of(context, options.reason, dry_run=options.dry_run, despite=options.despite)
    report = report_of(context, reason)
    _warn_of_migrations(context, report, image)
    if options.dry_run:
        report_preflight(context, report, image, options)
        report.noted("nothing was changed")
        return
    confirm(context, f"Deploy {reference} to {context.ref}?", yes=options.yes)
    if not options.is_rollback:
        await_scan(context, image, report)  # before the lock, which would block other operators
        await_steady_service(context, report)
    if options.despite:
        context.record("despite", ", ".join(sorted(options.despite)), reason)
    engine = _engine(context, report, image, options, what=f"deploy {reference}")
    outcome = _run_engine(engine, report, context, lambda: engine.deploy(image, wait=options.wait))
    _end(context, outcome, output=options.output)


def finish_deployment(context: DeployContext, options: DeployOptions, started: Deployment | None = None) -> None:
    """Follow the deployment under way to its end, move the tags to the running image, and judge the newest deployment.

    `started` is a deployment that was started under this run's lock. Raises errors with an exit code, and typer.Exit
    with the exit code.
    """
    report = report_of(context, reason_of(context, options.reason, dry_run=False))
    deployment = started or context.fleet.under_way()
    image = _image_of(context, deployment) if deployment is not None else None
    engine = _engine(context, report, image, options, what="finish")
    outcome = _run_engine(engine, report, context, lambda: engine.finish(image, started))
    if not outcome.over:
        _end(context, outcome, output=options.output)
    judgement = judge(context.fleet, outcome.deployment)
    answer({**of_outcome(context, outcome), "judgement": judgement.sentence}, options.output)
    if not judgement.is_good:
        raise Failed(judgement.sentence)
    drift = state_of(context.fleet, context.repository).drift
    if drift:
        raise Failed(drift)


def follow_rollback(context: DeployContext, deployment: Deployment, *, reason: str) -> Deployment:
    """Follow a requested rollback to its end, and move the tags unless another command does that."""
    options = DeployOptions(
        auto=True,
        wait=True,
        dry_run=False,
        yes=True,
        reason=reason,
        test_url=None,
        output=Output.TEXT,
        is_rollback=True,
    )
    report = report_of(context, reason)
    image = _image_of(context, deployment)
    engine = _engine(context, report, image, options, what="abort")
    try:
        outcome = _run_engine(engine, report, context, lambda: engine.finish(image, aborted=reason))
    except Locked as error:
        report.noted(f"another command moves the tags: {error}")
        return follow(context, report, deployment)
    return outcome.deployment or context.fleet.deployment(deployment.arn) or deployment


def follow(context: DeployContext, report: Report, deployment: Deployment) -> Deployment:
    """Show a deployment until it ends. Change nothing."""
    report.observed(deployment)
    while not deployment.status.is_over:
        pace.poll_sleep()
        deployment = context.fleet.deployment(deployment.arn) or deployment
        report.observed(deployment)
    return deployment


def under_way(context: DeployContext) -> Deployment:
    """Return the deployment under way. Raises Refused if there is none."""
    deployment = context.fleet.under_way()
    if deployment is None:
        raise Refused(
            f"no deployment is under way for {context.ref}: `orderctl deploy {context.ref.place} --tag …` starts one, "
            f"`orderctl rollback {context.ref.place}` goes back to the image before"
        )
    return deployment


def _image_of(context: DeployContext, deployment: Deployment) -> Image | None:
    """Return the image that a deployment ships; None if it is unknown."""
    live = context.repository.digest_of(context.ref.live_tag)
    digest = context.fleet.digest_deployed(deployment, live)
    return context.repository.get(digest) if digest is not None else None


def report_of(context: DeployContext, reason: str) -> Report:
    return Report(partial(context.record, reason=reason), lambda: context.fleet.describe().events)


def _engine(
    context: DeployContext, report: Report, image: Image | None, options: DeployOptions, *, what: str
) -> Engine:
    return Engine(
        repository=context.repository,
        fleet=context.fleet,
        lock=context.lock(what),
        observer=report,
        check=lambda image: preflight(context, image, options),
        at_hook=_hook_decision(context, report, image, options),
        # During a rollback the running image creates dead letters, not the image that is deployed.
        rejected=(lambda _: None) if options.is_rollback else context.watch(),
        accepts_unwatched=_unwatched_decision(report, options),
        poll_sleep=pace.poll_sleep,
        clock=time.monotonic,
        is_rollback=options.is_rollback,
    )


def _unwatched_decision(report: Report, options: DeployOptions) -> Callable[[Deployment], bool]:
    """Return the function that decides whether a deployment continues although ECS watches no alarm."""

    def accepts(deployment: Deployment) -> bool:
        # A rollback of a rollback would bring the bad image back. Where no task runs, nothing can get worse.
        if options.is_rollback or Override.ALARMS in options.despite or not deployment.replaces_tasks:
            return True
        if options.auto or not can_ask():
            return False
        with report.asking():
            return typer.confirm("Continue without alarms?", default=False, err=True)

    return accepts


def _warn_of_migrations(context: DeployContext, report: Report, image: Image) -> None:
    """Warn if stored items were migrated after the image was pushed: it may not read them."""
    if image.pushed_at is None:
        return
    for migration in context.migrations_since(image.pushed_at):
        report.noted(
            f"warning: {migration.subject} {migration.detail} began at {migration.at:%Y-%m-%d %H:%M} UTC, after this "
            f"image was pushed ({image.pushed_at:%Y-%m-%d %H:%M}): docs/evolution.md says how far back is safe"
        )


def report_preflight(context: DeployContext, report: Report, image: Image, options: DeployOptions) -> None:
    """Run the preflight without a deployment, and print its results. Raises Refused if a check fails."""
    checks = preflight(context, image, options)
    report.checked(checks)
    if options.output is Output.JSON:
        print_json(of_checks(context, image.digest, checks))
    if not passed(checks):
        raise Refused(f"a deployment would be refused: {refusal(checks)}")


def preflight(context: DeployContext, image: Image, options: DeployOptions) -> list[Check]:
    service = context.fleet.describe()
    checks = [
        check_freeze(context.freezes.get(), context.ref),
        *check_image(context.repository, image, context.fleet.architecture(service)),
        check_not_rejected(context.fleet, service, image.digest),
        *check_service(context.fleet, service, context.cloudwatch, context.traffic),
    ]
    return relaxed_for_rollback(checks) if options.is_rollback else overridden(checks, options.despite)


def _hook_decision(
    context: DeployContext, report: Report, image: Image | None, options: DeployOptions
) -> Callable[[Deployment], HookDecision]:
    """Return the function for `Engine.at_hook`: it tests green, and then continues (`auto`) or asks the operator."""

    def decide(_: Deployment) -> HookDecision:
        try:
            url = options.test_url or context.traffic.test_url(context.fleet.describe())
            release = context.repository.commit_of(image) if image is not None else None
        except (DeploymentRefused, Refused) as error:
            report.noted(f"green cannot be tested, so the deployment stays paused: {error}")
            return HookDecision.WAIT
        token = context.settings.smoke_token
        checks = Smoke(
            url=url,
            token=token.get_secret_value() if token else None,
            release=release,
            # A rollback to a release from before this header must stay possible.
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
            report.checked([check_freeze(freeze, context.ref)])
        if options.auto and freeze is not None:
            report.noted(
                "smoke test passed; paused, since deployments are frozen: "
                f"`orderctl continue {context.ref.place}` shifts traffic"
            )
            return HookDecision.WAIT
        if options.auto:
            return HookDecision.CONTINUE
        if not can_ask():
            report.noted(
                "smoke test passed; paused, no terminal to ask at: "
                f"`orderctl continue {context.ref.place}` shifts traffic"
            )
            return HookDecision.WAIT
        with report.asking():
            if typer.confirm(SHIFT_QUESTION, default=False, err=True):
                return HookDecision.CONTINUE
            return (
                HookDecision.ROLLBACK
                if typer.confirm("Roll back the deployment?", default=True, err=True)
                else HookDecision.WAIT
            )

    return decide


def _run_engine(engine: Engine, report: Report, context: DeployContext, run: Callable[[], Outcome]) -> Outcome:
    """Run the engine. After an interruption or an AWS error, print the resulting state and the next command.

    Raises:
        typer.Exit: after an interruption or an AWS error.
    """
    try:
        with report.live():
            return run()
    except (KeyboardInterrupt, typer.Abort):
        left = LEFT[engine.step].format(place=context.ref.place)
        errors.print(f"interrupted: {left}", style="yellow")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except (BotoCoreError, ClientError) as error:
        errors.print(f"AWS: {error}", style="red")
        errors.print(LEFT[engine.step].format(place=context.ref.place), style="yellow")
        raise typer.Exit(ExitCode.FAILED) from error


def _end(context: DeployContext, outcome: Outcome, *, output: Output) -> None:
    """Print the result. Raises typer.Exit with the exit code."""
    if not outcome.changed:
        errors.print("the image is live already: nothing to do")
    elif not outcome.over:
        place = context.ref.place
        errors.print(
            f"the deployment is under way: `orderctl finish {place}` follows it; while it is paused, "
            f"`orderctl continue {place}` or `orderctl abort {place}` decides"
        )
    answer(of_outcome(context, outcome), output)
    if not outcome.over:
        raise typer.Exit(ExitCode.UNFINISHED)
    raise typer.Exit(ExitCode.DONE if outcome.succeeded else ExitCode.FAILED)
