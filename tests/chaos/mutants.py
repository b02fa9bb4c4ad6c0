"""Removes each condition of the platform's conditional writes in turn; some test must fail for each.

The conditions are found in the sources, so none can be forgotten: each `F(...).equals(...)` and its like, also of a
constant that holds an `F(...)` or several, and each use of a constant that holds a condition. One is removed by putting
in its place a condition that always holds; under `|`, where that loosens the whole, also one that never holds.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path

from aiodynamo.expressions import F, Size

from tests.chaos.mutation import Mutant, Suite, run, source_folders

TESTED = (
    "order_repository",
    "inventory_repository",
    "parked_orders",
    "migrate",
    "migrate_keys",
    "event_log",
    "event_repair",
    "webhook_endpoints",
    "webhook_leases",
)
ENGINE = "not fake and not dynamodb-local"
"""The fake has no conditions; the embedded AWS needs no Java."""

SUITE = Suite(("-k", ENGINE, *(f"tests/integration/test_{name}.py" for name in TESTED)))
CONDITION_METHODS = frozenset(
    name
    for receiver in (F, Size)
    for name, method in vars(receiver).items()
    if getattr(method, "__annotations__", {}).get("return") == "Condition"
)
ALWAYS = '(__import__("aiodynamo.expressions").expressions.F("never_stored").does_not_exist())'
NEVER = '(__import__("aiodynamo.expressions").expressions.F("never_stored").exists())'


def find_mutants(root: Path) -> list[Mutant]:
    """All mutants of the sources under `root`."""
    sources = {path: (root / path).read_bytes() for folder in source_folders(root) for path in _modules(root, folder)}
    trees = {path: ast.parse(source) for path, source in sources.items()}
    constants = condition_constants(trees.values())
    return [mutant for path, tree in trees.items() for mutant in _mutants_of(path, sources[path], tree, constants)]


def _modules(root: Path, folder: Path) -> list[Path]:
    return sorted(path.relative_to(root) for path in (root / folder).rglob("*.py"))


def condition_constants(modules: Iterable[ast.Module]) -> set[str]:
    """The names of module constants that hold a condition, directly or by way of another, and of what returns one.

    With a dot behind it, the name of a constant that holds attributes: `AVAILABLE.`.
    """
    modules = list(modules)
    values = {name: value for module in modules for name, value in module_constants(module)}
    names = condition_functions(modules) | {f"{name}." for name, value in values.items() if holds_attributes(value)}
    while more := {name for name, value in values.items() if name not in names and any(_conditions(value, names))}:
        names |= more
    return names


def module_constants(module: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for statement in module.body:
        for target, value in _assignments(statement):
            if isinstance(target, ast.Name):
                yield target.id, value


def holds_attributes(value: ast.expr) -> bool:
    """`F(...)`, or a collection of such."""
    match value:
        case ast.Call(func=ast.Name(id="F")):
            return True
        case ast.Dict(values=held) | ast.Tuple(elts=held) | ast.List(elts=held):
            return bool(held) and all(map(holds_attributes, held))
        case ast.DictComp(value=held):
            return holds_attributes(held)
    return False


def condition_functions(modules: Iterable[ast.Module]) -> set[str]:
    """What says that it returns a condition, as it is called: `known()`."""
    functions = (node for module in modules for node in ast.walk(module) if isinstance(node, ast.FunctionDef))
    return {f"{node.name}()" for node in functions if ast.unparse(node.returns or ast.Constant(None)) == "Condition"}


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
            holds = "always" if replacement == ALWAYS else "never"
            yield Mutant(path, node.lineno, start, end, f"{holds:<6}  {condition}", replacement)


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
            return (method in CONDITION_METHODS and _is_attribute(receiver, constants)) or f"{method}()" in constants
        case ast.Call(func=ast.Name(id=name)):
            return f"{name}()" in constants
        case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name, ctx=ast.Load()):
            return name in constants
        case ast.UnaryOp(op=ast.Invert(), operand=operand):
            return any(_conditions(operand, constants))
    return False


def _is_attribute(node: ast.expr, constants: Set[str]) -> bool:
    """`F(...)`, `F(...).size()`, a constant. A `RangeKey(...)` has the same methods, and is no condition of a write."""
    match node:
        case ast.Call(func=ast.Name(id="F")):
            return True
        case ast.Call(func=ast.Attribute(value=receiver)):
            return _is_attribute(receiver, constants)
        case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
            return f"{name}." in constants
    return False


if __name__ == "__main__":
    run("tests.chaos.mutants", __doc__ or "", find_mutants, SUITE)
