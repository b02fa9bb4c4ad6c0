"""Change the services in one place at a time; a seed of the simulation must find each change: `make sim-mutants`.

The places are found in the sources, so none can be forgotten:

    every condition of a conditional write           removed, as in `tests.chaos.mutants`
    every `if`, also of an expression                never taken, and always taken
    every operand of `and` and `or`                  removed
    every `raise`                                    dropped
    every call whose result nobody uses              skipped, except logs and metrics
    every `except`                                   removed: the error goes on

Mutants that break no promise are listed with their reasons in EXEMPT.
"""

import argparse
import ast
import importlib
import multiprocessing
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.machinery import SourceFileLoader
from itertools import accumulate
from pathlib import Path
from types import CodeType

from tests.chaos import mutants as conditions
from tests.chaos.mutation import ROOT, Mutant, Outcome, Result, console, report
from tests.simulation.exempt import EXEMPT, NOT_SIMULATED

SEEDS = 50
OTHERS_PACKAGES = (
    "aiodynamo.operations",
    "aiohttp.web",
    "botocore.retries.quota",
    "concurrent.futures.process",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "fastapi.openapi.utils",
    "httptools",
    "httpx2",
    "iso4217",
    "itsdangerous",
    "jwt",
    "prometheus_client",
    "pydantic_settings",
    "stripe",
    "stripe._payment_intent",
    "structlog",
    "unittest.mock",
)
"""Packages of others, imported once for all mutants."""
NOTHING = Mutant(Path(), 0, 0, 0, "nothing changed", "")

STORAGE = ("orders", "order_items", "inventory", "idempotency_records", "item_schema", "append")
PROCESSOR = Path("services/order-processor/src/order_processor")
MESSAGING = Path("shared/src/order_shared/messaging")
EVENT_LOG = Path("shared/src/order_shared/storage/event_log")
MODULES = (
    PROCESSOR / "order/flows.py",
    PROCESSOR / "handlers.py",
    PROCESSOR / "sweeper.py",
    MESSAGING / "consumer/consumer.py",
    MESSAGING / "consumer/heartbeat.py",
    MESSAGING / "consumer/settlement.py",
    MESSAGING / "publisher.py",
    Path("services/order-api/src/order_api/order/service.py"),
    Path("services/order-notifier/src/order_notifier/appender.py"),
    EVENT_LOG / "append.py",
    EVENT_LOG / "read.py",
)
OBSERVERS = re.compile(
    r"(await )?(log|self\.metrics|self\._metrics|context\.on_payment|self\._context\.on_)\b"
    r"|self\._on_handled|self\._on_appended|bind_"
)
"""Calls that only report."""


def find_mutants(root: Path) -> list[Mutant]:
    """Return all mutants except those that are exempt. Raises ValueError for an exemption that fits none."""
    found = every_mutant(root)
    names = {mutant.what for mutant in found}
    if stale := EXEMPT.keys() - names:
        raise ValueError(f"exempt, but there is no such mutant: {sorted(stale)}")
    return [mutant for mutant in found if mutant.what not in EXEMPT]


def every_mutant(root: Path) -> list[Mutant]:
    stored = [mutant for mutant in conditions.find_mutants(root) if mutant.path.stem in STORAGE]
    named = [_named(mutant, f"{mutant.path.stem}: {mutant.what}") for mutant in stored]
    return [*_numbered(named), *(mutant for path in MODULES for mutant in _numbered(_of_module(root, path)))]


def _numbered(mutants: Sequence[Mutant]) -> Iterator[Mutant]:
    """Give equal mutants of a function different names."""
    seen: dict[str, int] = {}
    for mutant in mutants:
        number = seen[mutant.what] = seen.get(mutant.what, 0) + 1
        yield mutant if number == 1 else _named(mutant, f"{mutant.what} #{number}")


def _named(mutant: Mutant, what: str) -> Mutant:
    return Mutant(mutant.path, mutant.line, mutant.start, mutant.end, what, mutant.replacement)


def _of_module(root: Path, path: Path) -> list[Mutant]:
    source = (root / path).read_bytes()
    module = _Module(path, source)
    return [mutant for name, function in functions(ast.parse(source)) for mutant in module.of_function(name, function)]


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Return the functions that are not within another one, by qualified name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from functions(node, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{node.name}", node


@dataclass(frozen=True)
class _Module:
    path: Path
    source: bytes

    def of_function(self, name: str, function: ast.AST) -> Iterator[Mutant]:
        if f"{self.path.stem}.{name}" in NOT_SIMULATED:
            return
        for node in ast.walk(function):
            for part, what, replacement in self._changes(node):
                start, end = self._span(part)
                text = f"{self.path.stem}.{name}: {what}  {self._text(part)}"
                yield Mutant(self.path, part.lineno, start, end, text, replacement)

    def _changes(self, node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str, str]]:
        match node:
            case ast.If(test=test) | ast.IfExp(test=test):
                yield test, "never", "(False)"
                yield test, "always", "(True)"
            case ast.BoolOp(op=op, values=values):
                for operand in values:
                    neutral = "(True)" if isinstance(op, ast.And) else "(False)"
                    yield operand, "without operand", neutral
            case ast.Raise():
                yield node, "dropped", "pass"
            case ast.Expr(value=ast.Await() | ast.Call() as call) if not OBSERVERS.match(self._text(call)):
                yield node, "skipped", "pass"
            case ast.ExceptHandler(body=[first, *_]) if not _only_raises(node):
                yield first, "except removed", "raise"

    def _text(self, node: ast.expr | ast.stmt) -> str:
        start, end = self._span(node)
        return " ".join(self.source[start:end].decode().split())[:90]

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        starts = _line_starts(self.source)
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        return starts[node.lineno - 1] + node.col_offset, end


@cache
def _line_starts(source: bytes) -> list[int]:
    """Return the offset of each line."""
    return [0, *accumulate(map(len, source.splitlines(keepends=True)))]


def _only_raises(handler: ast.ExceptHandler) -> bool:
    return isinstance(handler.body[0], ast.Raise) and handler.body[0].exc is None


def judge(mutant: Mutant | None, seeds: int = SEEDS) -> Result:
    """Import the services with the mutant, and play seeds up to one that finds it, in a process of its own."""
    began = time.monotonic()
    found: str | None
    try:
        if mutant is not None:
            _import_changed(mutant)
        campaign = importlib.import_module("tests.simulation.campaign")
        found = campaign.play_until_failure(campaign.themes_first(range(1, seeds + 1)))
    except Exception as error:  # noqa: BLE001 - the services cannot be imported with the change
        found = f"the import: {type(error).__name__}: {error}"
    outcome = Outcome.SURVIVED if found is None else Outcome.KILLED
    return Result(mutant or NOTHING, outcome, found or "", time.monotonic() - began)


def _import_changed(mutant: Mutant) -> None:
    """Let the module of the mutant be imported as changed."""
    get_code = SourceFileLoader.get_code
    path = str(ROOT / mutant.path)

    def get_changed(self: SourceFileLoader, fullname: str) -> CodeType | None:
        if self.path != path:
            return get_code(self, fullname)
        return compile(mutant.applied(Path(path).read_bytes()), path, "exec", dont_inherit=True)

    SourceFileLoader.get_code = get_changed  # type: ignore[assignment,method-assign] # in this process only


def judge_all(mutants: Sequence[Mutant | None], jobs: int, seeds: int) -> Iterator[Result]:
    """Judge each mutant in a process of its own, which has the packages of others and none of ours."""
    for name in OTHERS_PACKAGES:
        importlib.import_module(name)
    if ours := [name for name in sys.modules if name.partition(".")[0] in {"order_shared", "order_processor"}]:
        raise RuntimeError(f"imported before a mutant could be: {ours}")
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(partial(judge, seeds=seeds), mutants, chunksize=1)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--list", action="store_true", help="print the mutants and run nothing")
    parser.add_argument("--only", metavar="TEXT", default="", help="those whose line in the list contains TEXT")
    parser.add_argument("--jobs", metavar="N", type=int, default=2, help="how many at a time (2)")
    parser.add_argument("--seeds", metavar="N", type=int, default=SEEDS, help=f"how many seeds ({SEEDS})")
    arguments = parser.parse_args()
    found = [mutant for mutant in find_mutants(ROOT) if arguments.only in str(mutant)]
    if arguments.list:
        for mutant in found:
            console.print(str(mutant))
        return 0
    (unchanged,) = judge_all([None], 1, arguments.seeds)
    if unchanged.outcome is not Outcome.SURVIVED:
        console.print(f"The seeds must find nothing before anything is changed: {unchanged.detail}")
        return 2
    results = []
    for result in judge_all(found, arguments.jobs, arguments.seeds):
        console.print(str(result))
        results.append(result)
    console.print(f"exempt {len(EXEMPT)}, each with its reason in tests/simulation/exempt.py")
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
