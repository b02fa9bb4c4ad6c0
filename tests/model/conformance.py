"""Conformance: walk a recorded history along the transition table, and refuse what the table does not allow.

An effect conforms if a step of the table explains it: the step's guards hold on the state before it, and its effects
lead to the recorded state after it. The walker knows the stored items, the provider's payments, and which host made
each effect. It does not see what a worker has read. Therefore a worker's copy may be any state in which the order was
stored so far, as far as the condition of the worker's own request allows; its lease may have expired; and it knows what
its host has learned of the order from the provider.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from tests.model.evaluation import effects_of, may_happen, state_of
from tests.model.history import Call, Event, ItemWrite, Json, Kill, Limits, Message, Refused, Response, Write
from tests.model.knowledge import KnownOrder, Line
from tests.model.provider_calls import ProviderCalls
from tests.model.steps import TABLE, UNCHANGED, VARIABLES
from tests.model.stored_items import STORED, fits, increases, is_migration, is_open, stored_form, total, units
from tests.model.table import CONSTANTS, NOBODY, Step

WRITERS = {"sweeper": "worker"}
"""Roles of the hosts by sort of actor, where they differ."""
BROKEN_BY = (
    "confirmed_late",
    "reopened",
    "asked_twice",
    "changed_ended",
    "changed_unparked",
    "changed_parked",
    "parked_cancelled",
)
"""Witnesses that no step may set."""
CONTENDED = CONSTANTS["UNAVAILABLE"]
"""Result of the hidden step `contend`, which a worker may have taken at any time."""
ORDER_STEPS = [step for step in TABLE.values() if step.condition and "o." in step.then and step.name != "accept"]
WITHOUT_MOVES: Mapping[str, tuple[Step, ...]] = {
    "reserve_with_moves": (TABLE["reserve"],),
    "confirm_with_moves": (TABLE["confirm_unpaid"],),
}
"""Step that explains the lines of an order for which no units are moved."""


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
        self._calls = ProviderCalls(self._constants, self.taken)
        self._orders: defaultdict[str, KnownOrder] = defaultdict(KnownOrder)
        self._stock: defaultdict[str, dict[str, int]] = defaultdict(dict)

    def walk(self, events: Iterable[Event]) -> None:
        """Walk the events in their order. Raises Refused at the first one that the table does not allow."""
        for event in events:
            match event:
                case Write():
                    self._write(event)
                case Call():
                    self._calls.take(event, self._orders[event.order])
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
        if is_migration(item) or order.is_repeated(write.by, item):
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
        self, write: Write, item: ItemWrite, order: KnownOrder, after: dict[str, Any], lines: list[Line]
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
        self, step: Step, order: KnownOrder, my: dict[str, Any], me: Any, after: dict[str, Any], line: Line
    ) -> bool:
        assert order.stored is not None
        state = state_of(self._constants, order, {**my, "move": line.moved}, me, line)
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

    def _copies(
        self, step: Step, host: str, order: KnownOrder, claimed: Json | None, *, contended: bool
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

    def _line(self, item: ItemWrite, line: Json, stock: list[ItemWrite]) -> Line:
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
            return Line(line["quantity"], (0, 0), (0, 0), increased=False)
        return Line(line["quantity"], sides[0], sides[1], increased=bool(increased))

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
