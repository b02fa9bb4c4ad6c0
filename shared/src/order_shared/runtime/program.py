"""Command-line options of a service. All other configuration is in environment variables."""

import sys
from importlib.metadata import version


def answer_version(program: str) -> None:
    """Print the version and exit if the only argument is `--version`. `program` is the name of the distribution."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"{program} {version(program)}\n")
        sys.exit()
