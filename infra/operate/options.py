"""The options that several verbs take."""

from typing import Annotated

import typer

from infra.environments import Environment, UnknownEnvironment, environment_of
from infra.operate.exceptions import Refused
from infra.operate.site import Site

EnvOption = Annotated[str, typer.Option("--env", help="dev, uat, prod, or feat-… for one that goes with its branch.")]
OnlyOption = Annotated[
    str | None,
    typer.Option(
        "--only",
        help="A part: supporting or services; one kind of stack, such as order-api; or one stack, such as "
        "order-api-eu-central-1.",
    ),
]
RegionOption = Annotated[str | None, typer.Option("--region", help="One of the environment's regions.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def environment_named(name: str) -> Environment:
    """Raises Refused if there is none."""
    try:
        return environment_of(name)
    except UnknownEnvironment as error:
        raise Refused(str(error)) from error


def require_organisation(site: Site) -> None:
    """Raises Refused as long as nobody has said whose platform it is."""
    if site.organisation.is_placeholder:
        raise Refused(
            f"the domain is still {site.organisation.domain}: say in infra/environments.py, under ORGANISATION, which "
            "domain, repository and address are yours, and beside each environment who issues its tokens"
        )
