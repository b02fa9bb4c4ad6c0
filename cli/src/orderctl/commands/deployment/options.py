"""Options and confirmations of the deployment commands."""

from collections.abc import Collection
from typing import Annotated

import typer

from order_operations.deployments import service_ref
from order_operations.deployments.checks import Override
from orderctl import terminal
from orderctl.deploy.context import DeployContext

UNCHANGED = "nothing was changed"

SHIFT_QUESTION = "Shift production traffic to green?"

ENVIRONMENTS = ("dev", "uat", service_ref.PROTECTED)
"""Environment names that shell completion offers; `--env` also accepts feature environments, `feat-…`."""


def _service(name: str) -> str:
    """Return the name of a service of the platform. Raises BadParameter for any other name."""
    if name not in service_ref.SERVICES:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, service_ref.SERVICES))}.")
    return name


def _services(incomplete: str) -> list[str]:
    return [name for name in service_ref.SERVICES if name.startswith(incomplete)]


def _environments(incomplete: str) -> list[str]:
    return [name for name in ENVIRONMENTS if name.startswith(incomplete)]


ServiceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SERVICE",
        help="Name of the service.",
        parser=_service,
        autocompletion=_services,
        show_default=False,
    ),
]
EnvOption = Annotated[
    str,
    typer.Option(
        "--env",
        help="Environment: dev, uat, prod or feat-….",
        envvar="ORDER_DEPLOY_ENV",
        autocompletion=_environments,
        show_default=False,
    ),
]
SourceOption = Annotated[
    str,
    typer.Option("--from", help="Environment that runs the image: dev, uat.", autocompletion=_environments),
]
TargetOption = Annotated[
    str, typer.Option("--to", help="Environment to deploy the image to: uat, prod.", autocompletion=_environments)
]
AutoOption = Annotated[
    bool, typer.Option("--auto", help="Shift traffic without asking once green has passed the smoke test.")
]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the deployment to its end.")]
DespiteOption = Annotated[
    list[Override] | None,
    typer.Option(
        "--despite",
        help="Deploy although this check fails; needs a --reason. `alarms`: ECS will not roll back for them.",
        show_default=False,
    ),
]
TestUrlOption = Annotated[
    str | None,
    typer.Option("--test-url", help="Base URL of green; by default the load balancer's test listener."),
]


def announce(context: DeployContext, what: str) -> None:
    ref = context.ref
    terminal.announce(
        {
            "account": f"{context.account}, as {context.actor}",
            "region": context.region,
            "cluster": ref.cluster,
            "service": ref.service,
        },
        what,
    )


def confirm(context: DeployContext, question: str, *, yes: bool) -> None:
    """Ask for confirmation if the environment is production, unless `yes` is true. Raises Interrupted, Refused."""
    terminal.confirm(question, yes=yes or not context.ref.is_protected)


def agreed(context: DeployContext, what: str, question: str, *, dry_run: bool, yes: bool) -> bool:
    """Announce an action, and ask for confirmation in production. Return False for a dry run, otherwise True.

    Raises:
        Interrupted, Refused: if the operator does not confirm.
    """
    announce(context, what)
    if dry_run:
        terminal.errors.print(UNCHANGED)
        return False
    confirm(context, question, yes=yes)
    return True


def reason_of(context: DeployContext, reason: str | None, *, dry_run: bool, despite: Collection[Override] = ()) -> str:
    """Return the reason for the audit trail. Raises UsageError if production, or a check, would need one."""
    return terminal.checked_reason(reason, required=bool(despite) or (context.ref.is_protected and not dry_run))
