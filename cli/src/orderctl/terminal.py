"""Terminal functions of all commands: output, error reports, exit codes, confirmations, and shared options.

`infra.operate` uses this module too, so it imports none of the platform's other packages.
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
from typer.exceptions import TyperException

from orderctl.exceptions import ExitCode, Interrupted, Refused, UsageError, exit_code_of
from orderctl.signals import interruptible


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[
    Output, typer.Option("--output", help="Format of the result on stdout; everything else goes to stderr.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and change nothing.")]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", help="Reason, kept in the audit trail with your name.", show_default=False)
]


def printable(text: str) -> str:
    """Return the text with its control characters escaped, since it may come from customers or other systems."""
    return "".join(
        each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode() for each in text
    )


class _PrintableConsole(Console):
    """Console that escapes control characters in every string, also in tables, and does not wrap plain lines."""

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
    """Print an action and its details on stderr before the action starts. stdout is for the result only."""
    if what:
        errors.print(what)
    width = 2 + max(map(len, rows))
    for name, value in rows.items():
        lines = value.replace("\n", "\n" + " " * (width + 2))
        errors.print(f"{name:>{width}}  {lines}")


@contextlib.contextmanager
def reported(left: str = "") -> Iterator[None]:
    """Print a failure of the block on stderr without a traceback, and exit with its code.

    A signal that ends a command has the same effect as Ctrl-C. `left` describes the state after an interruption.
    """
    try:
        with interruptible():
            yield
    except (typer.Exit, TyperException):
        raise
    except (BotoCoreError, ClientError) as error:
        errors.print(f"AWS: {error}", style="red")
        raise typer.Exit(ExitCode.FAILED) from error
    except (KeyboardInterrupt, typer.Abort) as error:  # typer.Abort: Ctrl-C at a prompt
        errors.print(f"interrupted: {left}" if left else "interrupted", style="yellow")
        raise typer.Exit(ExitCode.INTERRUPTED) from error
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        errors.print(str(error), style="yellow" if code is ExitCode.INTERRUPTED else "red")
        raise typer.Exit(code) from error


def can_ask() -> bool:
    return sys.stdin.isatty()


def require_answer(*, yes: bool) -> None:
    """Raise Refused if confirmation is needed, but stdin is no terminal on which to ask."""
    if not yes and not can_ask():
        raise Refused("confirmation is needed, and there is no terminal to ask at: add --yes to confirm")


def confirm(question: str, *, yes: bool, name: str = "") -> None:
    """Ask for confirmation, unless `yes` is true. If `name` is given, the operator must type it.

    Raises:
        Refused: if the operator declines, or stdin is no terminal.
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
    """Return the reason for the audit trail, `-` if there is none. Raises UsageError if it is required and blank."""
    text = (reason or "").strip()
    if required and not text:
        raise UsageError("a reason for the audit trail is required: add --reason")
    return text or "-"


class RenamedGroup(TyperGroup):
    """Group of commands that also accepts the last release's command names and its option `--json`.

    For each, it prints the new form and uses it.
    """

    renamed: ClassVar[Mapping[str, str]] = {}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, *rest = args
        if name in self.renamed:
            errors.print(f"`{name}` is now `{self.renamed[name]}`", style="yellow")
        if "--json" in rest:
            errors.print("`--json` is now `--output json`", style="yellow")
        now = ["--output=json" if word == "--json" else word for word in rest]
        return super().resolve_command(ctx, [self.renamed.get(name, name), *now])
