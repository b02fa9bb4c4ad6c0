"""Changes of a service by another tool, such as Terraform, under the rules of `orderctl deploy`."""

import time
from collections.abc import Callable

from botocore.exceptions import ClientError

from order_operations.deployments.errors import DeploymentError, TooLate
from order_operations.deployments.fleet import APPEAR_SECONDS
from order_operations.deployments.guard import guarded
from order_operations.deployments.lock import Lock
from orderctl.commands.deployment import pace
from orderctl.commands.deployment.options import reason_of
from orderctl.commands.deployment.running import (
    DeployOptions,
    finish_deployment,
    follow,
    follow_rollback,
    report_of,
)
from orderctl.commands.deployment.waiting import await_steady_service
from orderctl.deploy.context import DeployContext
from orderctl.exceptions import Failed, Interrupted
from orderctl.terminal import errors

Change = Callable[[Callable[[], None]], None]
"""Change by another tool. It must call its argument every `lock.EXTENDED_SECONDS`, which extends the lock."""


def change_service(context: DeployContext, options: DeployOptions, change: Change, *, what: str, deploys: bool) -> None:
    """Make a change under the guard. If it `deploys`, follow the deployment that it starts, and judge that.

    Raises:
        DeploymentRefused: if the lock is taken or a check fails. Nothing was changed.
        Failed: if the deployment did not succeed; and the exceptions of the change.
        typer.Exit: if the deployment was not followed to its end.
    """
    report = report_of(context, reason_of(context, options.reason, dry_run=False, despite=options.despite))
    exists = context.fleet.exists()
    if exists:
        await_steady_service(context, report)
    lock = context.lock(what)
    with guarded(context.access, lock, options.despite) as checks:
        report.checked(checks)
        known = {each.arn for each in context.fleet.history()} if exists else set()
        if options.despite:
            report.recorded("despite", ", ".join(sorted(options.despite)))
        report.recorded("apply", what)
        try:
            change(lock.try_extend)
        except (Failed, Interrupted):
            errors.print(
                f"a deployment of {context.ref} may have started: `orderctl finish {context.ref.place}` follows it",
                style="yellow",
            )
            raise
        if deploys:
            _follow_new(context, options, known, lock)


def _follow_new(context: DeployContext, options: DeployOptions, known: set[str], lock: Lock) -> None:
    def poll_sleep() -> None:
        pace.poll_sleep()
        lock.extend()

    try:
        lock.extend()
        deployment = context.fleet.appeared(known, poll_sleep=poll_sleep, clock=time.monotonic)
        if deployment is None:
            raise Failed(
                f"ECS lists no new deployment of {context.ref} after {APPEAR_SECONDS:.0f} s: "
                f"see `orderctl status {context.ref.place}`"
            )
        finish_deployment(context, options, deployment)
    except DeploymentError as error:  # not refused: the change was made
        raise Failed(str(error)) from error


def remove_service(context: DeployContext, change: Change, *, what: str, reason: str) -> None:
    """Destroy a service by a change, after the deployment under way has been rolled back.

    Raises:
        Locked: if another operator holds the lock.
        typer.Exit: if the rollback was not followed to its end; and the exceptions of the change.
    """
    lock = context.lock(what)
    is_locked = _taken(lock)
    try:
        if context.fleet.exists():
            _end_deployments(context, reason, has_table=is_locked)
        if is_locked:
            lock.take()  # following a rollback releases it
        change(lock.try_extend)
    finally:
        lock.release()


def _taken(lock: Lock) -> bool:
    """Take the lock. Return False if its table does not exist, as in a region that the environment leaves."""
    try:
        lock.take()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
            raise
        return False
    return True


def _end_deployments(context: DeployContext, reason: str, *, has_table: bool) -> None:
    """Roll back what is under way, and wait for its end. Without a table of operations no tag is moved back."""
    while (deployment := context.fleet.under_way()) is not None:
        if deployment.status.can_be_rolled_back:
            errors.print(f"{deployment.id} is under way: rolling it back before {context.ref} is destroyed")
            try:
                context.fleet.roll_back(deployment)
            except TooLate as error:
                errors.print(str(error))
                pace.poll_sleep()
                continue
        if has_table:
            context.record("abort", deployment.id, reason)
            follow_rollback(context, deployment, reason=reason)
        else:
            follow(context, report_of(context, reason), deployment)
        pace.poll_sleep()
