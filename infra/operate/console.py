"""What an operator reads and answers, and how what goes wrong is told."""

import contextlib
from collections.abc import Iterator, Sequence
from types import FrameType

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from infra.environments import Environment
from infra.operate.aws import Account
from infra.operate.exceptions import Failed, Interrupted, Refused
from infra.operate.signals import ENDING, handled
from infra.operate.site import Site

console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """What went wrong, in a line or a few on stderr, and the exit code that goes with it; a signal is as Ctrl-C.

    Exit codes: 1 it could not be done, or not all of it; 2 it was asked for wrongly or is refused; 130 interrupted.
    """
    try:
        with handled(ENDING, _interrupt):
            yield
    except Refused as error:
        errors.print(str(error), style="red")
        raise typer.Exit(2) from error
    except Failed as error:
        errors.print(str(error), style="red")
        raise typer.Exit(1) from error
    except (BotoCoreError, ClientError) as error:
        errors.print(f"AWS: {error}", style="red")
        raise typer.Exit(1) from error
    except Interrupted as error:
        errors.print(str(error), style="yellow")
        raise typer.Exit(130) from error
    except KeyboardInterrupt as error:
        errors.print("interrupted", style="yellow")
        raise typer.Exit(130) from error


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def announce(
    site: Site, account: Account, *, what: str, whose: str, regions: Sequence[str], stacks: Sequence[str] = ()
) -> None:
    """What is about to be done, to what, as whom. On stderr, so that what a verb finds out can be piped on."""
    organisation = site.organisation.hcp_organisation
    buckets = ", ".join(f"s3://{account.state_bucket(region)}" for region in regions)
    state = f"HCP Terraform, organisation {organisation}" if organisation else buckets
    lines = {
        "will": what,
        "of": whose,
        "account": f"{account.id}, as {account.caller}",
        "regions": ", ".join(regions),
        "state": state,
    }
    for name, value in lines.items():
        errors.print(f"{name:>8}  {value}")
    for number, stack in enumerate(stacks, 1):
        errors.print(f"{'stacks' if number == 1 else '':>8}  {number}. {stack}")


def require_answer(site: Site, *, yes: bool) -> None:
    """Raises Refused if a question will have to be asked and nobody is there to answer it."""
    if not yes and not site.is_terminal:
        raise Refused("this asks before it goes on, and nobody is at a terminal to answer: say --yes if you mean it")


def confirm(environment: Environment, *, yes: bool) -> None:
    """Raises Failed unless the environment's name is typed; Interrupted on Ctrl-C and Ctrl-D."""
    if yes:
        return
    try:
        answer = typer.prompt(f"Type {environment.name} to go on", default="", show_default=False, err=True)
    except typer.Abort as error:
        raise Interrupted("interrupted; nothing was changed") from error
    if answer.strip() != environment.name:
        raise Failed(f"that is not {environment.name}; nothing was changed")


def span(seconds: float) -> str:
    """`42 s`, or `3 min 20 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
