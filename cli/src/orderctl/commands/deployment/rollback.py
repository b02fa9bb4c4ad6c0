"""`orderctl rollback`: back to what ran before."""

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
    """Go back to the image that ran before, or put a drifted tag back.

    \b
    orderctl rollback order-api --env prod --reason "orders look wrong"

    A deployment that is under way is ended with `orderctl abort` instead. If
    the tag means another image than the tasks run, only the tag is put back.
    Otherwise it is `deploy` of what ran before, exit codes too; but what is wrong
    with the service now, a freeze, and what a scan finds in the old image by now
    do not keep it from going back.
    """
    with reported(UNCHANGED):
        context = DeployContext.open(env, service)
        state = state_of(context)
        if state.under_way is not None:
            raise Refused(f"{state.under_way.id} is under way: `orderctl abort {service} --env {env}` ends it")
        if state.drift and state.running is not None:
            _put_back(context, state.running, dry_run=dry_run, yes=yes, reason=reason, output=output)
            return
        if state.drift:
            raise Refused(state.drift)
        if state.previous is None:
            raise Refused(f"nothing is known to have run before: {context.ref.previous_tag} has no image")
        options = DeployOptions(
            auto=auto, wait=wait, dry_run=dry_run, yes=yes, reason=reason, test_url=test_url, output=output
        )
        ship(context, state.previous, replace(options, is_way_back=True))


def _put_back(
    context: DeployContext, digest: str, *, dry_run: bool, yes: bool, reason: str | None, output: Output
) -> None:
    tag, why = context.ref.live_tag, reason_of(context, reason, dry_run=dry_run)
    if not agreed(context, f"put {tag} back on {digest}, which runs", f"Put {tag} back?", dry_run=dry_run, yes=yes):
        return
    lock = context.lock("rollback of the tag")
    try:
        lock.take()
        state = state_of(context)  # somebody may have begun before the lock was ours
        if state.under_way is not None or state.running != digest:
            raise Refused(f"{context.ref} has changed meanwhile: `orderctl status` tells how it stands")
        context.record("tag put back", digest, why)
        context.repository.move(tag, digest)
    finally:
        lock.release()
    rows = {"environment": context.ref.environment, "service": str(context.ref.kind), "tag": tag, "image": digest}
    answer(rows, output)
