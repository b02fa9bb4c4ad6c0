"""Console, announcements and reports of failures, shared by the verbs."""

import contextlib
from collections.abc import Iterator

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from order_operations.target import Target, WrongRegion
from order_shared.domain.errors import PlatformError, StorageUnavailable
from orderctl.profile import StackNotRunning
from orderctl.signals import interruptible

console = Console(highlight=False, markup=False, emoji=False)
errors = Console(stderr=True, highlight=False, markup=False, emoji=False)
"""No markup: much of what is printed was written by others."""


def announce(target: Target, endpoint: str | None, **rows: str) -> None:
    """Say where a verb works, as whom, and on what."""
    where = {"region": target.settings.aws_region, "endpoint": f"{endpoint or 'AWS'}, as {target.actor}"}
    for name, value in {**where, **rows}.items():
        console.print(f"{name:>9}  {value}", soft_wrap=True)


@contextlib.contextmanager
def reported_failures() -> Iterator[None]:
    """Errors that a user can act on, told on stderr without a traceback; a signal ends the block as Ctrl-C does.

    Exit codes: 1 it could not be done, 2 it was asked for wrongly (from Typer), 130 interrupted.
    """
    try:
        with interruptible():
            yield
    except StorageUnavailable as error:
        errors.print(f"{error}: is the environment up, and may you use its tables?", style="red")
        raise typer.Exit(1) from error
    except (PlatformError, StackNotRunning, WrongRegion) as error:
        errors.print(str(error), style="red")
        raise typer.Exit(1) from error
    except (BotoCoreError, ClientError) as error:
        errors.print(f"AWS: {error}", style="red")
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        errors.print("interrupted", style="yellow")
        raise typer.Exit(130) from error
