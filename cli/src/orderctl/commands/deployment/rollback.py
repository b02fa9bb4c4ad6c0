"""`orderctl rollback`: deploy the image that ran before."""

from dataclasses import replace

from orderctl.commands.deployment.answers import answer
from orderctl.commands.deployment.options import (
    UNCHANGED,
    AutoOption,
    EnvOption,
    ServiceArgument,
    TestUrlOption,
    WaitOption,
    agreed,
    reason_of,
)
from orderctl.commands.deployment.running import DeployOptions, ship
from orderctl.deploy.context import DeployContext
from orderctl.deploy.status import state_of
from orderctl.exceptions import Refused
from orderctl.terminal import DryRunOption, Output, OutputOption, ReasonOption, YesOption, reported


def rollback(
    service: ServiceArgument,
    *,
    env: EnvOption,
    auto: AutoOption = False,
    wait: WaitOption = True,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    reason: ReasonOption = None,
    test_url: TestUrlOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Roll back to the image that ran before, or move a drifted tag back.

    \b
    orderctl rollback order-api --env prod --reason "orders look wrong"

    To end a deployment under way, use `orderctl abort` instead. If the live tag
    points to another image than the tasks run, only the tag is moved back.
    Otherwise the previous image is deployed as by `deploy`, exit codes too. An
    unhealthy service, a freeze, or findings in a new scan of the previous image
    do not block a rollback.
    """
    with reported(UNCHANGED):
        context = DeployContext.open(env, service)
        state = state_of(context)
        if state.under_way is not None:
            raise Refused(f"{state.under_way.id} is under way: `orderctl abort {service} --env {env}` ends it")
        if state.drift and state.running is not None:
            _restore_tag(context, state.running, dry_run=dry_run, yes=yes, reason=reason, output=output)
            return
        if state.drift:
            raise Refused(state.drift)
        if state.previous is None:
            raise Refused(f"no previous image is known: no image has the tag {context.ref.previous_tag}")
        options = DeployOptions(
            auto=auto, wait=wait, dry_run=dry_run, yes=yes, reason=reason, test_url=test_url, output=output
        )
        ship(context, state.previous, replace(options, is_rollback=True))


def _restore_tag(
    context: DeployContext, digest: str, *, dry_run: bool, yes: bool, reason: str | None, output: Output
) -> None:
    tag, why = context.ref.live_tag, reason_of(context, reason, dry_run=dry_run)
    what = f"move {tag} back to {digest}, which the tasks run"
    if not agreed(context, what, f"Move {tag} back?", dry_run=dry_run, yes=yes):
        return
    lock = context.lock("rollback of the tag")
    try:
        lock.take()
        state = state_of(context)  # a deployment may have started before the lock was taken
        if state.under_way is not None or state.running != digest:
            raise Refused(f"{context.ref} has changed in the meantime: check with `orderctl status`")
        context.record("tag put back", digest, why)
        context.repository.move(tag, digest)
    finally:
        lock.release()
    rows = {"environment": context.ref.environment, "service": str(context.ref.kind), "tag": tag, "image": digest}
    answer(rows, output)
