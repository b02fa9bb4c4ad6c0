"""Evaluation of the guards and effects of the log's table on what its walker knows."""

import ast
from collections.abc import Mapping
from functools import cache
from types import CodeType
from typing import Any

from tests.model.log.steps import TABLE
from tests.model.log.table import CONSTANTS

State = dict[str, Any]


class _Each(ast.NodeTransformer):
    """Turn `each(c)` into `all(c for i in ORDERS)`."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if ast.unparse(node.func) != "each":
            return self.generic_visit(node)
        return ast.parse(f"all(({ast.unparse(node.args[0])}) for i in ORDERS)", mode="eval").body


@cache
def _compiled(text: str, mode: str) -> CodeType:
    tree = ast.fix_missing_locations(_Each().visit(ast.parse(text, mode=mode)))
    return compile(tree, "the table of the log", mode)


def holds(text: str, state: Mapping[str, Any]) -> bool:
    return bool(eval(_compiled(text, "eval"), {**CONSTANTS, **state}))  # noqa: S307 - the table's own expressions


def refusing(name: str, state: Mapping[str, Any], *, facts: tuple[str, ...] = ()) -> list[str]:
    """Return the names of the step's guards, and of these facts, that do not hold."""
    step = TABLE[name]
    guards = {**{fact: step.facts[fact] for fact in facts}, **step.guards}
    return [guard for guard, text in guards.items() if not holds(text, state)]


def apply(name: str, state: Mapping[str, Any]) -> None:
    """Change the state as the step does."""
    exec(_compiled(TABLE[name].then, "exec"), {**CONSTANTS, **state})  # noqa: S102 - the table's own effects
