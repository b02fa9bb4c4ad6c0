"""`unlock`: release the lock of a state that a killed run has left."""

import json
from dataclasses import dataclass
from typing import Any

import typer
from botocore.exceptions import ClientError

from infra.operate.console import confirm
from infra.operate.environment_plan import EnvironmentPlan, prepare
from infra.operate.options import EnvOption, OnlyOption, RegionOption, environment_named
from infra.operate.progress import in_turn
from infra.operate.request import Request, Verb
from infra.stacks import Stack
from orderctl.exceptions import Failed, Refused
from orderctl.terminal import DryRunOption, YesOption, errors, reported, require_answer

SUFFIX = ".tflock"
"""Of the key of a lock, after the key of its state."""


@dataclass(frozen=True, kw_only=True)
class StateLock:
    """Lock of a state, as Terraform wrote it."""

    id: str
    operation: str
    who: str
    created: str

    def __str__(self) -> str:
        return f"{self.operation} by {self.who} since {self.created}, lock {self.id}"


def unlock(
    ctx: typer.Context,
    *,
    env: EnvOption,
    only: OnlyOption = None,
    region: RegionOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Release the locks of Terraform's states that a killed run has left.

    It lists the locks with the operation, the machine and the time of each. Make
    sure that no such run is alive: two that write one state lose resources. Then it
    asks you to type the environment's name, and releases them.

    \b
    orderctl env unlock --env dev --dry-run
    orderctl env unlock --env dev --only supporting

    Then run `plan`: resources that the killed run created, and did not write to the
    state, are created again or refused by their names. Import or delete those.

    Exit codes: 0 none is left, 1 one could not be released, 2 usage, 3 refused or
    not confirmed, 130 interrupted.
    """
    with reported():
        context = ctx.obj
        if context.organisation.hcp_organisation is not None:
            raise Refused("HCP Terraform stores the state: release the lock on the page of the workspace")
        environment = environment_named(env)
        request = Request(verb=Verb.UNLOCK, environment=environment, only=only, region=region, dry_run=dry_run)
        if not dry_run:
            require_answer(yes=yes)
        plan = prepare(context, request)
        locks = {stack: lock for stack in plan.stacks if (lock := _lock_of(plan, stack)) is not None}
        if not locks:
            errors.print("no state is locked")
            return
        for stack, lock in locks.items():
            errors.print(f"{stack.name}: {lock}", style="yellow", markup=False)
        if dry_run:
            return
        confirm(environment, yes=yes)
        in_turn(plan, tuple(locks), lambda stack: _release(plan, stack, locks[stack]), done="unlocked")


def _release(plan: EnvironmentPlan, stack: Stack, lock: StateLock) -> None:
    plan.terraform.init(stack)
    plan.terraform.force_unlock(stack, lock.id)


def _lock_of(plan: EnvironmentPlan, stack: Stack) -> StateLock | None:
    """Return the lock of a stack's state; None if it is not locked.

    Raises:
        Failed: if the lock cannot be read.
    """
    s3, bucket = plan.account.client("s3", stack.region), plan.account.state_bucket(stack.region)
    try:
        written = s3.get_object(Bucket=bucket, Key=stack.key + SUFFIX)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    except ClientError as error:
        raise Failed(f"the lock of {stack.name} cannot be read: {error}") from error
    return _parsed(stack, written)


def _parsed(stack: Stack, written: bytes) -> StateLock:
    try:
        lock: dict[str, Any] = json.loads(written)
        return StateLock(id=lock["ID"], operation=lock["Operation"], who=lock["Who"], created=lock["Created"])
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(f"the lock of {stack.name} is not one that Terraform wrote: {written[:200]!r}") from error
