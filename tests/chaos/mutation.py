"""Runs tests over mutants: copies of the sources with one thing changed, each of which some test must fail for.

The copy stands in a folder of its own, is put before the installed packages, and has an embedded AWS to itself.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

ROOT = Path(__file__).parents[2]
SOURCES = ("shared/src", "services/*/src", "operations/src", "cli/src", "devtools/*/src")
EMULATOR = Path("devtools/devstack/emulator")
TIMEOUT_SECONDS = 600.0

OUTCOMES = """
    killed    a test failed
    survived  all tests passed: a test is missing, or what was changed does nothing
    error     the tests could not be run, or not to their end, which shows nothing

Exit codes: 0 all were killed, 1 some were not, 2 the tests fail without any mutant, or it was asked for wrongly,
130 interrupted.
"""

console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Mutant:
    """The bytes from `start` to `end` of a source file, and what stands in their place. `what` says so in words."""

    path: Path
    line: int
    start: int
    end: int
    what: str
    replacement: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}  {self.what}"

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.replacement.encode() + source[self.end :]


class Outcome(StrEnum):
    KILLED = "killed"
    SURVIVED = "survived"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant. `detail` is the test that killed it, or pytest's output."""

    mutant: Mutant
    outcome: Outcome
    detail: str
    seconds: float

    def __str__(self) -> str:
        by = f"  by {self.detail}" if self.outcome is Outcome.KILLED else ""
        return f"{self.outcome:<8}  {self.mutant}{by}  {self.seconds:.1f} s"


def source_folders(root: Path) -> list[Path]:
    """Those that the packages are imported from, relative to `root`."""
    return sorted(folder.relative_to(root) for pattern in SOURCES for folder in root.glob(pattern))


@contextmanager
def copied_sources(root: Path, mutant: Mutant | None = None) -> Iterator[Path]:
    """A folder with a copy of the sources, and the mutant in it."""
    with TemporaryDirectory(prefix="mutant-") as name:
        copy = Path(name)
        for folder in source_folders(root):
            shutil.copytree(root / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / EMULATOR).symlink_to((root / EMULATOR).resolve())
        if mutant is not None:
            changed = copy / mutant.path
            changed.write_bytes(mutant.applied(changed.read_bytes()))
        yield copy


def foreign_packages(copy: Path) -> list[str]:
    """Where our packages are found outside the copy, although the copy comes first: nowhere, it is hoped."""
    folders = [copy / folder for folder in source_folders(copy)]
    names = [package.parent.name for folder in folders for package in folder.glob("*/__init__.py")]
    script = "import sys, importlib.util as u; print(*(u.find_spec(name).origin for name in sys.argv[1:]), sep='\\n')"
    origins = _python(copy, "-c", script, *names).stdout.splitlines()
    return [origin for origin in origins if not Path(origin).is_relative_to(copy)]


def _python(copy: Path, *arguments: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(copy / folder) for folder in source_folders(copy))
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )


def verdict(code: int, output: str) -> tuple[Outcome, str]:
    """A failing test kills; a fixture or a module that fails is an error."""
    if code == 0:
        return Outcome.SURVIVED, ""
    failed = re.search(r"^FAILED (\S+)", output, re.MULTILINE)
    if code == 1 and failed:
        return Outcome.KILLED, failed[1]
    return Outcome.ERROR, output


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests that mutants have to get past, as pytest takes them."""

    arguments: tuple[str, ...]

    def run(self, copy: Path) -> tuple[Outcome, str]:
        """Over the copy in place of the installed packages."""
        options = ("-x", "-q", "-p", "no:cacheprovider", f"--basetemp={copy / 'tmp'}")
        try:
            done = _python(copy, "-m", "pytest", *options, *self.arguments, timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            return Outcome.ERROR, f"the tests take more than {TIMEOUT_SECONDS:.0f} s"
        return verdict(done.returncode, done.stdout)

    def judge(self, root: Path, mutant: Mutant) -> Result:
        began = time.monotonic()
        with copied_sources(root, mutant) as copy:
            outcome, detail = self.run(copy)
        return Result(mutant, outcome, detail, time.monotonic() - began)

    def judge_all(self, root: Path, mutants: Iterable[Mutant], jobs: int) -> Iterator[Result]:
        """As they end."""
        with ThreadPoolExecutor(jobs) as pool:
            try:
                for future in as_completed([pool.submit(self.judge, root, mutant) for mutant in mutants]):
                    yield future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def failing_without_mutant(self, root: Path) -> str | None:
        """Why nothing can be shown: the tests fail anyway, or would not run over the copy. None if all is well."""
        with copied_sources(root) as copy:
            if foreign := foreign_packages(copy):
                return "imported from outside the copy: " + ", ".join(foreign)
            outcome, output = self.run(copy)
        return None if outcome is Outcome.SURVIVED else output


def report(results: Sequence[Result]) -> int:
    """The end of the output; the exit code."""
    left = [result for result in results if result.outcome is not Outcome.KILLED]
    for result in left:
        console.print(f"\n{result}\n{result.detail}".rstrip())
    counts = Counter(str(result.outcome) for result in left)
    others = "".join(f", {count} {outcome}" for outcome, count in sorted(counts.items()))
    console.print(f"\nkilled {len(results) - len(left)}/{len(results)}{others}")
    return 1 if left else 0


def main(program: str, summary: str, find_mutants: Callable[[Path], Sequence[Mutant]], suite: Suite) -> int:
    """The command line of a kind of mutant. `find_mutants` raises ValueError if it cannot be done."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {program}",
        description=summary + OUTCOMES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--list", action="store_true", help="print the mutants and run nothing")
    parser.add_argument("--only", metavar="TEXT", default="", help="those whose line in the list contains TEXT")
    parser.add_argument("--jobs", metavar="N", type=int, default=2, choices=range(1, 17), help="how many at a time (2)")
    arguments = parser.parse_args()
    with copied_sources(ROOT) as snapshot:  # the working tree may change meanwhile
        try:
            mutants = [mutant for mutant in find_mutants(snapshot) if arguments.only in str(mutant)]
        except ValueError as error:
            parser.error(str(error))
        if not mutants:
            parser.error(f"no mutant contains {arguments.only!r}")
        if arguments.list:
            for mutant in mutants:
                console.print(str(mutant))
            return 0
        if reason := suite.failing_without_mutant(snapshot):
            console.print(f"The tests must pass before anything is removed.\n{reason}")
            return 2
        results = []
        for result in suite.judge_all(snapshot, mutants, arguments.jobs):
            console.print(str(result))
            results.append(result)
        return report(results)


def run(program: str, summary: str, find_mutants: Callable[[Path], Sequence[Mutant]], suite: Suite) -> None:
    try:
        sys.exit(main(program, summary, find_mutants, suite))
    except KeyboardInterrupt:
        sys.exit(130)
