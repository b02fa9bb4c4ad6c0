"""`bootstrap`: create the buckets for Terraform's state."""

from typing import Any

import typer

from infra.operate.aws import Account, account_of_caller, bucket_exists
from infra.operate.bucket import SETTINGS, create
from infra.operate.console import announce, make_changes
from infra.operate.options import EnvOption, RegionOption, environment_named
from infra.operate.request import require_region
from orderctl.terminal import DryRunOption, console, reported


def bootstrap(
    ctx: typer.Context, *, env: EnvOption, region: RegionOption = None, dry_run: DryRunOption = False
) -> None:
    """Create the buckets for Terraform's state, one in each region of an environment.

    They are versioned, encrypted, not public, and refuse plain HTTP; older versions
    of a state are kept for 90 days. Safe to repeat: the command prints what it
    finds, sets missing settings, and keeps additional ones. All environments of an
    account share the bucket of a region; `destroy` never deletes it.

    \b
    orderctl env bootstrap --env dev --dry-run
    orderctl env bootstrap --env dev

    No bucket is created if HCP Terraform stores the state (`hcp_organisation` in
    infra/environments.py).

    Exit codes: 0 the buckets are ready, 1 AWS refused a call, 2 usage, 3 refused: no
    credentials, or a bucket belongs to another account, 130 interrupted.
    """
    with reported():
        context = ctx.obj
        environment = environment_named(env)
        regions = environment.regions
        if region is not None:
            require_region(environment, region)
            regions = (region,)
        account = account_of_caller(context, environment.home)
        announce(
            context,
            account,
            what="show missing settings of the state buckets; change nothing"
            if dry_run
            else "create or repair the state buckets",
            whose=f"{environment.name}, and every environment in its regions",
            regions=regions,
        )
        if context.organisation.hcp_organisation:
            console.print("HCP Terraform stores the state: no bucket is needed")
            return
        for each in regions:
            make_ready(account.client("s3", each), account, each, dry_run=dry_run)


def make_ready(s3: Any, account: Account, region: str, *, dry_run: bool) -> None:
    """Create the state bucket of a region if it is missing, and set its missing settings. A dry run changes nothing.

    Raises:
        Refused: if the bucket belongs to another account.
        Failed, ClientError: if AWS refuses a call.
    """
    bucket = account.state_bucket(region)
    exists = bucket_exists(s3, account, bucket)
    make_changes({bucket: None if exists else lambda: create(s3, bucket, region)}, done="made", dry_run=dry_run)
    is_there = exists or not dry_run
    changes = {name: look(s3, bucket) if is_there else _nothing for name, look in SETTINGS.items()}
    make_changes(changes, done="set", dry_run=dry_run)


def _nothing() -> None:
    """Do nothing. In a dry run, this is the change of each setting of a missing bucket."""
