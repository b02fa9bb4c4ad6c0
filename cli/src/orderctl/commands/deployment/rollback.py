"""`orderctl rollback`: deploy the image that ran before."""

from dataclasses import replace
from typing import Annotated

import typer

from order_operations.deployments.status import State, state_of
from order_operations.deployments.way_back import candidates, rejected_by_operators
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
from orderctl.exceptions import Refused
from orderctl.terminal import DryRunOption, Output, OutputOption, ReasonOption, YesOption, errors, reported


def rollback(
    service: ServiceArgument,
    *,
    env: EnvOption,
    to: Annotated[
        str | None,
        typer.Option("--to", help="Tag or digest of the image; by default the last one that was good."),
    ] = None,
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
    orderctl rollback order-api --env prod --to sha-5d6e7f8 --reason "…"

    An image that was rolled back is no candidate: a second rollback goes one
    image further back. To end a deployment under way,
    use `orderctl abort` instead. If the live tag points to another image than the
    tasks run, only the tag is moved back. Otherwise the image is deployed as by
    `deploy`, exit codes too. An unhealthy service, a freeze, an alarm or findings
    in a new scan of the image do not block a rollback.
    """
    with reported(UNCHANGED):
        context = DeployContext.open(env, service)
        state = state_of(context.fleet, context.repository)
        if state.under_way is not None:
            raise Refused(f"{state.under_way.id} is under way: `orderctl abort {context.ref.place}` ends it")
        if to is None and state.drift and state.running is not None:
            _restore_tag(context, state.running, dry_run=dry_run, yes=yes, reason=reason, output=output)
            return
        if to is None and state.drift:
            raise Refused(state.drift)
        options = DeployOptions(
            auto=auto, wait=wait, dry_run=dry_run, yes=yes, reason=reason, test_url=test_url, output=output
        )
        ship(context, to or _candidate(context, state), replace(options, is_rollback=True))


def _candidate(context: DeployContext, state: State) -> str:
    """Return the last image that was good, and name the next older one. Raises Refused if there is none."""
    rejected = rejected_by_operators(context.history())
    found = candidates(context.fleet, context.repository, state.running, rejected)
    if not found:
        raise Refused(
            f"no previous image is known: no image that was good has the tag {context.ref.previous_tag}. "
            f"`orderctl rollback {context.ref.place} --to …` chooses one of `orderctl history {context.ref.place}`"
        )
    if len(found) > 1:
        errors.print(f"to go back to the image before it: `orderctl rollback {context.ref.place} --to {found[1]}`")
    return found[0]


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
        state = state_of(context.fleet, context.repository)  # a deployment may have started before the lock was taken
        if state.under_way is not None or state.running != digest:
            raise Refused(f"{context.ref} has changed in the meantime: see `orderctl status {context.ref.place}`")
        context.record("tag put back", digest, why)
        context.repository.move(tag, digest)
    finally:
        lock.release()
    rows = {"environment": context.ref.environment, "service": str(context.ref.kind), "tag": tag, "image": digest}
    answer(rows, output)
