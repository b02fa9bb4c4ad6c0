"""What the sources of the programs that are shipped, or run by developers, call and mention."""

import ast
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[2]
FOLDERS = ("packages", "shared", "services", "operations", "clients", "cli", "devtools", "infra", "observability")

Sources = Mapping[str, ast.Module]


@dataclass(frozen=True)
class Call:
    """A call: the file, the line, the function around it, and the dotted name with the full name of an imported one."""

    path: str
    line: int
    function: str
    name: str
    keywords: frozenset[str]

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line} {self.name}"


@cache
def shipped() -> Sources:
    """Return the syntax tree of each source by its path."""
    listed = subprocess.run(["git", "ls-files", *FOLDERS], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {
        name: ast.parse((ROOT / name).read_text(encoding="utf-8"))
        for name in listed.splitlines()
        if name.endswith(".py") and (ROOT / name).exists()
    }


def calls(sources: Sources) -> Iterator[Call]:
    for path, tree in sources.items():
        names = imported(tree)
        for function, node in _within(tree, ""):
            if isinstance(node, ast.Call):
                keywords = frozenset(keyword.arg or "**" for keyword in node.keywords)
                yield Call(path, node.lineno, function, dotted(node.func, names), keywords)


def classes(sources: Sources) -> Iterator[tuple[str, str, set[str]]]:
    """Yield the file, the name and the bases of each class."""
    for path, tree in sources.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                yield path, node.name, {dotted(base).rpartition(".")[2] for base in node.bases}


def mentions(sources: Sources, module: str) -> Iterator[tuple[str, str]]:
    """Yield the file and the name of each attribute of a module, and of each name that is imported from it."""
    for path, tree in sources.items():
        names = imported(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and dotted(node.value, names) == module:
                yield path, node.attr
            elif isinstance(node, ast.ImportFrom) and node.module == module:
                yield from ((path, each.name) for each in node.names)


def imported(tree: ast.Module) -> dict[str, str]:
    """Return the full name of each name that the file imports, whatever it calls it."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {each.asname: each.name for each in node.names if each.asname}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return names


def dotted(node: ast.expr, names: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return `a.b.c` for such an expression; what is called before the last dot may be anything."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    return f"{dotted(node.value, names)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def _within(node: ast.AST, function: str) -> Iterable[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        named = f"{function}.{child.name}".strip(".") if isinstance(child, _NAMED) else function
        yield named, child
        yield from _within(child, named)


_NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
