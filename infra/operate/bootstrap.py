"""`bootstrap`: the bucket that Terraform's state is kept in."""

from typing import Any

import typer

from infra.operate.aws import Account, account_of_caller, bucket_exists
from infra.operate.bucket import SETTINGS, create
from infra.operate.console import announce, console, reported
from infra.operate.options import DryRunOption, EnvOption, RegionOption, environment_named
from infra.operate.request import require_region


def bootstrap(
    ctx: typer.Context, *, env: EnvOption, region: RegionOption = None, dry_run: DryRunOption = False
) -> None:
    """Make the buckets for Terraform's state, one in each region of an environment.

    Versioned, encrypted, closed to the public and to plain HTTP; older versions
    of a state are kept for 90 days. Safe to run again: it says what it found,
    sets what is missing, and leaves what others have added. All environments of
    an account share a region's bucket; `destroy` never touches it.

    \b
    python -m infra.operate bootstrap --env dev --dry-run
    python -m infra.operate bootstrap --env dev

    Nothing is made if HCP Terraform keeps the state (`hcp_organisation` in
    infra/environments.py).

    Ends with 0 if the buckets are as they should be, 1 if AWS refused
    something, 2 if it was asked for wrongly, without credentials, or if a
    bucket is another account's, 130 if it was interrupted.
    """
    with reported():
        site = ctx.obj
        environment = environment_named(env)
        regions = environment.regions
        if region is not None:
            require_region(environment, region)
            regions = (region,)
        account = account_of_caller(site, environment.home)
        announce(
            site,
            account,
            what="say what the state buckets lack; change nothing" if dry_run else "make the state buckets ready",
            whose=f"{environment.name}, and every environment in its regions",
            regions=regions,
        )
        if site.organisation.hcp_organisation:
            console.print("HCP Terraform keeps the state: no bucket is needed")
            return
        for each in regions:
            make_ready(account.s3(each), account, each, dry_run=dry_run)


def make_ready(s3: Any, account: Account, region: str, *, dry_run: bool) -> None:
    """Raises Refused if the bucket is another account's, Failed or ClientError if AWS does not do it."""
    bucket = account.state_bucket(region)
    exists = bucket_exists(s3, account, bucket)
    _tell(bucket, None if exists else "made", dry_run=dry_run)
    if not exists and dry_run:
        for name in SETTINGS:
            _tell(name, "set", dry_run=True)
        return
    if not exists:
        create(s3, bucket, region)
    for name, look in SETTINGS.items():
        change = look(s3, bucket)
        if change is not None and not dry_run:
            change()
        _tell(name, "set" if change else None, dry_run=dry_run)


def _tell(name: str, done: str | None, *, dry_run: bool) -> None:
    """`done` is None for what was there already."""
    word = "was there" if done is None else f"would be {done}" if dry_run else done
    console.print(f"{name:>56}  {word}")
