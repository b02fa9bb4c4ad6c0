"""Removes each condition of the platform's conditional writes in turn, and shows that some test fails for each.

The conditions are found in the sources, so none can be forgotten: each `F(...).equals(...)` and its like, and each
use of a constant that holds one. One is removed by putting in its place a condition that always holds; under `|`,
where that loosens the whole, also one that never holds. Each mutant is a copy of the sources in a folder of its
own, put before the installed packages, and has an embedded AWS to itself.

    killed    a test failed
    hung      the tests ran into the time-out: killed too
    survived  all tests passed: a test is missing, or the condition does nothing
    error     the tests could not be run, which shows nothing

Exit codes: 0 all were killed, 1 some were not, 2 the tests fail without any mutant, or it was asked for wrongly,
130 interrupted.
"""

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from aiodynamo.expressions import F, Size
from rich.console import Console

ROOT = Path(__file__).parents[2]
SOURCES = ("shared/src", "services/*/src", "cli/src")
EMULATOR = Path("cli/emulator")
TESTS = tuple(
    f"tests/integration/test_{name}.py"
    for name in ("order_repository", "inventory_repository", "parked_orders", "migrate")
)
ENGINE = "not fake and not dynamodb-local"
"""The fake has no conditions; the embedded AWS needs no Java."""

TIMEOUT_SECONDS = 120.0
CONDITION_METHODS = frozenset(
    name
    for receiver in (F, Size)
    for name, method in vars(receiver).items()
    if getattr(method, "__annotations__", {}).get("return") == "Condition"
)
ALWAYS = '(__import__("aiodynamo.expressions").expressions.F("never_stored").does_not_exist())'
NEVER = '(__import__("aiodynamo.expressions").expressions.F("never_stored").exists())'

console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Mutant:
    """The bytes from `start` to `end` of a source file, and what stands in their place."""

    path: Path
    line: int
    start: int
    end: int
    condition: str
    replacement: str

    def __str__(self) -> str:
        holds = "always" if self.replacement == ALWAYS else "never"
        return f"{self.path}:{self.line}  {holds:<6}  {self.condition}"

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.replacement.encode() + source[self.end :]


class Outcome(StrEnum):
    KILLED = "killed"
    HUNG = "hung"
    SURVIVED = "survived"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant. `detail` is the test that killed it, or pytest's output."""

    mutant: Mutant
    outcome: Outcome
    detail: str
    seconds: float

    @property
    def is_killed(self) -> bool:
        return self.outcome in {Outcome.KILLED, Outcome.HUNG}

    def __str__(self) -> str:
        by = f"  by {self.detail}" if self.outcome is Outcome.KILLED else ""
        return f"{self.outcome:<8}  {self.mutant}{by}  {self.seconds:.1f} s"


def find_mutants(root: Path) -> list[Mutant]:
    """All mutants of the sources under `root`."""
    sources = {path: (root / path).read_bytes() for folder in source_folders(root) for path in _modules(root, folder)}
    trees = {path: ast.parse(source) for path, source in sources.items()}
    constants = condition_constants(trees.values())
    return [mutant for path, tree in trees.items() for mutant in _mutants_of(path, sources[path], tree, constants)]


def source_folders(root: Path) -> list[Path]:
    """Those that the packages are imported from, relative to `root`."""
    return sorted(folder.relative_to(root) for pattern in SOURCES for folder in root.glob(pattern))


def _modules(root: Path, folder: Path) -> list[Path]:
    return sorted(path.relative_to(root) for path in (root / folder).rglob("*.py"))


def condition_constants(modules: Iterable[ast.Module]) -> set[str]:
    """The names of module constants that hold a condition, directly or by way of another constant."""
    values = {
        target.id: value
        for module in modules
        for statement in module.body
        for target, value in _assignments(statement)
        if isinstance(target, ast.Name)
    }
    names: set[str] = set()
    while more := {name for name, value in values.items() if name not in names and any(_conditions(value, names))}:
        names |= more
    return names


def _assignments(statement: ast.stmt) -> list[tuple[ast.expr, ast.expr]]:
    match statement:
        case ast.Assign(targets=targets, value=value):
            return [(target, value) for target in targets]
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            return [(target, value)]
    return []


def _mutants_of(path: Path, source: bytes, tree: ast.Module, constants: Set[str]) -> Iterator[Mutant]:
    lines = source.splitlines(keepends=True)
    for node, is_alternative in _conditions(tree, constants):
        start = _offset(lines, node.lineno, node.col_offset)
        end = _offset(lines, node.end_lineno or 0, node.end_col_offset or 0)
        condition = " ".join(source[start:end].decode().split())
        for replacement in (ALWAYS, NEVER) if is_alternative else (ALWAYS,):
            yield Mutant(path, node.lineno, start, end, condition, replacement)


def _offset(lines: Sequence[bytes], line: int, column: int) -> int:
    return sum(map(len, lines[: line - 1])) + column


def _conditions(node: ast.AST, constants: Set[str], *, is_alternative: bool = False) -> Iterator[tuple[ast.expr, bool]]:
    """The conditions that make up what is written, each with whether it stands under `|`."""
    if isinstance(node, ast.expr) and _is_condition(node, constants):
        yield node, is_alternative
        return
    is_alternative = is_alternative or isinstance(getattr(node, "op", None), ast.BitOr)
    for child in ast.iter_child_nodes(node):
        yield from _conditions(child, constants, is_alternative=is_alternative)


def _is_condition(node: ast.expr, constants: Set[str]) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=receiver, attr=method)):
            return method in CONDITION_METHODS and _is_attribute(receiver)
        case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name, ctx=ast.Load()):
            return name in constants
        case ast.UnaryOp(op=ast.Invert(), operand=operand):
            return any(_conditions(operand, constants))
    return False


def _is_attribute(node: ast.expr) -> bool:
    """`F(...)` or `F(...).size()`; a `RangeKey(...)` has the same methods and is no condition of a write."""
    match node:
        case ast.Call(func=ast.Name(id="F")):
            return True
        case ast.Call(func=ast.Attribute(value=receiver)):
            return _is_attribute(receiver)
    return False


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


def run_tests(copy: Path) -> tuple[int, str]:
    """The tests, over the copy in place of the installed packages; pytest's exit code and output.

    Raises subprocess.TimeoutExpired.
    """
    options = ("-x", "-q", "-p", "no:cacheprovider", f"--basetemp={copy / 'tmp'}", "-k", ENGINE)
    done = _python(copy, "-m", "pytest", *options, *TESTS, timeout=TIMEOUT_SECONDS)
    return done.returncode, done.stdout


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


def judge(root: Path, mutant: Mutant) -> Result:
    """Runs the tests over the mutant."""
    began = time.monotonic()
    with copied_sources(root, mutant) as copy:
        try:
            outcome, detail = verdict(*run_tests(copy))
        except subprocess.TimeoutExpired:
            outcome, detail = Outcome.HUNG, ""
    return Result(mutant, outcome, detail, time.monotonic() - began)


def verdict(code: int, output: str) -> tuple[Outcome, str]:
    """A failing test kills; a fixture or a module that fails is an error."""
    if code == 0:
        return Outcome.SURVIVED, ""
    failed = re.search(r"^FAILED (\S+)", output, re.MULTILINE)
    if code == 1 and failed:
        return Outcome.KILLED, failed[1]
    return Outcome.ERROR, output


def judge_all(root: Path, mutants: Iterable[Mutant], jobs: int) -> Iterator[Result]:
    """As they end."""
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for future in as_completed([pool.submit(judge, root, mutant) for mutant in mutants]):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def failing_without_mutant(root: Path) -> str | None:
    """Why nothing can be shown: the tests fail anyway, or would not run over the copy. None if all is well."""
    with copied_sources(root) as copy:
        if foreign := foreign_packages(copy):
            return "imported from outside the copy: " + ", ".join(foreign)
        try:
            code, output = run_tests(copy)
        except subprocess.TimeoutExpired:
            return f"the tests take more than {TIMEOUT_SECONDS:.0f} s"
    return output if code else None


def report(results: Sequence[Result]) -> int:
    """The end of the output; the exit code."""
    left = [result for result in results if not result.is_killed]
    for result in left:
        console.print(f"\n{result}\n{result.detail}".rstrip())
    counts = Counter(str(result.outcome) for result in left)
    others = "".join(f", {count} {outcome}" for outcome, count in sorted(counts.items()))
    console.print(f"\nkilled {len(results) - len(left)}/{len(results)}{others}")
    return 1 if left else 0


def main() -> int:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.mutants",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--list", action="store_true", help="print the mutants and run nothing")
    parser.add_argument("--only", metavar="TEXT", default="", help="those whose line in the list contains TEXT")
    parser.add_argument("--jobs", metavar="N", type=int, default=2, choices=range(1, 17), help="how many at a time (2)")
    arguments = parser.parse_args()
    with copied_sources(ROOT) as snapshot:  # the working tree may change meanwhile
        mutants = [mutant for mutant in find_mutants(snapshot) if arguments.only in str(mutant)]
        if not mutants:
            parser.error(f"no mutant contains {arguments.only!r}")
        if arguments.list:
            for mutant in mutants:
                console.print(str(mutant))
            return 0
        if reason := failing_without_mutant(snapshot):
            console.print(f"The tests must pass before anything is removed.\n{reason}")
            return 2
        results = []
        for result in judge_all(snapshot, mutants, arguments.jobs):
            console.print(str(result))
            results.append(result)
        return report(results)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
