"""Exceptions of commands, each with its exit code. The message is for an operator, and names the next command.

CommandError
├── Failed            1     not done, or not all of it
├── UsageError        2     wrong arguments
├── Refused           3     nothing was changed
└── Interrupted       130

Errors of other packages have an `exit_code` too, such as those of `order_operations.deployments`.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of all commands. Typer itself exits with USAGE on wrong arguments."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNFINISHED = 4
    """The deployment continues because of --no-wait, or is paused and waits for approval."""
    INTERRUPTED = 130


class CommandError(Exception):
    exit_code = ExitCode.FAILED


class Failed(CommandError):
    """The command failed, or completed only in part."""


class UsageError(CommandError):
    """The arguments are wrong, or a setting is missing."""

    exit_code = ExitCode.USAGE


class Refused(CommandError):
    """The command is not allowed now. Nothing was changed."""

    exit_code = ExitCode.REFUSED


class Interrupted(CommandError):
    """The command was stopped by the operator or a signal."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, message: str, *, completed: bool = False, killed: bool = False) -> None:
        super().__init__(message)
        self.completed = completed
        """True if the running step ended successfully in spite of the signal."""
        self.killed = killed
        """True if a signal killed the child process, which could not clean up."""


def exit_code_of(error: Exception) -> ExitCode | None:
    """Return the exit code that an error carries; None if it carries none."""
    code = getattr(error, "exit_code", None)
    return ExitCode(code) if isinstance(code, int) else None
