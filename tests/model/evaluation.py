"""Evaluation of the table's guards and effects on what the walker knows."""

from collections.abc import Mapping
from functools import cache
from types import CodeType, SimpleNamespace
from typing import Any

from tests.model.knowledge import NO_STOCK, KnownOrder, Line
from tests.model.steps import TABLE, VARIABLES

WITNESSES = tuple(name[2:] for name in VARIABLES if name.startswith("g."))


def state_of(
    constants: Mapping[str, int], order: KnownOrder, my: Mapping[str, Any], me: Any, line: Line = NO_STOCK
) -> dict[str, Any]:
    """Return the names of the table's expressions, with copies of what its effects change."""
    stored = SimpleNamespace(**(order.stored or {}), paid=order.paid, due=0, after=0)
    return {
        **constants,
        "QUANTITY": line.quantity,
        "o": stored,
        "my": SimpleNamespace(**my),
        "me": me,
        "p": order.provider,
        "q": SimpleNamespace(visible=1, flight=1, postponed=0, receives=my.get("receives", 0)),
        "b": SimpleNamespace(open=0),
        "s": SimpleNamespace(units=list(line.before)),
        "r": SimpleNamespace(key=0, adjusted=0),
        "g": SimpleNamespace(**dict.fromkeys(WITNESSES, 0)),
        "refresh": nothing, "copy": nothing, "placed": nothing, "increase": nothing,
    }  # fmt: skip


def nothing(*_: object) -> None:
    """Stand for an effect on the memory of an actor."""


@cache
def guards_of(name: str, *, facts: bool) -> list[CodeType]:
    """Return the step's guards, compiled; with its facts if the walker knows them."""
    step = TABLE[name]
    texts = [*(text for fact, text in step.facts.items() if facts and fact != "bounded"), *step.guards.values()]
    return [compile(text, name, "eval") for text in texts]


def may_happen(name: str, state: dict[str, Any], *, facts: bool = True) -> bool:
    """Return whether the step's guards hold on a state, and its facts if the walker knows them."""
    return all(bool(eval(code, state)) for code in guards_of(name, facts=facts))  # noqa: S307 - the table's own expressions


@cache
def effects_of(name: str) -> CodeType:
    return compile(TABLE[name].then, name, "exec")
