"""Terminal functions of all commands: output, error reports, exit codes, confirmations, and shared options.

infra.operate uses it too, so of the platform it imports only the start of a program.
"""

import contextlib
import errno
import json
import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from enum import StrEnum
from typing import IO, Annotated, Any, ClassVar

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup
from typer.exceptions import TyperException

from order_shared.runtime.program import open_missing_streams
from orderctl.exceptions import ExitCode, Failed, Interrupted, Refused, UsageError, exit_code_of
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


def drop_unusable_size(environ: MutableMapping[str, str]) -> None:
    """Remove a width or height of the terminal in which nothing could be read, such as 0."""
    for name, least in {"COLUMNS": 20, "TERMINAL_WIDTH": 20, "LINES": 1}.items():
        value = environ.get(name)
        if value is not None and not (value.isascii() and value.isdecimal() and int(value) >= least):
            del environ[name]


drop_unusable_size(os.environ)  # before rich and typer read it


class OutputFailed(Failed):
    """Standard output cannot be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the output cannot be written: {error.strerror}")


class _PrintableConsole(Console):
    """Console that escapes every string, also in tables, and does not wrap plain lines.

    A failure of stdout raises OutputFailed. If stderr fails, messages are dropped, except those of `print_or_raise`.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        try:
            self.print_or_raise(*objects, **options)
        except OSError as error:
            abandon(self.file)
            if not self.stderr:
                raise OutputFailed(error) from error

    def print_or_raise(self, *objects: Any, **options: Any) -> None:
        """Print, and raise OSError if that fails."""
        if all(isinstance(each, str) for each in objects):
            options.setdefault("soft_wrap", True)
        super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704 - rich calls this while it handles the error; its own handler exits at once

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


def abandon(stream: IO[str]) -> None:
    """Send a stream that cannot be written to `/dev/null`: what it still holds would fail again at the exit."""
    with contextlib.suppress(OSError, ValueError):
        descriptor = stream.fileno()
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        stream.flush()


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
    except OSError as error:
        _report_os_error(error)
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


def _report_os_error(error: OSError) -> None:
    """Report a file that cannot be used, or an output that cannot be written."""
    if error.filename is None and error.errno in (errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF):
        abandon(sys.stdout)
        error = OSError(error.errno, f"the output cannot be written: {error.strerror}")
    named = f"{error.filename}: " if error.filename is not None else ""
    errors.print(f"{named}{error.strerror or error}", style="red")


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

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run a verb, its help or its completion. A failure that the verb does not report itself is reported here."""
        open_missing_streams()
        try:
            with reported():
                return super().main(*arguments, **options)
        except typer.Exit as ended:
            sys.exit(ended.exit_code)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, *rest = args
        if name in self.renamed:
            errors.print(f"`{name}` is now `{self.renamed[name]}`", style="yellow")
        if "--json" in rest:
            errors.print("`--json` is now `--output json`", style="yellow")
        now = ["--output=json" if word == "--json" else word for word in rest]
        return super().resolve_command(ctx, [self.renamed.get(name, name), *now])
