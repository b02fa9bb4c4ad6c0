"""Conformance: walk a recorded history along the transition table, and refuse what the table does not allow.

An effect conforms if a step of the table explains it: the step's guards hold on the state before it, and its effects
lead to the recorded state after it. The walker knows the stored items, the provider's payments, and which host made
each effect. It does not see what a worker has read. Therefore a worker's copy may be any state in which the order was
stored so far, as far as the condition of the worker's own request allows; its lease may have expired; and it knows what
its host has learned of the order from the provider.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from types import CodeType, SimpleNamespace
from typing import Any

from order_shared.storage.order_items import VERSIONS
from tests.model.steps import TABLE, UNCHANGED, VARIABLES
from tests.model.table import CONSTANTS, NOBODY, SPOILED, Step

Json = Mapping[str, Any]

STATUSES = {"pending": 1, "reserved": 2, "confirmed": 3, "rejected": 4, "cancelled": 5}
UNDOS = {"reject": 1, "cancel": 2, "replace": 3}
STORED = tuple(name[2:] for name in VARIABLES if name.startswith("o.") and name not in {"o.due", "o.after", "o.paid"})
"""Variables of an order that its stored item shows."""


BY_PAYMENT = ("state", "differs", "declined", "refunded", "by_key", "saved", "spoiled", "spoiled_refund", "unanswered")
WRITERS = {"sweeper": "worker"}
"""Roles of the hosts by sort of actor, where they differ."""
WITNESSES = tuple(name[2:] for name in VARIABLES if name.startswith("g."))
BROKEN_BY = ("confirmed_late", "reopened", "asked_twice", "changed_ended", "changed_unparked", "parked_cancelled")
"""Witnesses that no step may set."""
CONTENDED = CONSTANTS["UNAVAILABLE"]
"""Result of the hidden step `contend`, which a worker may have taken at any time."""
CREATED = -1
"""Knowledge that a payment has been created; the other results are those of the table."""

ORDER_STEPS = [step for step in TABLE.values() if step.condition and "o." in step.then and step.name != "accept"]
WITHOUT_MOVES: Mapping[str, tuple[Step, ...]] = {
    "reserve_with_moves": (TABLE["reserve"],),
    "confirm_with_moves": (TABLE["confirm_unpaid"],),
}
"""Step that explains the lines of an order for which no units are moved."""
CALLS: Mapping[str, list[Step]] = {
    call: [TABLE[name] for name in [*names.split(), "provider_away"]]
    for call, names in {
        "create": "create_again create create_replayed create_mismatched create_spoiled create_declined",
        "retrieve": "retrieve",
        "confirm": "confirm_payment confirm_ended confirm_replayed confirm_declined confirm_spoiled confirm_unanswered",
        "cancel": "cancel_payment cancel_ended cancel_replayed cancel_spoiled",
        "refund": "refund refund_replayed refund_spoiled",
    }.items()
}


RESULTS: Mapping[tuple[str, str], frozenset[int]] = {
    (call, outcome): frozenset(CONSTANTS[name] for name in names.split())
    for call, outcomes in {
        "create": {"declined": "DECLINED", "spent": "SPENT_CREATE", "unavailable": "UNAVAILABLE"},
        "retrieve": {"open": "NOTHING DECLINED DIFFERS", "succeeded": "PAID DIFFERS_PAID", "cancelled": "GONE",
                     "unavailable": "UNAVAILABLE"},
        "confirm": {"succeeded": "PAID", "cancelled": "GONE", "declined": "DECLINED", "spent": "SPENT_CONFIRM",
                    "unavailable": "UNAVAILABLE"},
        "cancel": {"cancelled": "GONE", "succeeded": "PAID DIFFERS_PAID", "spent": "SPENT_UNDO",
                   "unavailable": "UNAVAILABLE"},
        "refund": {"refunded": "GONE", "spent": "SPENT_UNDO", "unavailable": "UNAVAILABLE"},
    }.items()
    for outcome, names in outcomes.items()
}  # fmt: skip
"""Results of the table's steps by call and outcome."""


class Refused(Exception):
    """An effect that no step of the table explains."""


@dataclass(frozen=True, kw_only=True)
class ItemWrite:
    """One item of a write, as plain values. `claimed` has what the write's own condition says of the item before.

    In `claimed`, a value of None means that the condition requires the attribute's absence.
    """

    table: str
    key: tuple[str, str]
    before: Json | None
    after: Json | None
    claimed: Json | None = None


@dataclass(frozen=True, kw_only=True)
class Write:
    """Items that one request wrote together, by a host."""

    by: str
    items: tuple[ItemWrite, ...]


@dataclass(frozen=True, kw_only=True)
class Call:
    """Effect of one provider call. `result` is the outcome's name; for `create` also the id of the new payment."""

    by: str
    call: str
    order: str
    payment: str | None
    attempts: Mapping[str, int]
    result: str
    created: str | None = None
    matches: bool = True
    declined: bool = False


@dataclass(frozen=True, kw_only=True)
class Message:
    """Effect on the queue: send, receive, delete, extend, postpone, give_back, dead_letter, duplicate."""

    by: str
    call: str
    message: str
    order: str
    receives: int = 0


@dataclass(frozen=True, kw_only=True)
class Response:
    """Response of the provider as a host received it, and what it may mean to the host, as results of the table.

    A history has these instead of calls if it knows single requests only: a gateway's call may consist of several.
    """

    by: str
    order: str
    payment: str | None
    results: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Kill:
    by: str


Event = Write | Call | Response | Message | Kill


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Values of the constants in the code that runs, and the hosts by role."""

    max_attempts: int
    defer_after: int
    overdue_sweeps: int
    outage_sweeps: int
    workers: str = "processor"
    """Prefix of the names of hosts that process orders."""
    operators: str = "operator"

    def role(self, host: str) -> str:
        """Return the sort of actor that writes orders from this host."""
        if host.startswith(self.workers):
            return "worker"
        return "operator" if host.startswith(self.operators) else "customer"


@dataclass(frozen=True)
class _Line:
    """Stock of one line of an order, as the table sees it: its shard, and all other shards together."""

    quantity: int
    before: tuple[int, int]
    after: tuple[int, int]
    increased: bool

    @property
    def moved(self) -> int:
        return self.before[1] - self.after[1]


NO_STOCK = _Line(0, (0, 0), (0, 0), increased=False)


@dataclass
class _Order:
    """What is known of one order. A copy is a mapping of the variables in STORED."""

    stored: dict[str, Any] | None = None
    paid: int = 0
    is_overlooked: bool = False
    versions: list[dict[str, Any]] = field(default_factory=list)
    payments: list[str] = field(default_factory=list)
    hosts: dict[str, str] = field(default_factory=dict)
    """Host by owner of a lease."""
    results: defaultdict[str, set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    """Results of provider calls by host, each with the number of its payment."""
    last: tuple[str, Json | None] | None = None
    """Writer and condition of the last write."""
    receives: Counter[str] = field(default_factory=Counter)
    """Receives of the message that a host received last."""
    provider: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(intents=0, away=0, **{name: defaultdict(int) for name in BY_PAYMENT})
    )

    def number(self, payment: str) -> int:
        """Return the number of a payment, in the order of their creation."""
        if payment not in self.payments:
            self.payments.append(payment)
        return self.payments.index(payment) + 1

    def is_repeated(self, host: str, item: ItemWrite) -> bool:
        """Return whether a write repeats the last one and changes nothing: its first response was lost."""
        return item.before is not None and item.before == item.after and self.last == (host, item.claimed)

    def memories(self, host: str, payment: int) -> Iterator[tuple[int, int]]:
        """Yield what a worker of the host may know: the payment it has created, and the result of its last call."""
        known = self.results[host]
        created = [0, *(number for number, result in known if result == CREATED)]
        results = [0, *(result for number, result in known if number == payment and result != CREATED)]
        yield from ((number, result) for number in created for result in results)

    def copy_of_provider(self) -> SimpleNamespace:
        arrays = {name: getattr(self.provider, name).copy() for name in BY_PAYMENT}
        return SimpleNamespace(intents=self.provider.intents, away=0, **arrays)


class Walker:
    """Walk of one history. `taken` counts the steps of the table that explain its effects."""

    def __init__(self, limits: Limits) -> None:
        self.taken: Counter[str] = Counter()
        self._limits = limits
        self._constants = {
            **CONSTANTS,
            "SHARD": 0,
            "QUOTA": 10**9,
            "MAX_ATTEMPTS": limits.max_attempts,
            "DEFER_AFTER": limits.defer_after,
            "OVERDUE_SWEEPS": limits.overdue_sweeps,
            "OUTAGE_SWEEPS": limits.outage_sweeps,
        }
        self._orders: defaultdict[str, _Order] = defaultdict(_Order)
        self._stock: defaultdict[str, dict[str, int]] = defaultdict(dict)

    def walk(self, events: Iterable[Event]) -> None:
        """Walk the events in their order. Raises Refused at the first one that the table does not allow."""
        for event in events:
            match event:
                case Write():
                    self._write(event)
                case Call():
                    self._call(event)
                case Response():
                    order = self._orders[event.order]
                    payment = order.number(event.payment) if event.payment else 0
                    order.results[event.by] |= {(payment, result) for result in event.results}
                case Message():
                    self._message(event)
                case Kill():
                    self.taken["crash"] += 1

    def overlook(self, order_id: str) -> None:
        """Accept the state that the order's next write finds: the order was changed without events, with its stock."""
        self._orders[order_id].is_overlooked = True
        self._stock.clear()

    # Writes

    def _write(self, write: Write) -> None:
        orders = [item for item in write.items if item.table == "orders"]
        stock = [item for item in write.items if item.key[1].startswith("stock#")]
        for item in stock:
            stored = self._stock[item.key[0]].get(item.key[1])
            if stored is not None and stored != units(item.before):
                raise Refused(f"the stock of {item.key} was changed unseen, from {stored}: {item}")
        if len(orders) == 1:
            self._write_order(write, orders[0], stock)
        elif orders:
            raise Refused(f"one request writes two orders: {write}")
        elif any(item.table == "inventory" for item in write.items):
            self._write_stock(write, stock)
        for item in stock:
            self._stock[item.key[0]][item.key[1]] = units(item.after)

    def _write_order(self, write: Write, item: ItemWrite, stock: list[ItemWrite]) -> None:
        if item.after is None:
            raise Refused(f"an order is deleted: {item}")
        order_id = item.after["order_id"]
        order = self._orders[order_id]
        before = order.stored if item.before is None else stored_form(item.before, order.number)
        if order.is_overlooked and before is not None:
            order.stored, order.is_overlooked = before, False
            order.versions.append(before)
        if before != order.stored:
            raise Refused(f"{order_id} was changed unseen, from {order.stored} to {before}")
        if _is_migration(item) or order.is_repeated(write.by, item):
            return
        order.last = (write.by, item.claimed)
        after = stored_form(item.after, order.number)
        if before is None:
            order.paid = int("payment_token" in item.after and total(item.after) > 0)
            step = self._accept(write, after)
        else:
            lines = [self._line(item, line, stock) for line in item.after["lines"]]
            step = self._order_step(write, item, order, after, lines)
        self.taken[step] += 1
        if after["listed"] != is_open(after):
            raise Refused(f"{step} leaves {order_id} {'in' if after['listed'] else 'outside'} the outbox: {after}")
        if after["owner"] != NOBODY:
            order.hosts.setdefault(after["owner"], write.by)
        order.stored = after
        if after not in order.versions:
            order.versions.append(after)

    def _accept(self, write: Write, after: dict[str, Any]) -> str:
        records = [item for item in write.items if item.table == "idempotency" and item.after is not None]
        key_is_free = all(item.before is None or "expires_at" in item.before for item in records)
        placed = {name: VARIABLES[f"o.{name}"].initial for name in STORED} | {"status": 1, "listed": 1}
        if not records or not key_is_free or after != placed:
            raise Refused(f"an order is not accepted like this: {write}")
        return "accept"

    def _order_step(
        self, write: Write, item: ItemWrite, order: _Order, after: dict[str, Any], lines: list[_Line]
    ) -> str:
        before = order.stored
        for contended, step in product((False, True), ORDER_STEPS):
            if WRITERS.get(step.by, step.by) != self._limits.role(write.by):
                continue
            for me in dict.fromkeys((after["owner"], before["owner"], write.by)) if before else ():
                if step.by == "worker" and order.hosts.get(me, write.by) != write.by:
                    continue  # the owner's attempt runs on another host
                for my in self._copies(step, write.by, order, item.claimed, contended=contended):
                    ways = (step, *WITHOUT_MOVES.get(step.name, ()))
                    if all(any(self._explains(way, order, my, me, after, line) for way in ways) for line in lines):
                        return step.name
        raise Refused(
            f"no step of the table: {write.by} changes {before} to {after}, with {lines}, claiming {item.claimed}"
        )

    def _explains(
        self, step: Step, order: _Order, my: dict[str, Any], me: Any, after: dict[str, Any], line: _Line
    ) -> bool:
        assert order.stored is not None
        state = self._state(order, {**my, "move": line.moved}, me, line)
        state["o"].due = int(step.name == "sweep")  # a sweeper's write names the due time that it has read
        if not may_happen(step.name, state, facts=False):
            return False
        increased: list[int] = []
        state["increase"] = lambda shard, grows: increased.append(shard) if grows else None
        exec(effects_of(step.name), state)  # noqa: S102 - the table's own effects
        wrote = {
            name: int(value) if isinstance(value, bool) else value
            for name, value in vars(state["o"]).items()
            if name in after
        }
        is_broken = any(getattr(state["g"], name) for name in BROKEN_BY)
        moved = tuple(state["s"].units) == line.after and (0 in increased) == line.increased
        return wrote == after and moved and not is_broken

    def _state(self, order: _Order, my: Mapping[str, Any], me: Any, line: _Line = NO_STOCK) -> dict[str, Any]:
        """Return the names of the table's expressions, with copies of what its effects change."""
        stored = SimpleNamespace(**(order.stored or {}), paid=order.paid, due=0, after=0)
        return {
            **self._constants,
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

    def _copies(
        self, step: Step, host: str, order: _Order, claimed: Json | None, *, contended: bool
    ) -> Iterator[dict[str, Any]]:
        """Yield what the writer may have had in memory. `contended`: it has met a transaction conflict."""
        for version in reversed(order.versions):
            if claimed is not None and step.condition is UNCHANGED and not fits(version, claimed):
                continue
            for leased in {version["leased"], 0}:
                for created, known in order.memories(host, version["payment"]):
                    result = CONTENDED if contended else known
                    yield {
                        **version, "paid": order.paid, "leased": leased, "result": result, "created": created,
                        "looked": 1, "tried": 0, "was_short": 1, "receives": order.receives[host],
                    }  # fmt: skip

    def _line(self, item: ItemWrite, line: Json, stock: list[ItemWrite]) -> _Line:
        """Return the stock of a line. Raises Refused if a shard would be negative, or its increases are miscounted."""
        product = f"{item.key[0].partition('#')[0]}#{line['sku']}"
        target = f"stock#{int(line['shard']):02d}"
        written = {each.key[1]: each for each in stock if each.key[0] == product}
        before = {**self._stock[product], **{record: units(each.before) for record, each in written.items()}}
        after = {**before, **{record: units(each.after) for record, each in written.items()}}
        increased = {record for record, each in written.items() if increases(each.after) != increases(each.before)}
        if min(after.values(), default=0) < 0 or not increased <= {target}:
            raise Refused(f"stock is oversold, or increases are miscounted: {written}")
        sides = [(side[target], sum(side.values()) - side[target]) for side in (before, after) if target in side]
        if len(sides) < 2:
            return _Line(line["quantity"], (0, 0), (0, 0), increased=False)
        return _Line(line["quantity"], sides[0], sides[1], increased=bool(increased))

    def _write_stock(self, write: Write, stock: list[ItemWrite]) -> None:
        """Take a step of stock alone: an adjustment with its idempotency record, a consolidation, or a product."""
        change = sum(units(item.after) - units(item.before) for item in stock)
        record = [item for item in write.items if item.table == "idempotency"]
        more = [item for item in stock if units(item.after) > units(item.before)]
        counted = [item for item in stock if increases(item.after) == increases(item.before) + 1]
        oversold = any(units(item.after) < 0 for item in stock)
        if record:
            step = "add_stock" if change > 0 else "remove_stock"
            allowed = record[0].before is None or "expires_at" in record[0].before
        elif stock and more:
            step, allowed = "consolidate", change == 0 and len(more) == 1 and write.by.startswith(self._limits.workers)
        else:
            step, allowed = "put_product", change == 0
        if not allowed or oversold or more != counted:
            raise Refused(f"no {step}: {write}")
        self.taken[step] += 1

    # Calls of the provider

    def _call(self, call: Call) -> None:
        order = self._orders[call.order]
        if order.stored is None:
            raise Refused(f"a payment of an order that was never stored: {call}")
        step = next((step for step in CALLS[call.call] if self._makes(step, call, order)), None)
        if step is None:
            raise Refused(f"no step explains {call} of {order.versions[-1:]}, the provider has {order.provider}")
        self.taken[step.name] += 1

    def _makes(self, step: Step, call: Call, order: _Order) -> bool:
        """Take the step if it explains the call."""
        payment = order.number(call.payment) if call.payment else 0
        undo = call.attempts.get("cancel", 0) + call.attempts.get("refund", 0)
        for version in reversed(order.versions):
            me = version["owner"]
            sent = (version["payment"], version["n_create"], version["n_confirm"], version["n_undo"])
            if order.hosts.get(me) != call.by or sent != (
                payment, call.attempts.get("create", 0), call.attempts.get("confirm", 0), undo,
            ):  # fmt: skip
                continue
            for created, result in order.memories(call.by, payment):
                for looked in (0, 1):
                    known = {"result": result, "created": created, "looked": looked, "receives": 0}
                    my = {**version, "paid": order.paid, **known}
                    if self._performs(step, call, order, my, me):
                        return True
        return False

    def _performs(self, step: Step, call: Call, order: _Order, my: dict[str, Any], me: Any) -> bool:
        state = self._state(order, my, me)
        state["p"] = provider = order.copy_of_provider()
        if step.name == "provider_away":
            provider.away = 1
        hidden = self._observe(call, state)
        if not may_happen(step.name, state):
            return False
        exec(effects_of(step.name), state)  # noqa: S102 - the table's own effects
        result = state["my"].result
        expected = RESULTS.get((call.call, call.result), frozenset())
        if call.call == "create" and call.created is not None:
            number = order.number(call.created)
            if state["my"].created != number:
                return False
            order.results[call.by].add((number, CREATED))
        elif result not in expected:
            return False
        else:
            order.results[call.by].add((my["payment"], result))
        provider.away = 0
        order.provider = provider
        self.taken.update(hidden)
        return True

    def _observe(self, call: Call, state: dict[str, Any]) -> list[str]:
        """Take the hidden steps of the provider that the result shows, and return those that are observable.

        An intent may have been changed by hand. A request to confirm that had no response may have taken effect.
        """
        provider, payment, attempt = state["p"], state["my"].payment, state["my"].n_create
        if call.call == "create" and call.result == "spent" and provider.by_key[attempt] not in (0, SPOILED):
            provider.differs[provider.by_key[attempt]] = 1
        if call.result == "cancelled" and call.call in {"retrieve", "confirm"} and provider.state[payment] == 1:
            provider.state[payment] = 3
        if call.call == "retrieve" and call.result != "unavailable" and payment:
            provider.differs[payment] = int(not call.matches)
        if call.result == "succeeded" and call.call in {"retrieve", "cancel"} and may_happen("confirm_late", state):
            exec(effects_of("confirm_late"), state)  # noqa: S102 - the table's own effects
            return ["confirm_late"]
        return []

    # Messages

    def _message(self, message: Message) -> None:
        order = self._orders[message.order]
        role = self._limits.role(message.by)
        if order.stored is None:
            raise Refused(f"a message of an order that was never stored: {message}")
        step = message.call
        if step == "receive":
            order.receives[message.by] = message.receives
            step = "receive_first" if message.receives == 1 and not order.paid else "receive"
        elif step == "send":
            step = {"worker": "republish", "operator": "publish_parked"}.get(role, "publish")
        elif step == "delete":
            step = "acknowledge"
        if step not in TABLE:
            raise Refused(f"no step of the table: {message}")
        self.taken[step] += 1


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


def units(item: Json | None) -> int:
    return int(item["available"]) if item else 0


def increases(item: Json | None) -> int:
    return int(item.get("increases", 0)) if item else 0


def total(item: Json) -> int:
    return sum(line["quantity"] * line["unit_price"] for line in item["lines"])


def fits(version: Mapping[str, Any], claimed: Json) -> bool:
    """Return whether a write whose condition claims this can come from a worker that has read this version."""
    owner = claimed.get("lease_owner", NOBODY)
    return (
        claimed.get("status") is not None
        and STATUSES[claimed["status"]] == version["status"]
        and claimed.get("fence") == version["fence"]
        and owner == version["owner"]
        and (bool(version["cancel"]) or ("cancel_requested_at" in claimed and claimed["cancel_requested_at"] is None))
    )


def is_open(order: Mapping[str, Any]) -> int:
    return int(order["status"] in {1, 2} or (bool(order["cancel"]) and order["status"] in {3, 4}))


def stored_form(item: Json, number: Callable[[str], int]) -> dict[str, Any]:
    """Return the variables of a stored order. `number` numbers its payments."""
    attempts = item.get("payment_attempts", {})
    return {
        "status": STATUSES[item["status"]],
        "fence": int(item["fence"]),
        "owner": item.get("lease_owner", NOBODY),
        "leased": int(item.get("lease_until", 0) > 0),
        "payment": number(item["payment_id"]) if "payment_id" in item else 0,
        "undo": UNDOS[item["undo"]["kind"]] if "undo" in item else 0,
        "cancel": int("cancel_requested_at" in item),
        "parked": int("parked" in item),
        "n_create": int(attempts.get("create", 0)),
        "n_confirm": int(attempts.get("confirm", 0)),
        "n_undo": int(attempts.get("cancel", 0)) + int(attempts.get("refund", 0)),
        "attempts": int(item.get("attempts", 0)),
        "sweeps": int(item.get("sweeps", 0)),
        "listed": int("open_shard" in item),
    }


def _is_migration(item: ItemWrite) -> bool:
    """Return whether the write gives an order its newest version, and changes nothing that the model has."""
    before, after = item.before, item.after
    return before is not None and after is not None and before != after and VERSIONS.upgraded(dict(before)) == after
