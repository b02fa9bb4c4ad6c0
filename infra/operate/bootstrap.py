"""`bootstrap`: the bucket that Terraform's state is kept in."""

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
    """Make the buckets for Terraform's state, one in each region of an environment.

    Versioned, encrypted, closed to the public and to plain HTTP; older versions
    of a state are kept for 90 days. Safe to run again: it says what it found,
    sets what is missing, and leaves what others have added. All environments of
    an account share a region's bucket; `destroy` never touches it.

    \b
    orderctl env bootstrap --env dev --dry-run
    orderctl env bootstrap --env dev

    Nothing is made if HCP Terraform keeps the state (`hcp_organisation` in
    infra/environments.py).

    Exit codes: 0 the buckets are as they should be, 1 AWS refused something, 2
    usage, 3 refused: without credentials, or a bucket is another account's, 130
    interrupted.
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
            what="say what the state buckets lack; change nothing" if dry_run else "make the state buckets ready",
            whose=f"{environment.name}, and every environment in its regions",
            regions=regions,
        )
        if context.organisation.hcp_organisation:
            console.print("HCP Terraform keeps the state: no bucket is needed")
            return
        for each in regions:
            make_ready(account.client("s3", each), account, each, dry_run=dry_run)


def make_ready(s3: Any, account: Account, region: str, *, dry_run: bool) -> None:
    """Make a bucket, or repair it. Raises Refused if it is another account's, Failed or ClientError if AWS refuses."""
    bucket = account.state_bucket(region)
    exists = bucket_exists(s3, account, bucket)
    make_changes({bucket: None if exists else lambda: create(s3, bucket, region)}, done="made", dry_run=dry_run)
    is_there = exists or not dry_run
    changes = {name: look(s3, bucket) if is_there else _nothing for name, look in SETTINGS.items()}
    make_changes(changes, done="set", dry_run=dry_run)


def _nothing() -> None:
    """Stand for the change of a bucket that a dry run did not make."""
