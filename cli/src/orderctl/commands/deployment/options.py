"""Options and questions of the deployment verbs."""

from enum import StrEnum
from typing import Annotated

import typer

from orderctl import terminal
from orderctl.deploy import service_ref
from orderctl.deploy.context import DeployContext

UNCHANGED = "nothing was changed"

ENVIRONMENTS = ("dev", "uat", service_ref.PROTECTED)
"""Names that a shell offers. A feature environment has any name that begins with `feat-`."""


class ServiceName(StrEnum):
    API = service_ref.API
    PROCESSOR = service_ref.PROCESSOR


def _environments(incomplete: str) -> list[str]:
    return [name for name in ENVIRONMENTS if name.startswith(incomplete)]


ServiceArgument = Annotated[ServiceName, typer.Argument(metavar="SERVICE", help="Which service.", show_default=False)]
EnvOption = Annotated[
    str,
    typer.Option(
        "--env",
        help="dev, uat, prod or feat-….",
        envvar="ORDER_DEPLOY_ENV",
        autocompletion=_environments,
        show_default=False,
    ),
]
SourceOption = Annotated[
    str,
    typer.Option("--from", help="The environment that runs it: dev, uat.", autocompletion=_environments),
]
TargetOption = Annotated[
    str, typer.Option("--to", help="The environment that shall run it: uat, prod.", autocompletion=_environments)
]
AutoOption = Annotated[bool, typer.Option("--auto", help="Go on by itself once the green side has passed its test.")]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")]
TestUrlOption = Annotated[
    str | None,
    typer.Option("--test-url", help="Where the green side answers, if not at the load balancer's test listener."),
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
    """Ask before production is changed. Raises Interrupted, Refused."""
    terminal.confirm(question, yes=yes or not context.ref.is_protected)


def agreed(context: DeployContext, what: str, question: str, *, dry_run: bool, yes: bool) -> bool:
    """Announce an action, and ask if necessary. Return False for a dry run."""
    announce(context, what)
    if dry_run:
        terminal.errors.print(UNCHANGED)
        return False
    confirm(context, question, yes=yes)
    return True


def reason_of(context: DeployContext, reason: str | None, *, dry_run: bool) -> str:
    """Return the reason as the audit trail keeps it. Raises UsageError if production is changed without one."""
    return terminal.checked_reason(reason, required=context.ref.is_protected and not dry_run)
