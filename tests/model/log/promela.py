"""PROMELA of a model of the log."""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tests.model.log.steps import TABLE
from tests.model.log.table import CONSTANTS, IDLE, NEW, NUMBERS, RETRY, VARIABLES
from tests.model.promela import Model, Translator
from tests.model.table import Guards, Step, Variable


@dataclass(frozen=True, kw_only=True)
class LogModel(Model):
    """A part of the table of the log.

    `tracked` is the number of orders, `last` their last version, and `numbers` the last number of an event.
    """

    tracked: int = 1
    last: int = 2
    numbers: int = NUMBERS

    @property
    def table(self) -> list[Step]:
        return [step for name, step in TABLE.items() if name in self.steps]

    @property
    def known(self) -> Mapping[str, Variable]:
        return VARIABLES

    def translator(self) -> Translator:
        return LogTranslator(self)


class _Put(ast.NodeTransformer):
    """Replace a name by a number."""

    def __init__(self, name: str, number: int) -> None:
        self._name = name
        self._number = number

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(self._number) if node.id == self._name else node

    def visit_For(self, node: ast.For) -> ast.For:
        return node if ast.unparse(node.target) == self._name else self.generic_visit(node)  # type: ignore[return-value]

    def visit_Call(self, node: ast.Call) -> ast.expr:
        is_bound = ast.unparse(node.func) == "each" and self._name == "i"
        return node if is_bound else self.generic_visit(node)  # type: ignore[return-value]


def put(name: str, number: int, text: str) -> str:
    return ast.unparse(_Put(name, number).visit(ast.parse(text)))


def with_number(step: Step, name: str, number: int) -> Step:
    """Return the step of one order or number."""

    def guards(texts: Guards) -> Guards:
        return {key: put(name, number, text) for key, text in texts.items()}

    return replace(
        step,
        then=put(name, number, step.then),
        facts=guards(step.facts),
        when=guards(step.when),
        condition=guards(step.condition),
    )


def free_name(step: Step) -> str | None:
    """Return the name that a step is repeated for: `i` for orders, `n` for numbers of the log, `v` for versions."""
    texts = (step.then, *step.facts.values(), *step.guards.values())
    found = frozenset().union(*(_names(ast.parse(text)) for text in texts))
    return next((name for name in "inv" if name in found), None)


def _names(node: ast.AST) -> frozenset[str]:
    """Return the names in a text that no `for` and no `each` binds."""
    match node:
        case ast.Name(id=name):
            return frozenset({name})
        case ast.For(target=ast.Name(id=name), body=body):
            return frozenset().union(*map(_names, body)) - {name}
        case ast.Call(func=ast.Name(id="each"), args=args):
            return frozenset().union(*map(_names, args)) - {"i"}
    return frozenset().union(*map(_names, ast.iter_child_nodes(node)))


class LogTranslator(Translator):
    def __init__(self, model: LogModel) -> None:
        super().__init__(model)
        self._constants = {**CONSTANTS, "LAST": model.last, "NUMBERS": model.numbers, **model.constants}
        self._ranges = {"i": range(model.tracked), "n": range(1, model.numbers + 1), "v": range(1, model.last + 1)}

    def _of(self, node: ast.expr) -> str:
        match node:
            case ast.Name() if node.id in self._constants:
                return str(self._constants[node.id])
            case ast.Call(func=ast.Name(id="each"), args=[condition]):
                parts = [
                    self.expression(put("i", order, f"not my.has[i] or ({ast.unparse(condition)})"))
                    for order in self._ranges["i"]
                ]
                return f"({' && '.join(parts)})"
            case ast.Call(func=ast.Name(id="max"), args=[one, other]):
                first, second = self._of(one), self._of(other)
                if "0" in (first, second):
                    return second if first == "0" else first
                return f"({first} > {second} -> {first} : {second})"
        return super()._of(node)

    def _effect(self, node: ast.stmt) -> list[str]:
        if isinstance(node, ast.For) and isinstance(node.target, ast.Name):
            name = node.target.id
            return [
                statement
                for number in self._ranges[name]
                for each in node.body
                for statement in self.effects(put(name, number, ast.unparse(each)))
            ]
        return super()._effect(node)

    def _alternatives(self, step: Step, *, has_memory: bool) -> Iterable[str]:
        """Yield the alternatives of a step: for each order, number or version, if the step has a free name of one."""
        free = free_name(step)
        steps = [step] if free is None else [with_number(step, free, number) for number in self._ranges[free]]
        for each in steps:
            yield from super()._alternatives(each, has_memory=has_memory)

    def _all(self, guards: Mapping[str, str]) -> list[str]:
        return [f"(off({self._number_of(guard)}) || {self.expression(guard[1])})" for guard in guards.items()]

    def _number_of(self, guard: tuple[str, str]) -> int:
        """Return the number of a guard by its name: the expression of one order or number differs from the table's."""
        return next(number for (name, _), number in self.guards.items() if name == guard[0])

    def _declarations(self) -> Iterable[str]:
        for name in sorted(self.model.variables):
            space, _, attribute = name.partition(".")
            variable = self.known[name]
            size = variable.size * (self.memories if space == "my" else 1)
            initial = self.model.fixed.get(name, variable.initial)
            yield f"byte {space}_{attribute}" + (f"[{size}]" if size > 1 or space == "my" else "") + f" = {initial};"
        yield "byte started = 0;"
        for fault, bound in self.model.faults.items():
            if bound:
                yield f"byte left_{fault} = {bound};"

    def _inlines(self) -> Iterable[str]:
        own = [name for name in self.model.variables - {"my.pc"} if name.startswith("my.")]

        def cleared(*kept: str) -> str:
            return "; ".join(
                f"my_{name[3:]}[me * {size} + {number}] = 0"
                for name in sorted(own)
                if name not in kept
                for size in [self.known[name].size]
                for number in range(size)
            )

        yield f"inline clear(me) {{ {cleared('my.known') or 'skip'} }}"
        yield f"inline clear_all(me) {{ {cleared() or 'skip'} }}"
        yield f"inline read_again(me) {{ {cleared('my.has', 'my.version', 'my.known') or 'skip'} }}"

    def _init(self, sorts: Iterable[str]) -> Iterable[str]:
        """Let notifiers begin at NEW, if the model has that position."""
        first, *rest = super()._init(sorts)
        count = self.counts.get("notifier", 0) if "learn_epoch" in self.model.steps else 0
        yield first
        yield " ".join(f"my_pc[{notifier}] = {NEW};" for notifier in range(count))
        yield from rest

    @staticmethod
    def _left(by: str, to: int) -> list[str]:
        if to == NEW and by == "notifier":
            return ["clear_all(me)"]
        if to == IDLE:
            return ["clear(me)"]
        return ["read_again(me)"] if to == RETRY and by == "notifier" else []

    def _shortages(self, _step: Step) -> list[str]:
        return []

    def _sending(self, _at: object, _to: int) -> list[str]:
        return []
