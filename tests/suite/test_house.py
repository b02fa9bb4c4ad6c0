"""Layout of the sources, computed from the sources themselves."""

import ast
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from order_shared.domain.order.messages import LineData
from order_shared.domain.order.models import LINE_FIELDS
from order_shared.naming import SERVICE_NAMES

ROOT = Path(__file__).parents[2]
FOLDERS = ("cli", "clients", "devtools", "infra", "operations", "services", "shared")
DISTRIBUTIONS = (
    "cli",
    "clients/python",
    "devtools/devstack",
    "devtools/fake-ecs",
    "devtools/setup",
    "infra",
    "operations",
    *(f"services/{name}" for name in SERVICE_NAMES),
    "shared",
)


def tracked() -> Iterator[Path]:
    """Yield the project's Python files, by git's list."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.split():
        path = ROOT / name
        if path.exists():
            yield path


def sources() -> Iterator[Path]:
    return (path for path in tracked() if path.relative_to(ROOT).parts[0] in FOLDERS)


def dataclasses_in(tree: ast.AST) -> Iterator[tuple[ast.ClassDef, str]]:
    """Yield each dataclass with the text of its decorator."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from ((node, text) for text in map(ast.unparse, node.decorator_list) if "dataclass" in text)


def positional_fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Yield name and type of each field that may be given by its position."""
    for part in node.body:
        if not isinstance(part, ast.AnnAssign) or not isinstance(part.target, ast.Name):
            continue
        if ast.unparse(part.annotation) == "KW_ONLY":
            return
        if part.value is None or "kw_only=True" not in ast.unparse(part.value):
            yield part.target.id, ast.unparse(part.annotation)


def swappable(text: str) -> list[str]:
    """Return the neighbouring fields of one type that could be swapped without an error."""
    return [
        f"{node.name}: {first} and {second}"
        for node, decorator in dataclasses_in(ast.parse(text))
        if "kw_only=True" not in decorator
        for (first, one), (second, other) in pairwise(positional_fields(node))
        if one == other
    ]


def test_no_two_neighbouring_fields_of_one_type_are_positional() -> None:
    found = [f"{path.relative_to(ROOT)}: {fault}" for path in sources() for fault in swappable(path.read_text())]
    assert found == []


def test_swappable_fields_are_found() -> None:
    plain = "@dataclass(frozen=True)\nclass A:\n    a: str\n    b: str\n    c: int\n"
    assert swappable(plain) == ["A: a and b"]
    assert swappable(plain.replace("frozen=True", "kw_only=True")) == []
    assert swappable(plain.replace("    b:", "    _: KW_ONLY\n    b:")) == []


def test_a_message_has_every_field_of_a_line() -> None:
    assert tuple(LineData.model_fields) == LINE_FIELDS


def test_every_folder_of_tests_is_run_by_make_test() -> None:
    paths = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["testpaths"]
    names = [path.relative_to(ROOT).parts for path in tracked() if path.name.startswith("test_")]
    assert {"/".join(parts[:2]) for parts in names if parts[0] == "tests"} == {*paths}


def test_no_distribution_holds_more_than_a_quarter_of_the_code() -> None:
    lines: Counter[str] = Counter()
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        for distribution in DISTRIBUTIONS:
            if name.startswith(f"{distribution}/"):
                lines[distribution] += path.read_text(encoding="utf-8").count("\n")
    assert lines.keys() == set(DISTRIBUTIONS)
    (largest, most), *_ = lines.most_common(1)
    assert most <= lines.total() / 4, f"{largest} has {most} of {lines.total()} lines"
