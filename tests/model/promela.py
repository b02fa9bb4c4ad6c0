"""PROMELA of a model: the steps of the table that it contains, over the variables that it contains.

Every step is one alternative in the loop of its actor, and atomic. Three abstractions keep the number of states finite:

- `o.fence == my.fence` is a bit of each actor. Every increase of the fence clears it, and every copy sets it.
- The owner of a lease is the number of an actor. When that actor begins another attempt, the owner becomes FORMER.
- The counted increases of a stock shard are a bit of each reader: none since it last read the shard.
"""

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.model.steps import TABLE, UNCHANGED, VARIABLES
from tests.model.table import BACK_OFF, CONSTANTS, IDLE, READ, SEND, SETTLE, SHORT, Guards, Step, Variable

OPERATORS: Mapping[type, str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Add: "+", ast.Sub: "-",
    ast.FloorDiv: "/",    ast.And: "&&", ast.Or: "||",
}  # fmt: skip
SAME_FENCE = ast.dump(ast.parse(UNCHANGED["same fence"], mode="eval").body)
ENDS = (IDLE, SETTLE, BACK_OFF)
"""Positions at which an actor's attempt has ended."""

EMPTY = 4
"""Lines of a process without a step."""

SETUP = """c_decl {
static char removed[512], taken[512]; static int checked;
static void report(void) { int i; for (i = 0; i < 512; i++) if (taken[i]) printf("taken %d\\n", i); }
static void __attribute__((constructor)) chosen(void) {
  atexit(report);
  char *list = getenv("REMOVED"), *number = getenv("CHECKED");
  checked = number ? atoi(number) : -1;
  while (list && *list) { removed[strtol(list, &list, 10)] = 1; if (*list == ',') list++; }
}
}
#define off(n) c_expr { removed[n] }
#define on(n) c_expr { checked < 0 || checked == n }"""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A part of the table that is checked alone.

    Variables that are not among `variables` keep their initial value, or that of `fixed`. `actors` has the number of
    actors of each sort that has a memory. `faults` bounds the faults; a fault without a bound may happen any number of
    times, and the `mixed` ones share the bound of "fault". `same` merges positions of a sort of actor that do not
    differ in the model. `initial` has alternative initial states, `always` the properties of every state, `again` those
    that must hold again and again under weak fairness.
    """

    name: str
    steps: frozenset[str]
    variables: frozenset[str]
    actors: Mapping[str, int]
    constants: Mapping[str, int | str]
    always: Mapping[str, str]
    again: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)
    mixed: frozenset[str] = frozenset()
    fixed: Mapping[str, int] = field(default_factory=dict)
    same: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    initial: tuple[str, ...] = ()
    orders: int = 1

    @property
    def table(self) -> list[Step]:
        return [step for name, step in TABLE.items() if name in self.steps]

    @property
    def known(self) -> Mapping[str, Variable]:
        """Return the variables of the table, of which the model has some."""
        return VARIABLES

    def translator(self) -> "Translator":
        return Translator(self)


Guard = tuple[str, str]
"""Name and expression. Steps that share both share the guard."""


def guards_of(model: Model) -> list[Guard]:
    """Return the guards that can be removed, in the order of the table: shared ones, then whole conditions by step."""
    shared = dict.fromkeys(guard for step in model.table for guard in step.guards.items())
    return [*shared, *((f"the condition of {step.name}", "") for step in model.table if step.condition)]


class Translator:
    """Translation of one model. A `me` is the number of the actor, or the name of the parameter that has it."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.known = model.known
        self.guards = {guard: number for number, guard in enumerate(guards_of(model))}
        self.counts = {sort: count for sort, count in model.actors.items() if count}
        self.alternatives: list[str] = []
        """Steps by the number under which a search reports that it took them."""
        self.memories = sum(self.counts.values())
        self.copied = [name for name, each in self.known.items() if each.copied and name in model.variables]

    def text(self) -> str:
        lines = [f"/* {self.model.name}: generated from tests/model/steps.py */", SETUP, *self._declarations()]
        lines += self._inlines()
        processes = {sort: list(self._process(sort)) for sort in dict.fromkeys(step.by for step in self.model.table)}
        sorts = [sort for sort, process in processes.items() if len(process) > EMPTY]
        for sort in sorts:
            lines += processes[sort]
        lines += self._init(sorts)
        checks = "".join(
            f"\n:: started && on({number}) && !({self.expression(text)})"
            f" -> assert(started == {number + 2}) /* {name} */"
            for number, (name, text) in enumerate(self.model.always.items())
        )
        lines += [f"never always {{ do{checks}\n:: else\nod }}"] * bool(checks)
        lines += [
            f"ltl again{number} {{ [] <> ({self.expression(text)}) }}"
            for number, text in enumerate(self.model.again.values())
        ]
        return "\n".join(lines) + "\n"

    def expression(self, text: str) -> str:
        return self._of(ast.parse(text, mode="eval").body)

    def effects(self, text: str) -> list[str]:
        return [statement for node in ast.parse(text).body for statement in self._effect(node)]

    def _of(self, node: ast.expr) -> str:  # noqa: C901 - one case for each kind of expression
        if ast.dump(node) == SAME_FENCE:
            return "my_fresh[me]" if "o.fence" in self.model.variables else "true"
        match node:
            case ast.Constant():
                return str(int(node.value))  # type: ignore[arg-type] # the table has integers and truth values only
            case ast.Name():
                value = self.model.constants.get(node.id, CONSTANTS.get(node.id, node.id))
                return value if value == node.id else self.expression(str(value))
            case ast.Attribute() | ast.Subscript():
                return self._variable(node)
            case ast.BoolOp():
                return "(" + f" {OPERATORS[type(node.op)]} ".join(map(self._of, node.values)) + ")"
            case ast.UnaryOp(op=ast.Not()):
                return f"!({self._of(node.operand)})"
            case ast.Compare():
                return f"({self._of(node.left)} {OPERATORS[type(node.ops[0])]} {self._of(node.comparators[0])})"
            case ast.BinOp():
                return f"({self._of(node.left)} {OPERATORS[type(node.op)]} {self._of(node.right)})"
            case ast.Call(func=ast.Name(id="nobody"), args=[condition]):
                return self._of_nobody(condition)
            case ast.IfExp():
                return f"({self._of(node.test)} -> {self._of(node.body)} : {self._of(node.orelse)})"
        raise ValueError(f"no PROMELA for {ast.unparse(node)}")

    def _of_nobody(self, condition: ast.expr) -> str:
        """Return the expression that is true if the condition holds in no actor's memory."""
        of_me = self._of(condition)
        return "!(" + " || ".join(of_me.replace("[me]", f"[{actor}]") for actor in range(self.memories)) + ")"

    def _variable(self, node: ast.expr) -> str:
        index, owner = None, node
        if isinstance(node, ast.Subscript):
            index, owner = self._of(node.slice), node.value
        name = ast.unparse(owner)
        space, _, attribute = name.partition(".")
        place: str | None
        stored = f"o.{attribute}" if space == "my" and name not in self.known else name
        if stored not in self.model.variables:
            return str(self.model.fixed.get(stored, self.known[stored].initial))
        if space == "my":
            place = "me" if index is None else f"me * {self.known[stored].size} + {index}"
        elif space == "o":
            place = (index or "order") if self.model.orders > 1 else None
        else:
            place = index
        return f"{space}_{attribute}" + ("" if place is None else f"[{place}]")

    def _effect(self, node: ast.stmt) -> list[str]:
        match node:
            case ast.Expr(value=ast.Call(func=ast.Name(id=name), args=args)):
                return [f"{name}({', '.join(['me', *map(self._of, args)])})"]
            case ast.AugAssign(target=ast.Attribute() as target) if ast.unparse(target) == "o.fence":
                return ["outdate(me)"] if "o.fence" in self.model.variables else []
            case ast.AugAssign(target=target, op=op, value=value) if self._is_known(target):
                return [f"{self._of(target)} = {self._of(target)} {OPERATORS[type(op)]} {self._of(value)}"]
            case ast.Assign(targets=[target], value=value) if self._is_known(target):
                return [f"{self._of(target)} = {self._of(value)}"]
        return []

    def _is_known(self, target: ast.expr) -> bool:
        owner = target.value if isinstance(target, ast.Subscript) else target
        return ast.unparse(owner) in self.model.variables

    def _declarations(self) -> Iterable[str]:
        for name in sorted(self.model.variables):
            variable, (space, _, attribute) = self.known[name], name.partition(".")
            size = variable.size
            if space == "my":
                size *= self.memories
            elif space == "o":
                size = self.model.orders
            initial = self.model.fixed.get(name, variable.initial)
            yield f"byte {space}_{attribute}" + (f"[{size}]" if size > 1 or space == "my" else "") + f" = {initial};"
        for name in self.copied:
            if name != "o.fence":
                yield f"byte my_{name[2:]}[{self.memories}];"
        yield f"bit my_fresh[{self.memories}];"
        yield "byte started = 0;"
        for fault, bound in self.model.faults.items():
            if bound:
                yield f"byte left_{fault} = {bound};"

    def _inlines(self) -> Iterable[str]:
        def inline(name: str, *statements: str) -> str:
            return f"inline {name} {{ {'; '.join([*statements, 'skip'])} }}"

        initials = [
            f"my_{name[2:]}[me] = {self.known[name].initial if name != 'o.status' else 1}"
            for name in self.copied
            if name != "o.fence"
        ]
        own = [name for name in self.known if name.startswith("my.") and name in self.model.variables - {"my.pc"}]
        kept = {"my.seen", "my.same", "my.cursor", "my.again", "my.even", "my.tried", "my.move", "my.was_short"}
        zero = [
            f"my_{name[3:]}[me * {size} + {number}] = 0"
            for name in own
            for size in [self.known[name].size]
            for number in range(size)
        ]
        forget = [f"my_{name[2:]}[me] = 0" for name in self.copied if name != "o.fence"]
        created = ["my_created[me] = (my_payment[me] == my_created[me] -> my_created[me] : 0)"] * ("my.created" in own)
        results = [f"my_{name[3:]}[me] = 0" for name in own if name not in kept | {"my.created"}]
        for sort in self.counts:
            copies = [f"my_{name[2:]}[me] = {self.expression(name)}" for name in self._copied_by(sort)]
            yield inline(f"copy_{sort}(me)", *copies, "my_fresh[me] = 1")
        yield inline("refresh(me)", "copy_worker(me)", *created, *results)
        yield inline("clear(me)", *zero, *forget, "my_fresh[me] = 0")
        yield inline("forget(me)", *results, *forget, "my_fresh[me] = 0")
        yield inline("placed(me)", *initials, f"my_fresh[me] = ({self.expression('o.status')} == 1)")
        owners = [
            f"o_owner{place} = (o_owner{place} == me -> {CONSTANTS['FORMER']} : o_owner{place})"
            for place in ([""] if self.model.orders == 1 else [f"[{each}]" for each in range(self.model.orders)])
        ] * ("o.owner" in self.model.variables)
        former = [
            f"my_owner[{each}] = (my_owner[{each}] == me -> {CONSTANTS['FORMER']} : my_owner[{each}])"
            for each in range(self.memories)
        ] * ("o.owner" in self.model.variables)
        yield inline("disown(me)", *owners, *former)
        of_order = f"{{0}} % {self.model.orders} == order" if self.model.orders > 1 else "true"
        yield inline(
            "outdate(me)",
            *(f"my_fresh[{each}] = ({of_order.format(each)} -> 0 : my_fresh[{each}])" for each in range(self.memories)),
        )
        if "my.same" in own:
            size = self.known["my.same"].size
            yield inline(
                "increase(me, shard, grows)",
                *(
                    f"my_same[{at} + shard] = (grows -> 0 : my_same[{at} + shard])"
                    for at in range(0, size * self.memories, size)
                ),
            )
        else:
            yield inline("increase(me, shard, grows)")

    def _copied_by(self, sort: str) -> list[str]:
        """Return the variables of an order that actors of this sort use of their copies."""
        steps = [step for step in self.model.table if step.by == sort]
        texts = " ".join(text for step in steps for text in (step.then, *step.facts.values(), *step.guards.values()))
        return [name for name in self.copied if name != "o.fence" and re.search(rf"\bmy\.{name[2:]}\b", texts)]

    def _process(self, sort: str) -> Iterable[str]:
        has_memory = sort in self.counts
        yield f"proctype {sort}(byte {'me' if has_memory else 'order'}) {{"
        yield f"byte order = me % {self.model.orders};" if has_memory else "byte me = 0;"
        yield "end: do"
        for step in self.model.table:
            if step.by == sort:
                yield from self._alternatives(step, has_memory=has_memory)
        yield "od }"

    def _alternatives(self, step: Step, *, has_memory: bool) -> Iterable[str]:
        fault = "fault" if step.fault in self.model.mixed else step.fault
        bound = self.model.faults.get(fault)
        if bound == 0:
            return
        same = self.model.same.get(step.by, {})
        places = dict.fromkeys(same.get(at, at) for at in (step.at if isinstance(step.at, tuple) else (step.at,)))
        to, otherwise = same.get(step.to, step.to), same.get(step.otherwise, step.otherwise)
        enabled = [f"({' || '.join(f'my_pc[me] == {place}' for place in places)})"] if has_memory else []
        enabled += [f"left_{fault} > 0"] if bound else []
        enabled += [self.expression(text) for text in step.facts.values()] + self._all(step.when)
        condition = self._all(step.condition)
        if condition:
            number = self.guards[f"the condition of {step.name}", ""]
            condition = [f"(off({number}) || ({' && '.join(condition)}))"]
        stock = self._all(step.stock)
        effects = (
            [text.replace("copy(", f"copy_{step.by}(") for text in self.effects(step.then)]
            + self._shortages(step)
            + ([f"left_{fault}--"] if bound else [])
        )
        if has_memory:
            if not effects and [*places] == [to]:
                return
            effects += [*self._left(step.by, step.to), *self._sending(step.at, step.to), f"my_pc[me] = {to}"]
        yield self._alternative([*enabled, *condition, *stock], effects, step.name)
        if has_memory and condition and (step.at != step.otherwise or step.otherwise != IDLE):
            failed = [*self._left(step.by, step.otherwise), *self._sending(step.at, step.otherwise)]
            failed += [f"my_pc[me] = {otherwise}"]
            yield self._alternative([*enabled, f"!({' && '.join(condition)})"], failed, f"{step.name} fails")
        if stock and "begin_scan" in self.model.steps:
            short = [f"my_pc[me] = {SHORT}"]
            yield self._alternative([*enabled, *condition, f"!({' && '.join(stock)})"], short, f"{step.name} is short")

    def _shortages(self, step: Step) -> list[str]:
        """Return the statements that note which actors have seen too little stock."""
        if "s.units" not in step.then or "my.was_short" not in self.model.variables:
            return []
        little = self.expression("s.units[0] + s.units[1] < QUANTITY")
        return [f"my_was_short[{each}] = ({little} -> 1 : my_was_short[{each}])" for each in range(self.memories)]

    def _sending(self, at: object, to: int) -> list[str]:
        """Return the statement that counts the actors which are about to send a message."""
        change = (to == SEND) - (at == SEND)
        return [f"q_sending = q_sending + {change}"] if change and "q.sending" in self.model.variables else []

    @staticmethod
    def _left(sort: str, to: int) -> list[str]:
        """Return the statements that forget what the actor no longer needs at its next position."""
        if to in ENDS:
            return ["clear(me)", *(["disown(me)"] * (sort == "worker"))]
        return ["forget(me)"] * (to == READ)

    def _alternative(self, conditions: list[str], effects: list[str], comment: str) -> str:
        taken = f"c_code {{ taken[{len(self.alternatives)}] = 1; }}"
        self.alternatives.append(comment)
        return f":: d_step {{ {' && '.join(conditions) or 'true'} -> {'; '.join([*effects, taken])} }} /* {comment} */"

    def _all(self, guards: Guards) -> list[str]:
        return [f"(off({self.guards[guard]}) || {self.expression(guard[1])})" for guard in guards.items()]

    def _init(self, sorts: Iterable[str]) -> Iterable[str]:
        yield "init { atomic {"
        if self.model.initial:
            starts = ["; ".join(self.effects(text)) for text in self.model.initial]
            yield "if " + " ".join(f":: {start}" for start in starts) + " fi;"
        number = 0
        runs = []
        positions = [
            self.model.same.get(sort, {}).get(IDLE, IDLE) for sort, count in self.counts.items() for _ in range(count)
        ]
        yield " ".join(f"my_pc[{actor}] = {position};" for actor, position in enumerate(positions) if position != IDLE)
        for sort, count in self.counts.items():
            runs += [f"run {sort}({each})" for each in range(number, number + count)]
            number += count
        for sort in sorts:
            if sort not in self.counts:
                of_order = any(
                    "o." in text for step in self.model.table if step.by == sort for text in step.facts.values()
                )
                runs += [f"run {sort}({order})" for order in range(self.model.orders if of_order else 1)]
        yield "; ".join([*runs, "started = 1"]) + " } }"
