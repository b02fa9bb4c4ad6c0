"""Terminal of every command: output, failures and exit codes, questions, and the options that commands share.

infra.operate uses it too, so it imports nothing of the platform.
"""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from orderctl.exceptions import CommandError, ExitCode, Interrupted, Refused, UsageError
from orderctl.signals import interruptible


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[
    Output, typer.Option("--output", help="The answer on stdout as text, or as JSON; all else goes to stderr.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", help="Why; kept in the audit trail beside your name.", show_default=False)
]


def printable(text: str) -> str:
    """Escape the characters that would steer the terminal: much of what is printed was written by others."""
    return "".join(
        each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode() for each in text
    )


class _PrintableConsole(Console):
    """Console that escapes every string, those in tables too, and breaks no line that is printed by itself."""

    def print(self, *objects: Any, **options: Any) -> None:
        if all(isinstance(each, str) for each in objects):
            options.setdefault("soft_wrap", True)
        super().print(*objects, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


console = _PrintableConsole(highlight=False, markup=False, emoji=False)
errors = _PrintableConsole(stderr=True, highlight=False, markup=False, emoji=False)


def print_json(document: object, *, indent: int | None = 2) -> None:
    console.print(json.dumps(document, indent=indent))


def announce(rows: Mapping[str, str], what: str = "") -> None:
    """Say what is about to be done, where and as whom. On stderr: stdout is for the answer."""
    if what:
        errors.print(what)
    width = 2 + max(map(len, rows))
    for name, value in rows.items():
        lines = value.replace("\n", "\n" + " " * (width + 2))
        errors.print(f"{name:>{width}}  {lines}")


@contextlib.contextmanager
def reported(left: str = "") -> Iterator[None]:
    """Print a failure on stderr without a traceback, and exit with its code. A signal ends the block as Ctrl-C does.

    `left` says what state an interruption leaves.
    """
    try:
        with interruptible():
            yield
    except CommandError as error:
        errors.print(str(error), style="yellow" if error.exit_code is ExitCode.INTERRUPTED else "red")
        raise typer.Exit(error.exit_code) from error
    except (BotoCoreError, ClientError) as error:
        errors.print(f"AWS: {error}", style="red")
        raise typer.Exit(ExitCode.FAILED) from error
    except (KeyboardInterrupt, typer.Abort) as error:  # the second is Ctrl-C at a question
        errors.print(f"interrupted: {left}" if left else "interrupted", style="yellow")
        raise typer.Exit(ExitCode.INTERRUPTED) from error


def can_ask() -> bool:
    return sys.stdin.isatty()


def require_answer(*, yes: bool) -> None:
    """Raise Refused if a question would be asked and nobody is there to answer it."""
    if not yes and not can_ask():
        raise Refused("confirmation is needed, and there is no terminal to ask at: add --yes to confirm")


def confirm(question: str, *, yes: bool, name: str = "") -> None:
    """Ask, unless `yes`. With a `name` the answer is that name, else yes or no.

    Raises:
        Refused: if the operator declines, or nobody can answer.
        Interrupted: on Ctrl-C or the end of input.
    """
    if yes:
        return
    require_answer(yes=yes)
    try:
        if not name:
            agreed = typer.confirm(printable(question), err=True)
        else:
            agreed = typer.prompt(printable(question), default="", show_default=False, err=True).strip() == name
    except typer.Abort as error:
        raise Interrupted("interrupted: nothing was changed") from error
    if not agreed:
        raise Refused(f"the answer was not {name}; nothing was changed" if name else "nothing was changed")


def checked_reason(reason: str | None, *, required: bool) -> str:
    """Return the reason as the audit trail keeps it. Raises UsageError if it is required and blank."""
    words = (reason or "").strip()
    if required and not words:
        raise UsageError("a reason is required, for the audit trail: --reason")
    return words or "-"


class RenamedGroup(TyperGroup):
    """Group of commands that answers to the names of the last release: it prints the new name and runs that."""

    renamed: ClassVar[Mapping[str, str]] = {}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, *rest = args
        if name in self.renamed:
            errors.print(f"`{name}` is now `{self.renamed[name]}`", style="yellow")
        if "--json" in rest:
            errors.print("`--json` is now `--output json`", style="yellow")
        now = ["--output=json" if word == "--json" else word for word in rest]
        return super().resolve_command(ctx, [self.renamed.get(name, name), *now])
