"""`python -m tests.phrases`: count odd phrases in everything that people read, and fail where there are too many.

Each package, the pages and the help of orderctl may have 1.5 odd phrases in 1,000 words, and at most 3 % of the
docstrings of a package may begin with a preposition or a pronoun. `--all` also names what is within these limits.
"""

import argparse
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import typer
import typer.main

from tests.phrases.phrases import known
from tests.phrases.report import measure
from tests.phrases.texts import Text, of_file, of_help

ROOT = Path(__file__).parents[2]
PAGES = "pages"
HELP = "orderctl --help"
FOLDERS = ("devtools", "infra", "observability")
"""Folders that are measured like a package although nothing builds them."""

TESTS = "tests"
"""Measured when it is named, and without a limit."""


def tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.check_output(command, cwd=ROOT, text=True).splitlines()
    return [name for name in names if (ROOT / name).is_file()]


def group_of(path: str, packages: Iterable[str]) -> str | None:
    """Return the group in which a file is counted: its package, the pages, or none."""
    if path.startswith(f"{TESTS}/"):
        return TESTS
    found = max((package for package in packages if path.startswith(f"{package}/")), key=len, default=None)
    if found is None and PurePosixPath(path).suffix == ".md":
        return PAGES
    return "Makefile" if path == "Makefile" else found


def groups(wanted: Sequence[str] = ()) -> dict[str, list[Text]]:
    """Return the texts of the wanted groups; without a name, of all groups except the tests."""
    files = tracked()
    packages = {str(PurePosixPath(name).parent) for name in files if name.endswith("/pyproject.toml")} | {*FOLDERS}
    texts: dict[str, list[Text]] = defaultdict(list)
    for path in files:
        group = group_of(path, packages)
        if group and (group in wanted or (not wanted and group != TESTS)):
            texts[group] += of_file(ROOT, path)
    if not wanted or HELP in wanted:
        texts[HELP] = [*of_help(_orderctl(), "orderctl")]
    return {name: texts[name] for name in sorted(texts) if texts[name]}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.phrases", description="Count odd phrases.")
    parser.add_argument("groups", nargs="*", help="groups, such as shared or pages (default: all except tests)")
    parser.add_argument("--all", action="store_true", help="name the phrases of groups within the limits too")
    options = parser.parse_args(arguments)
    failed = []
    for name, texts in groups(options.groups).items():
        group = measure(name, texts, [finding for text in texts for finding in known().find(text)])
        passes = group.passes or name == TESTS
        for finding in group.findings if options.all or not passes else []:
            typer.echo(finding)
        typer.echo(group)
        failed += [] if passes else [name]
    if failed:
        typer.echo(f"too many odd phrases: {', '.join(failed)}", err=True)
    return 1 if failed else 0


def _orderctl() -> object:
    from orderctl.main import app  # noqa: PLC0415 - half a second, which the unit tests do not need

    return typer.main.get_command(app)


if __name__ == "__main__":
    sys.exit(main())
