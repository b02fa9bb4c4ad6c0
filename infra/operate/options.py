"""Options of several commands, and checks of their values."""

from typing import Annotated

import typer

from infra.environments import Environment, UnknownEnvironment, environment_of
from infra.operate.context import OperateContext
from orderctl.exceptions import Refused, UsageError

EnvOption = Annotated[
    str, typer.Option("--env", help="Environment: dev, uat, prod, or feat-… for the environment of a branch.")
]
OnlyOption = Annotated[
    str | None,
    typer.Option(
        "--only",
        help="Part of the stacks: supporting, services, a kind such as order-api, or one stack such as "
        "order-api-eu-central-1.",
    ),
]
RegionOption = Annotated[str | None, typer.Option("--region", help="Region of the environment.")]


def environment_named(name: str) -> Environment:
    """Return the environment with this name. Raises UsageError if there is none."""
    try:
        return environment_of(name)
    except UnknownEnvironment as error:
        raise UsageError(str(error)) from error


def require_organisation(context: OperateContext) -> None:
    """Raise Refused if the domain of `ORGANISATION` is still the placeholder."""
    if context.organisation.is_placeholder:
        raise Refused(
            f"the domain is still {context.organisation.domain}: say in infra/environments.py, under ORGANISATION, "
            "which domain, repository and address are yours, and beside each environment who issues its tokens"
        )
