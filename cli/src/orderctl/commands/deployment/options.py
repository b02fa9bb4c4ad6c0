"""What the verbs of a deployment are asked with, and how they end."""

import contextlib
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from orderctl.deploy import place
from orderctl.deploy.errors import DeployError, Refused
from orderctl.deploy.site import Site
from orderctl.signals import interruptible
from orderctl.terminal import errors

DONE, FAILED, REFUSED, STILL_BAKING, INTERRUPTED = 0, 1, 3, 4, 130
"""Exit codes; 2 is Typer's, for what was asked for wrongly."""

ENVIRONMENTS = ("dev", "uat", place.PROTECTED)
"""What a shell offers; a feature's environment has any name that begins with `feat-`."""


class ServiceName(StrEnum):
    API = place.API
    PROCESSOR = place.PROCESSOR


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
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, in production either.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only look, and say what would be done.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="The answer as one JSON document on stdout; all else goes to stderr.")
]


@contextlib.contextmanager
def reported(left: str = "nothing was changed") -> Iterator[None]:
    """Turns what went wrong into a line on stderr and an exit code. `left` is how an interruption leaves things."""
    try:
        with interruptible():
            yield
    except Refused as error:
        errors.print(str(error), style="red", soft_wrap=True)
        raise typer.Exit(REFUSED) from error
    except DeployError as error:
        errors.print(str(error), style="red", soft_wrap=True)
        raise typer.Exit(FAILED) from error
    except (BotoCoreError, ClientError) as error:
        errors.print(f"AWS: {error}", style="red", soft_wrap=True)
        raise typer.Exit(FAILED) from error
    except (KeyboardInterrupt, typer.Abort) as error:  # the second is Ctrl-C at a question
        errors.print(f"interrupted: {left}", style="yellow", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from error


def announce(site: Site, what: str) -> None:
    """Says where it will happen before anything does."""
    at = site.place
    errors.print(what, soft_wrap=True)
    errors.print(f"  account  {site.account}, as {site.actor}", soft_wrap=True)
    errors.print(f"   region  {site.region}")
    errors.print(f"  cluster  {at.cluster}")
    errors.print(f"  service  {at.service}")


def confirm(site: Site, question: str, *, yes: bool) -> None:
    """Production is asked about, unless it was answered before. Raises typer.Abort, Refused."""
    if yes or site.place.environment.partition("-")[0] != place.PROTECTED:
        return
    if not can_ask():
        raise Refused("production is asked about, and nobody can answer here: --yes")
    if not typer.confirm(question, err=True):
        raise Refused("nothing was changed")


def agreed(site: Site, what: str, question: str, *, dry_run: bool, yes: bool) -> bool:
    """Says what will be done and where, and asks if it must; False if it was only to be said."""
    announce(site, what)
    if dry_run:
        errors.print("nothing was changed")
        return False
    confirm(site, question, yes=yes)
    return True


def can_ask() -> bool:
    return sys.stdin.isatty()
