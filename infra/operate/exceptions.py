"""How a command ends when it does not end well. Each is told in a line or a few, without a traceback."""


class Refused(Exception):
    """It was asked for wrongly, or must not be done now; nothing was changed. Exit code 2."""


class Failed(Exception):
    """It could not be done, or not all of it. Exit code 1."""


class Interrupted(Exception):
    """Somebody stopped it. Exit code 130."""

    def __init__(self, message: str, *, completed: bool = False, killed: bool = False) -> None:
        super().__init__(message)
        self.completed = completed
        """What was at work had just come to its end."""
        self.killed = killed
        """What was at work was ended by a signal, and could not tidy up."""
