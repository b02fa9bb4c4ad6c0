"""Exceptions of commands, each with its exit code. The message is for an operator, and says which command goes on.

CommandError
├── Failed            1     not done, or not all of it
│   └── DeploymentFailed
├── UsageError        2     wrong arguments
├── Refused           3     nothing was changed
│   ├── ImageNotFound
│   ├── Locked
│   └── TooLate             of one call only: the deployment has gone on
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
    """What was begun goes on: --no-wait, or a deployment that waits for approval."""
    INTERRUPTED = 130


class CommandError(Exception):
    exit_code = ExitCode.FAILED


class Failed(CommandError):
    """The command could not be carried out, or only a part of it."""


class UsageError(CommandError):
    """The arguments are wrong, or a setting is missing."""

    exit_code = ExitCode.USAGE


class Refused(CommandError):
    """The command must not be carried out now. Nothing was changed."""

    exit_code = ExitCode.REFUSED


class Interrupted(CommandError):
    """Somebody stopped the command."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, message: str, *, completed: bool = False, killed: bool = False) -> None:
        super().__init__(message)
        self.completed = completed
        """The step that was running had just ended."""
        self.killed = killed
        """The process that was running was ended by a signal, and could not clean up."""


class ImageNotFound(Refused):
    def __init__(self, repository: str, reference: str) -> None:
        super().__init__(f"{repository} has no image {reference}")


class Locked(Refused):
    """Somebody else deploys the service."""


class TooLate(Refused):
    """The deployment has ended, or is no longer paused."""


class DeploymentFailed(Failed):
    """What runs is what ran before, or the message says what does."""
