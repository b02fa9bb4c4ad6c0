"""The options that several verbs take."""

from typing import Annotated

import typer

from infra.environments import Environment, UnknownEnvironment, environment_of
from infra.operate.context import OperateContext
from orderctl.exceptions import Refused, UsageError

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


def environment_named(name: str) -> Environment:
    """Return the environment of this name. Raises UsageError if there is none."""
    try:
        return environment_of(name)
    except UnknownEnvironment as error:
        raise UsageError(str(error)) from error


def require_organisation(context: OperateContext) -> None:
    """Raise Refused until `ORGANISATION` says whose platform it is."""
    if context.organisation.is_placeholder:
        raise Refused(
            f"the domain is still {context.organisation.domain}: say in infra/environments.py, under ORGANISATION, "
            "which domain, repository and address are yours, and beside each environment who issues its tokens"
        )
