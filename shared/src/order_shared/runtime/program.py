"""Options of a service's program. Everything else is a setting, from the environment."""

import sys
from importlib.metadata import version


def answer_version(program: str) -> None:
    """Print the program's version and exit, if `--version` is all that was asked; `program` is a distribution too."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"{program} {version(program)}\n")
        sys.exit()
