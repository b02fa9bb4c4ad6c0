"""`orderctl continue` and `orderctl abort`: decide about a deployment under way.

Neither needs the lock for its decision, because the command that follows the deployment may hold it. A decision is one
call that names the deployment's id, and ECS accepts only the first one.
"""

from typing import Annotated

import typer

from order_operations.deployments.fleet import Deployment, Status
from orderctl.commands.deployment.answers import answer, of_deployment, of_freeze
from orderctl.commands.deployment.options import (
    SHIFT_QUESTION,
    EnvOption,
    ServiceArgument,
    WaitOption,
    agreed,
    reason_of,
)
from orderctl.commands.deployment.running import follow_rollback, under_way
from orderctl.deploy.context import DeployContext
from orderctl.exceptions import ExitCode, Failed, Refused
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
        question = SHIFT_QUESTION if waiting else "Allow deployments again?"
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
        return (
            f"no deployment is under way for {context.ref}, and deployments are not frozen: "
            f"`orderctl deploy {context.ref.place} --tag …` starts one"
        )
    return (
        f"{deployment.id} is not paused: {deployment.stage or deployment.state}. "
        f"`orderctl wait {context.ref.place}` follows it"
    )


def abort(
    service: ServiceArgument,
    *,
    env: EnvOption,
    reason: Annotated[str, typer.Option("--reason", help="Reason, kept in the audit trail.", show_default=False)],
    wait: WaitOption = True,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Roll back the deployment under way, at any stage, and move the tags back at its end.

    \b
    orderctl abort order-api --env prod --reason "orders look wrong"

    The end is awaited, because a rollback that was requested late may still end
    in success. If another command follows the deployment, it moves the tags, and
    this one only watches. With --no-wait, `orderctl finish` moves them.

    Exit codes: 0 rolled back, 1 it ended otherwise, 3 no deployment is under way,
    4 rollback requested, with --no-wait.
    """
    with reported(LEFT):
        context = DeployContext.open(env, service)
        deployment = under_way(context)
        if not agreed(context, f"abort {deployment.id}", "Roll back the deployment?", dry_run=dry_run, yes=yes):
            return
        context.record("abort", deployment.id, reason)
        context.fleet.roll_back(deployment)
        finish = f"`orderctl finish {context.ref.place}` follows it and moves the tags back"
        if not wait:
            errors.print(f"rollback requested; {finish}")
            answer(of_deployment(context, deployment), output)
            raise typer.Exit(ExitCode.UNFINISHED)
        errors.print(f"rollback requested; following it. If this is interrupted, {finish}")
        ended = follow_rollback(context, deployment, reason=reason)
        answer(of_deployment(context, ended), output)
        if ended.status is not Status.ROLLBACK_SUCCESSFUL:
            raise Failed(
                f"{ended.id} ended {ended.state}: `orderctl rollback {context.ref.place}` deploys the previous image"
            )
