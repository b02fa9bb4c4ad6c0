"""The models: parts of the table, each small enough to be checked exhaustively.

money      one order: payment, undo, cancellation; crashes, duplicates, saved errors and take-overs without bound
forgetful  the same, while the provider forgets its idempotency keys
hands      the same with payments cancelled or changed by hand, parked orders and operators
paid       one paid order ends under fair scheduling
delivery   one order: queue, outbox, sweeps, quota, breaker, parking; it ends under fair scheduling
trouble    the same, with two of every kind of fault
late       the same without the queue: every write of bookkeeping comes late, with any number of faults
outage     one order while the payment provider stays away: no message is added, and it is parked by time only
poison     one order whose handling always fails: it is parked
stock      two orders of one product with two shards: consolidation and the proof of a shortage
"""

from collections.abc import Iterable
from dataclasses import replace

from tests.model.promela import Model
from tests.model.steps import CUSTOMER, DELIVERY, FAILURE, OPERATOR, PAYMENT, STOCK, SWEEPER, UNDO, VARIABLES, WORK
from tests.model.table import BACK_OFF, IDLE, READ, SEND, SETTLE, SUCCEEDED, Step, holds_stock, is_open


def names(*groups: Iterable[Step], without: str = "") -> frozenset[str]:
    return frozenset(step.name for group in groups for step in group) - set(without.split())


def every(*spaces: str, without: str = "") -> frozenset[str]:
    return frozenset(name for name in VARIABLES if name.partition(".")[0] in spaces) - set(without.split())


def held(order: int) -> str:
    return f"(QUANTITY if {holds_stock(f'o{order}').replace(f'o{order}.status', f'o.status[{order}]')} else 0)"


def listed_if_open(order: int) -> str:
    return f"o.listed[{order}] == ({of(order, is_open('o'))})"


def of(order: int, text: str) -> str:
    return text.replace("o.status", f"o.status[{order}]").replace("o.cancel", f"o.cancel[{order}]")


ENDED_MONEY = " and ".join(f"(p.state[{each}] != SUCCEEDED or p.refunded[{each}])" for each in (1, 2))
CHARGED = "(p.state[o.payment[0]] == SUCCEEDED and not p.refunded[o.payment[0]])"
SCANNING = "my.seen my.same my.cursor my.again my.even my.tried my.move my.was_short"
BOOKKEEPING = {
    "an ended order is not changed": "not g.changed_ended",
    "no ended order is open, no open order is outside the outbox": listed_if_open(0),
    "an end state is final": "not g.reopened",
    "one order per key": "g.placed <= 1",
}
PARKED_KEPT = {"no order is changed that was parked after it was read": "not g.changed_parked"}
NO_LATE_CONFIRMATION = {
    "no confirmation after an accepted cancellation": "not g.confirmed_late and"
    " (not g.acknowledged or (o.status[0] != REJECTED and (o.status[0] != CONFIRMED or o.cancel[0])))",
}

WITHOUT_QUEUE = {
    "worker": {IDLE: READ, SETTLE: READ, BACK_OFF: READ},
    "customer": {SEND: IDLE},
    "operator": {SEND: IDLE},
}
"""Positions that do not differ in a model without messages: a worker may begin an attempt at any time."""

MONEY_STEPS = names(CUSTOMER, PAYMENT, UNDO, without="publish_fails") | {
    "receive",
    "receive_first",
    "read",
    "leave",
    "acknowledge",
    "crash",
    "reserve",
    "confirm_unpaid",
    "take_over",
    "end_without_payment",
    "reschedule",
    "confirm_late",
}
MONEY_VARIABLES = every("o", "my", "p", "s", "r", "g", without=f"{SCANNING} g.content o.leased o.attempts o.sweeps o.due o.after"
                        " p.away r.adjusted g.false_rejection g.added g.removed g.total")  # fmt: skip
MONEY = Model(
    name="money",
    steps=MONEY_STEPS | {"next_create_key", "next_confirm_key", "next_undo_key"},
    variables=MONEY_VARIABLES - {"o.parked", "p.differs", "g.changed_parked"},
    fixed={"q.visible": 1},
    constants={"SHARD": 0, "QUANTITY": 1, "QUOTA": 9, "DEFER_AFTER": 2},
    actors={"worker": 2, "customer": 1},
    same=WITHOUT_QUEUE,
    initial=("s.units[0] = 1; o.paid = 1", "s.units[0] = 1; o.paid = 0"),
    always={
        "no double charge": "p.state[1] != SUCCEEDED or p.state[2] != SUCCEEDED",
        "no money without a confirmed order": f"(o.status[0] != CANCELLED and o.status[0] != REJECTED) or ({ENDED_MONEY})",
        "no confirmed order without its money": f"o.status[0] != CONFIRMED or not o.paid[0] or o.cancel[0] or {CHARGED}",
        "no stock is lost or oversold": f"s.units[0] + {held(0)} == 1",
        "an order without payment is not charged": "o.paid[0] or p.intents == 0",
        "no order is rejected but by provider or operator": "o.status[0] != REJECTED or g.refused",
        "an order is cancelled only on request": "o.status[0] != CANCELLED or g.acknowledged",
        "a cancellation is requested once": "not g.asked_twice",
        **NO_LATE_CONFIRMATION,
        **BOOKKEEPING,
    },
)
FORGETFUL = replace(
    MONEY,
    name="forgetful",
    steps=MONEY_STEPS | {"forget_keys"},
    variables=MONEY.variables - {"o.n_confirm", "o.n_undo", "p.spoiled", "p.spoiled_refund"},
    faults={"spoils": 0},
)
PAID = replace(
    MONEY,
    name="paid",
    steps=MONEY.steps | {"expire", "expire_early"},
    variables=frozenset(name for name in MONEY.variables if not name.startswith("g."))
    | {"o.leased", "g.content", "g.acknowledged", "g.placed"},
    initial=("s.units[0] = 1; o.paid = 1", "s.units[0] = 1; o.paid = 1; g.content = 1"),
    faults={"fault": 2},
    mixed=frozenset({"crashes", "spoils", "silences", "declines", "clocks"}),
    always={},
    again={"every accepted order ends": "not o.listed[0]"},
)
BY_HAND = replace(
    MONEY,
    name="hands",
    steps=MONEY_STEPS - {"ask_to_cancel", "cancel_pending", "request_cancel"} | names(OPERATOR) | {"fail", "note_failure", "note_failure_and_postpone", "cancel_by_hand", "change_amount"},
    variables=MONEY_VARIABLES - {"o.n_confirm", "o.n_undo", "p.spoiled", "p.spoiled_refund", "p.saved", "p.declined"},
    constants={**MONEY.constants, "MAX_ATTEMPTS": 1},
    actors={"worker": 2, "customer": 1, "operator": 1},
    faults={"spoils": 0, "declines": 0, "errors": 1, "retries": 1, "hands": 1, "mistakes": 1},
    always={
        **MONEY.always,
        "no order is confirmed with another amount": "g.overlapped or o.status[0] != CONFIRMED or o.cancel[0]"
        " or not p.differs[o.payment[0]]",
        "a cancelled order is not parked for its amount": "not g.parked_cancelled",
        "operators change parked orders only": "not g.changed_unparked",
        **PARKED_KEPT,
    },
)  # fmt: skip

FAULTS = (
    "crashes", "duplicates", "sends", "errors", "clocks", "retries", "outages", "letters", "conflicts", "mistakes",
)  # fmt: skip
DELIVERY_MODEL = Model(
    name="delivery",
    steps=names(DELIVERY, FAILURE, SWEEPER, OPERATOR, without="receive_first extend next_create_key next_confirm_key"
                " next_undo_key give_back") | {"accept", "publish", "publish_fails", "reserve", "take_over", "confirm_ended", "confirm", "undo_cancelled", "cancel_ended", "refund", "end_undone", "go_away", "come_back"},
    variables=every("o", "my", "q", "b", without=f"{SCANNING} o.paid o.payment o.n_create o.n_confirm o.n_undo"
                    " my.created my.looked") | {"p.away", "s.units", "r.key", "g.placed", "g.changed_ended", "g.changed_unparked", "g.changed_parked"},
    fixed={"o.paid": 1, "o.payment": 1, "my.looked": 1, "p.state": SUCCEEDED},
    constants={"SHARD": 0, "QUANTITY": 1, "QUOTA": 3, "MAX_ATTEMPTS": 2, "DEFER_AFTER": 1, "OUTAGE_SWEEPS": 1,
               "OVERDUE_SWEEPS": 2},
    actors={"worker": 2, "customer": 1, "operator": 1, "sweeper": 1},
    initial=("s.units[0] = 1",),
    faults=dict.fromkeys(FAULTS, 0) | {"crashes": 2, "duplicates": 3, "sends": 2},
    always={
        "no ended order is open, no open order is outside the outbox": listed_if_open(0),
        "an ended order is not changed": "not g.changed_ended",
        "operators change parked orders only": "not g.changed_unparked",
        **PARKED_KEPT,
    },
    again={"every accepted order ends": "not o.listed[0]"},
)  # fmt: skip
TROUBLE = replace(
    DELIVERY_MODEL,
    name="trouble",
    faults={"fault": 2},
    mixed=frozenset(FAULTS),
)
LATE = replace(
    DELIVERY_MODEL,
    name="late",
    steps=DELIVERY_MODEL.steps | {"request_cancel"},
    variables=DELIVERY_MODEL.variables - every("q") - {"o.sweeps", "o.after", "o.leased"} | {"g.asked_twice"},
    fixed={**DELIVERY_MODEL.fixed, "q.visible": 1, "o.sweeps": 1, "my.sweeps": 1},
    constants={**DELIVERY_MODEL.constants, "MAX_ATTEMPTS": 1, "QUOTA": 9},
    same=WITHOUT_QUEUE,
    faults={},
    always={**DELIVERY_MODEL.always, "a cancellation is requested once": "not g.asked_twice"},
    again={},
)
OUTAGE = replace(
    DELIVERY_MODEL,
    name="outage",
    steps=DELIVERY_MODEL.steps - {"come_back", "probe", "go_away", "open_breaker"},
    faults=dict.fromkeys(FAULTS, 0),
    initial=tuple(f"s.units[0] = 1; p.away = 1; b.open = {breaker}" for breaker in (0, 1)),
    always={
        "an outage adds no message": "q.visible + q.flight + q.postponed <= 1",
        "an outage parks no order": "not (o.parked[0] and b.open)",
        "a message returns a bounded number of times": "q.receives <= DEFER_AFTER",
    },
    again={"with the breaker closed, the order is parked": "o.parked[0] or b.open"},
)
POISON = replace(
    DELIVERY_MODEL,
    name="poison",
    steps=names(DELIVERY, OPERATOR, without="receive_first extend give_back duplicate crash dead_letter")
    | {"accept", "publish", "fail", "leave_failure", "note_failure", "note_failure_and_postpone"}
    | {"fall_due", "find_due", "sweep", "republish"},
    variables=DELIVERY_MODEL.variables - {"o.sweeps", "p.away", "b.open", "my.result"},
    faults={"retries": 0, "mistakes": 0},
    constants={**DELIVERY_MODEL.constants, "MAX_ATTEMPTS": 3},
    always={"no more failures than allowed until an operator acts": "o.attempts[0] <= MAX_ATTEMPTS"},
    again={"an order whose handling always fails is parked": "o.parked[0] or o.status[0] == REJECTED"},
)
STOCK_MODEL = Model(
    name="stock",
    steps=names(STOCK, WORK, without="put_product") | {"ask_to_cancel", "cancel_pending", "receive", "receive_first", "read", "leave", "acknowledge", "request_cancel", "publish"},
    variables=every("o", "my", "s", "r", without="o.attempts o.sweeps o.leased o.due o.after o.payment o.undo o.n_create"
                    " o.n_confirm o.n_undo o.parked my.created my.result my.looked r.key")
    | {"g.acknowledged", "g.false_rejection", "g.added", "g.removed", "g.total", "g.changed_ended", "g.content"},
    fixed={"q.visible": 1},
    constants={"SHARD": "order", "QUANTITY": 2, "QUOTA": 9, "TO_MOVE":
               "0 if my.seen[SHARD] >= QUANTITY else (QUANTITY - my.seen[SHARD]"
               " if QUANTITY - my.seen[SHARD] > (my.seen[1 - SHARD] + 1) // 2 else (my.seen[1 - SHARD] + 1) // 2)"},
    actors={"worker": 2, "customer": 1},
    same=WITHOUT_QUEUE,
    orders=2,
    initial=tuple(
        f"o.status[0] = PENDING; o.status[1] = PENDING; o.listed[0] = 1; o.listed[1] = 1; o.paid[{paid}] = 1;"
        f" s.units[0] = {one}; s.units[1] = {other}; g.total = {one + other};"
        f" g.content = {content}"
        for content in (0, 1) for paid in (0, 1) for one, other in ((1, 1), (0, 3))
    ),
    always={
        "no stock is lost or oversold": f"s.units[0] + s.units[1] + {held(0)} + {held(1)} + g.removed"
        " == g.total + r.adjusted",
        "an ended order is not changed": "not g.changed_ended",
        "no rejection while stock suffices": "not g.false_rejection",
        "no ended order is open, no open order is outside the outbox": f"({listed_if_open(0)}) and ({listed_if_open(1)})",
    },
    again={
        "stock of the first order is decided": "o.status[0] != PENDING",
        "stock of the second order is decided": "o.status[1] != PENDING",
    },
)  # fmt: skip
MODELS = (OUTAGE, POISON, DELIVERY_MODEL, STOCK_MODEL, TROUBLE, MONEY, FORGETFUL, LATE, BY_HAND, PAID)
