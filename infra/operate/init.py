"""`init`: give a new environment its first secrets and images."""

from typing import Annotated

import typer

from infra.operate.aws import account_of_caller
from infra.operate.console import announce, make_changes
from infra.operate.first_images import first_images
from infra.operate.first_secrets import first_values
from infra.operate.options import EnvOption, RegionOption, environment_named
from infra.operate.request import require_region
from orderctl.terminal import DryRunOption, reported


def init(
    ctx: typer.Context,
    *,
    env: EnvOption,
    region: RegionOption = None,
    tag: Annotated[
        str | None, typer.Option("--tag", help="Image for services without a live image, such as sha-5d6e7f8.")
    ] = None,
    dry_run: DryRunOption = False,
) -> None:
    """Give a new environment its first secrets and images.

    Run it after the supporting stacks are applied, and before the services. It
    keeps existing values, so it is safe to repeat.

    \b
    ENV/cursor-secrets   gets a random value
    ENV/webhook-keys     gets a random value
    ENV/payment-api-key  gets dev's value if ENV is a feature environment; for
                         any other, set the value yourself first
    live-ENV             gets the image of --tag, in the repository of each service

    All of them are checked before the first is set. No value is printed.

    \b
    orderctl env init --env dev --tag sha-5d6e7f8 --dry-run
    orderctl env init --env feat-login --tag sha-5d6e7f8

    The default of --region is the environment's home region.

    Exit codes: 0 done, 1 AWS refused a call, 2 usage, 3 refused: no credentials, or
    a secret or an image is missing, 130 interrupted.
    """
    with reported():
        context = ctx.obj
        environment = environment_named(env)
        where = region or environment.home
        require_region(environment, where)
        account = account_of_caller(context, where)
        announce(
            context,
            account,
            what="show missing secrets and images; change nothing" if dry_run else "set secrets and images",
            whose=environment.name,
            regions=(where,),
        )
        changes = first_values(account.client("secretsmanager", where), environment)
        changes |= first_images(account.client("ecr", where), environment, tag)
        make_changes(changes, done="given", dry_run=dry_run)
