"""`orderctl continue` and `orderctl abort`: decide about a deployment under way.

Neither command takes the lock, because the command that follows the deployment may hold it. This is safe: a decision
is a single call that names the deployment, and ECS accepts only the first decision.
"""

from typing import Annotated

import typer

from orderctl.commands.deployment.answers import answer, of_deployment, of_freeze
from orderctl.commands.deployment.options import EnvOption, ServiceArgument, agreed, reason_of
from orderctl.deploy.context import DeployContext
from orderctl.deploy.fleet import Deployment
from orderctl.exceptions import ImageNotFound, Refused
from orderctl.terminal import DryRunOption, Output, OutputOption, ReasonOption, YesOption, errors, reported

LEFT = "ECS may have received the call: check with `orderctl status`"


def proceed(
    service: ServiceArgument,
    *,
    env: EnvOption,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    reason: ReasonOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Shift production traffic to green in a paused deployment, or lift a freeze.

    \b
    orderctl continue order-api --env prod --reason "release 1.4"

    ECS continues the deployment; `orderctl wait` follows it. After `orderctl
    freeze`, this command allows deployments again.

    Exit codes: 0 continued, 3 nothing is paused or frozen.
    """
    with reported(LEFT):
        context = DeployContext.open(env, service)
        deployment, freeze = context.fleet.under_way(), context.freezes.get()
        hook = deployment.hook if deployment is not None else None
        if hook is None and freeze is None:
            raise Refused(_nothing_to_continue(context, deployment))
        waiting = deployment.id if deployment is not None and hook is not None else None
        what = f"continue {waiting}" if waiting else f"lift the freeze: {freeze.reason if freeze else ''}"
        why = reason_of(context, reason, dry_run=dry_run)
        question = "Shift production traffic to green?" if waiting else "Allow deployments again?"
        if not agreed(context, what, question, dry_run=dry_run, yes=yes):
            return
        context.record("continue", waiting or "freeze lifted", why)
        if deployment is None or hook is None:
            context.freezes.lift()
            errors.print("deployments are allowed again")
            answer(of_freeze(context, None), output)
            return
        context.fleet.proceed(deployment, hook)
        context.freezes.lift()
        errors.print("production traffic shifts to green; `orderctl wait` follows the deployment")
        answer(of_deployment(context, deployment), output)


def _nothing_to_continue(context: DeployContext, deployment: Deployment | None) -> str:
    if deployment is None:
        return f"no deployment is under way for {context.ref}, and deployments are not frozen"
    return f"{deployment.id} is not paused: {deployment.stage or deployment.status}"


def abort(
    service: ServiceArgument,
    *,
    env: EnvOption,
    reason: Annotated[str, typer.Option("--reason", help="Reason, kept in the audit trail.", show_default=False)],
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Roll back the deployment under way, at any stage, and move the tag back.

    \b
    orderctl abort order-api --env prod --reason "orders look wrong"

    A command that follows the deployment sees it end. The tag is moved back at
    once, so that no later deployment ships the image again.

    Exit codes: 0 rollback started, 3 no deployment is under way.
    """
    with reported(LEFT):
        context = DeployContext.open(env, service)
        deployment = _under_way(context)
        if not agreed(context, f"abort {deployment.id}", "Roll back the deployment?", dry_run=dry_run, yes=yes):
            return
        context.record("abort", deployment.id, reason)
        context.fleet.roll_back(deployment)
        _restore_tag(context, deployment)
        errors.print("rollback started; `orderctl wait` follows it")
        answer(of_deployment(context, deployment), output)


def _restore_tag(context: DeployContext, deployment: Deployment) -> None:
    """Move the live tag back to the replaced image, unless the tag no longer points to the aborted one."""
    tag = context.ref.live_tag
    before, live = context.fleet.digest_before(deployment), context.repository.digest_of(tag)
    if before is None or live != context.fleet.digest_deployed(deployment, live):
        return
    try:
        context.repository.move(tag, before)
    except ImageNotFound as error:
        errors.print(f"{tag} cannot be moved back: {error}", style="yellow")
        return
    errors.print(f"{tag} points to {before} again")


def _under_way(context: DeployContext) -> Deployment:
    deployment = context.fleet.under_way()
    if deployment is None:
        raise Refused(f"no deployment is under way for {context.ref}")
    return deployment
