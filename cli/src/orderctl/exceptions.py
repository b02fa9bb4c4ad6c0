"""Exceptions of commands, each with its exit code. The message is for an operator, and names the next command.

CommandError
├── Failed            1     not done, or not all of it
│   └── DeploymentFailed
├── UsageError        2     wrong arguments
├── Refused           3     nothing was changed
│   ├── ImageNotFound
│   ├── Locked
│   └── TooLate             one call was refused: the deployment has moved on
└── Interrupted       130
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command. Typer's own is USAGE."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNFINISHED = 4
    """The deployment continues: --no-wait, or it is paused, waiting for approval."""
    INTERRUPTED = 130


class CommandError(Exception):
    exit_code = ExitCode.FAILED


class Failed(CommandError):
    """The command failed, or only a part of it was done."""


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
        """The running step had just ended."""
        self.killed = killed
        """The child process was killed by a signal and could not clean up."""


class ImageNotFound(Refused):
    def __init__(self, repository: str, reference: str) -> None:
        super().__init__(f"{repository} has no image {reference}")


class Locked(Refused):
    """Another operator is deploying the service."""


class TooLate(Refused):
    """The deployment has ended, or is no longer paused."""


class DeploymentFailed(Failed):
    """The deployment failed. The previous image runs, unless the message names another."""
