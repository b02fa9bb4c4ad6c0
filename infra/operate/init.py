"""`init`: what the services of a new environment start with."""

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
        str | None, typer.Option("--tag", help="The image to start with, such as sha-5d6e7f8, where none is live yet.")
    ] = None,
    dry_run: DryRunOption = False,
) -> None:
    """Give a new environment what its services start with: secrets and images.

    For after its supporting stacks, before its services. What is there already
    stays as it is, so it is safe to run again.

    \b
    ENV/cursor-secrets   gets a random value
    ENV/payment-api-key  gets that of dev if ENV is a feature environment; of
                         any other only you know it: put it there first
    live-ENV             gets the image of --tag, in both repositories

    It looks at all of them before it gives the first, and says no value.

    \b
    orderctl env init --env dev --tag sha-5d6e7f8 --dry-run
    orderctl env init --env feat-login --tag sha-5d6e7f8

    Without --region it is the environment's home.

    Exit codes: 0 all is there, 1 AWS refused something, 2 usage, 3 refused:
    without credentials, or a secret or an image is missing, which it names, 130
    interrupted.
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
            what="say what secrets and images are missing; change nothing" if dry_run else "give secrets and images",
            whose=environment.name,
            regions=(where,),
        )
        changes = first_values(account.client("secretsmanager", where), environment)
        changes |= first_images(account.client("ecr", where), environment, tag)
        make_changes(changes, done="given", dry_run=dry_run)
