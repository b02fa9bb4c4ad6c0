"""The transition table of the order protocol: every step that an actor may take, with its guards and effects."""

from collections.abc import Mapping

from tests.model.table import (
    ASKED,
    BACK_OFF,
    FAILED,
    IDLE,
    NOBODY,
    PLANNED,
    PROVEN,
    READ,
    SCAN,
    SEND,
    SETTLE,
    SHORT,
    STEP,
    Guards,
    Step,
    Variable,
    by_name,
    holds_stock,
    is_open,
)

PLAIN = Variable()
COPIED = Variable(copied=True)
VARIABLES: Mapping[str, Variable] = {
    "o.status": COPIED,
    "o.fence": COPIED,
    "o.owner": Variable(initial=NOBODY, copied=True),
    "o.leased": COPIED,
    "o.payment": COPIED,
    "o.undo": COPIED,
    "o.cancel": COPIED,
    "o.parked": COPIED,
    "o.n_create": COPIED,
    "o.n_confirm": COPIED,
    "o.n_undo": COPIED,
    "o.attempts": COPIED,
    "o.sweeps": COPIED,
    "o.paid": COPIED,
    "o.listed": PLAIN,
    "o.due": PLAIN,
    "o.after": PLAIN,
    "my.pc": PLAIN,
    "my.created": PLAIN,
    "my.result": PLAIN,
    "my.looked": PLAIN,
    "my.seen": Variable(size=2),
    "my.same": Variable(size=2),
    "my.cursor": PLAIN,
    "my.again": PLAIN,
    "my.even": PLAIN,
    "my.tried": PLAIN,
    "my.move": PLAIN,
    "my.was_short": PLAIN,
    "p.intents": PLAIN,
    "p.state": Variable(size=3),
    "p.differs": Variable(size=3),
    "p.declined": Variable(size=3),
    "p.refunded": Variable(size=3),
    "p.by_key": Variable(size=4),
    "p.saved": Variable(size=9),
    "p.spoiled": Variable(size=3),
    "p.spoiled_refund": Variable(size=3),
    "p.unanswered": Variable(size=3),
    "p.away": PLAIN,
    "q.sending": PLAIN,
    "q.visible": PLAIN,
    "q.flight": PLAIN,
    "q.postponed": PLAIN,
    "q.receives": PLAIN,
    "b.open": PLAIN,
    "s.units": Variable(size=2),
    "r.key": PLAIN,
    "r.adjusted": PLAIN,
    "g.placed": PLAIN,
    "g.acknowledged": PLAIN,
    "g.asked_twice": PLAIN,
    "g.parked_cancelled": PLAIN,
    "g.changed_ended": PLAIN,
    "g.changed_unparked": PLAIN,
    "g.changed_parked": PLAIN,
    "g.refused": PLAIN,
    "g.overlapped": PLAIN,
    "g.content": PLAIN,
    "g.confirmed_late": PLAIN,
    "g.reopened": PLAIN,
    "g.false_rejection": PLAIN,
    "g.added": PLAIN,
    "g.removed": PLAIN,
    "g.total": PLAIN,
}

UNCHANGED: Guards = {
    "same status": "o.status == my.status",
    "same fence": "o.fence == my.fence",
    "same owner": "my.owner == NOBODY or o.owner == my.owner",
    "no new cancellation": "my.cancel or not o.cancel",
    "not parked meanwhile": "my.parked or not o.parked",
}
"""`unchanged_condition` and `parked_condition` of `order_items.py`: part of the condition of every write but three."""

WORKING: Guards = {
    "open": is_open("my"),
    "not parked": "not my.parked",
    "no other lease": "not my.leased or my.owner == me",
}
LEFT: Guards = {"nothing to do": f"not {is_open('my')} or my.parked or (my.leased and my.owner != me)"}
OWNING: Guards = {**WORKING, "lease taken": "my.owner == me"}
PAYING: Guards = {**OWNING, "no undo": "my.undo == NO_UNDO", "no cancellation seen": "not my.cancel"}
UNDOING: Guards = {
    **OWNING,
    "undo stored": "my.undo != NO_UNDO",
    "no replacement of a cancelled order": "not (my.undo == REPLACE and my.cancel)",
}
UP: Guards = {"provider responds": "not p.away", "breaker closed": "not b.open", "no result": "my.result == NOTHING"}
STORED: Guards = {"stored": "o.status != ABSENT"}

CHANGE = (
    "g.changed_ended = g.changed_ended if o.listed else 1;"
    " g.changed_parked = 1 if o.parked and not my.parked else g.changed_parked"
)
"""Part of every write of an order but those that place one or request its cancellation."""
TAKE_LEASE = f"{CHANGE}; o.fence += 1; o.owner = me; o.leased = 1; o.due = 0; o.after = 0"
RELEASED = "o.leased = 0; o.due = 0"
RELEASE = f"{CHANGE}; {RELEASED}"
END = (
    f"{CHANGE}; o.fence += 1; o.owner = NOBODY; o.leased = 0; o.listed = 0; o.due = 0; o.after = 0; o.parked = 0; o.undo = 0;"
    " o.attempts = 0; o.sweeps = 0"
)
REOPENED = "g.reopened = 1 if o.status == REJECTED or o.status == CANCELLED else g.reopened"
CONFIRM = f"g.confirmed_late = 1 if o.cancel else g.confirmed_late; {REOPENED}; o.status = CONFIRMED; {END}"
RETURN = "s.units[SHARD] += QUANTITY; increase(SHARD, 1)"
ASK = "g.asked_twice = 1 if o.cancel else g.asked_twice; o.cancel = 1; o.listed = 1; o.due = 0; o.after = 0; o.sweeps = 0; o.parked = 0; g.acknowledged = 1"
UNPARK = (
    f"{CHANGE}; g.changed_unparked = g.changed_unparked if o.parked else 1; o.parked = 0; o.attempts = 0;"
    " o.sweeps = 0; o.due = 0; o.after = 0"
)
CANCELLABLE: Guards = {"stock is held": holds_stock("o"), "not requested yet": "not o.cancel"}

DECISION = "a decision without an effect"
READING = "reads are not recorded"
LOST = "a send that does not happen has no effect"
WORLD = "the world around the platform"

# fmt: off
CUSTOMER = (
    Step(name="accept", by="customer", at=IDLE, to=SEND, otherwise=IDLE,
         facts={"wanted": "g.placed < 2"},
         condition={"key is free": "not r.key"},
         then="r.key = 1; o.status = PENDING; o.listed = 1; g.placed += 1"),
    Step(name="publish", by="customer", at=SEND, to=IDLE, then="q.visible += 1"),
    Step(name="publish_fails", unseen=LOST, by="customer", at=SEND, to=IDLE, fault="sends"),
    Step(name="ask_to_cancel", unseen=READING, by="customer", at=IDLE, to=ASKED,
         facts={"pending": "o.status == PENDING", "wanted": "not g.content and not g.acknowledged"}, then="copy()"),
    Step(name="cancel_pending", by="customer", at=ASKED, to=IDLE, otherwise=IDLE,
         when={"pending": "my.status == PENDING"}, condition=UNCHANGED,
         then=f"{REOPENED}; o.status = CANCELLED; {END}; g.acknowledged = 1"),
    Step(name="request_cancel", by="customer", at=IDLE, to=SEND, otherwise=IDLE,
         facts={**STORED, "not pending": "o.status != PENDING", "wanted": "not g.content and not g.asked_twice"},
         condition=CANCELLABLE, then=ASK),
)

RECEIVABLE: Guards = {"message visible": "q.visible > 0", "below the quota": "q.flight + q.postponed < QUOTA"}
WORKING_AT = (READ, STEP, SHORT, SCAN, PLANNED, PROVEN, FAILED, BACK_OFF, SETTLE)
DELIVERY = (
    Step(name="receive", at=IDLE, to=READ, facts=RECEIVABLE,
         then="q.visible -= 1; q.flight += 1"),
    Step(name="receive_first", at=IDLE, facts={**RECEIVABLE, **STORED},
         when={"unpaid": "not o.paid"}, then="q.visible -= 1; q.flight += 1; placed()"),
    Step(name="read", unseen=READING, at=READ, facts=STORED, then="refresh()"),
    Step(name="leave", unseen=DECISION, to=SETTLE, when=LEFT),
    Step(name="acknowledge", at=SETTLE, to=IDLE, then="q.flight -= 1"),
    Step(name="postpone", at=BACK_OFF, to=IDLE, then="q.flight -= 1; q.postponed += 1"),
    Step(name="redeliver", by="visibility", at=IDLE, to=IDLE, facts={"postponed": "q.postponed > 0"},
         then="q.postponed -= 1; q.visible += 1; q.receives = q.receives + 1 if q.receives <= DEFER_AFTER else q.receives",
         unseen="a message becomes visible without an event"),
    Step(name="duplicate", unseen=WORLD, by="world", at=IDLE, to=IDLE, fault="duplicates", facts=STORED, then="q.visible += 1"),
    Step(name="extend", facts=STORED),
    Step(name="crash", at=WORKING_AT, to=IDLE, fault="crashes", then="q.flight -= 1; q.visible += 1"),
    Step(name="give_back", at=WORKING_AT, to=IDLE, fault="stops", then="q.flight -= 1; q.visible += 1"),
    Step(name="dead_letter", at=WORKING_AT, to=IDLE, fault="letters", then="q.flight -= 1"),
)

TO_RESERVE: Guards = {**WORKING, "pending": "my.status == PENDING", "to be paid": "my.paid"}
TO_CONFIRM: Guards = {**WORKING, "pending": "my.status == PENDING", "nothing to pay": "not my.paid"}
IN_STOCK: Guards = {"in stock": "s.units[SHARD] >= QUANTITY"}
TAKEN = "s.units[SHARD] -= QUANTITY"
WORK = (
    Step(name="reserve", when={**TO_RESERVE, "nothing planned": "not my.move"}, condition=UNCHANGED, stock=IN_STOCK,
         then=f"{REOPENED}; o.status = RESERVED; {TAKE_LEASE}; {TAKEN}; refresh()"),
    Step(name="confirm_unpaid", to=SETTLE, when={**TO_CONFIRM, "nothing planned": "not my.move"}, condition=UNCHANGED,
         stock=IN_STOCK, then=f"{CONFIRM}; {TAKEN}"),
    Step(name="take_over", when={**WORKING, "holds stock": holds_stock("my"), "not owned": "my.owner != me"},
         condition=UNCHANGED, then=f"{TAKE_LEASE}; refresh()"),
    Step(name="end_without_payment", to=SETTLE, condition=UNCHANGED,
         when={**OWNING, "cancellation requested": "my.cancel", "no undo": "my.undo == NO_UNDO", "no payment": "my.payment == 0"},
         then=f"{REOPENED}; o.status = CANCELLED; {END}; {RETURN}"),
)

WITH_MOVES: Guards = {
    "source has the units": "s.units[1 - SHARD] >= my.move",
    "target has the rest": "s.units[SHARD] + my.move >= QUANTITY",
}
MOVED = (
    "s.units[1 - SHARD] -= my.move; s.units[SHARD] = s.units[SHARD] + my.move - QUANTITY;"
    " increase(SHARD, my.move > QUANTITY)"
)
STOCK = (
    Step(name="begin_scan", at=SHORT, to=SCAN, unseen=DECISION,
         then="my.cursor = 0; my.again = 0; my.even = 1; my.move = 0; my.same[0] = 0; my.same[1] = 0;"
         " my.was_short = 0"),
    Step(name="scan_shard", unseen=READING, at=SCAN, to=SCAN, facts={"shards left": "my.cursor < 2"},
         then="my.even = my.even and (my.same[my.cursor] or not my.again); my.seen[my.cursor] = s.units[my.cursor];"
         " my.same[my.cursor] = 1; my.cursor += 1"),
    Step(name="scan_again", at=SCAN, to=SCAN, unseen=DECISION,
         facts={"all read": "my.cursor == 2", "too little": "my.seen[0] + my.seen[1] < QUANTITY",
                "no proof yet": "not my.again or not my.even"},
         then="my.cursor = 0; my.again = 1; my.even = 1"),
    Step(name="prove_shortage", at=SCAN, to=PROVEN, unseen=DECISION, facts={"all read": "my.cursor == 2"},
         when={"read twice": "my.again",
               "no increase between the reads": "my.even"}),
    Step(name="plan", at=SCAN, to=PLANNED, unseen=DECISION,
         facts={"all read": "my.cursor == 2", "enough": "my.seen[0] + my.seen[1] >= QUANTITY",
                "no proof": "not my.again or not my.even"},
         then="my.move = TO_MOVE; my.cursor = 0; my.again = 0; my.even = 0; my.same[0] = 0; my.same[1] = 0;"
         " my.seen[0] = 0; my.seen[1] = 0"),
    Step(name="consolidate", at=PLANNED, otherwise=STEP,
         when={"first shortage": "not my.tried", "units to move": "my.move != 0"},
         condition={"source has the units": WITH_MOVES["source has the units"]},
         then="s.units[1 - SHARD] -= my.move; s.units[SHARD] += my.move; increase(SHARD, 1); my.tried = 1; my.move = 0"),
    Step(name="keep_plan", at=PLANNED, unseen=DECISION,
         facts={"later shortage or nothing to move": "my.tried or not my.move"}, then="my.tried = 1"),
    Step(name="reserve_with_moves", when={**TO_RESERVE, "planned": "my.move != 0"}, condition=UNCHANGED, stock=WITH_MOVES,
         then=f"{REOPENED}; o.status = RESERVED; {TAKE_LEASE}; {MOVED}; refresh()"),
    Step(name="confirm_with_moves", to=SETTLE, when={**TO_CONFIRM, "planned": "my.move != 0"}, condition=UNCHANGED,
         stock=WITH_MOVES, then=f"{CONFIRM}; {MOVED}"),
    Step(name="reject_short", at=PROVEN, to=SETTLE, condition=UNCHANGED,
         then=f"g.false_rejection = g.false_rejection if my.was_short else 1; {REOPENED}; o.status = REJECTED; {END}"),
    Step(name="add_stock", by="stock", at=IDLE, to=IDLE, otherwise=IDLE, facts={"wanted": "g.added < 2"},
         condition={"record is free": "not r.adjusted"},
         then="r.adjusted = 1; s.units[1] += 1; increase(1, 1); g.added += 1"),
    Step(name="remove_stock", by="stock", at=IDLE, to=IDLE, otherwise=IDLE, facts={"wanted": "g.removed < 1"},
         condition={"shard has the units": "s.units[0] >= 1"},
         then="s.units[0] -= 1; g.removed += 1"),
    Step(name="put_product", by="stock", at=IDLE, to=IDLE),
)

CREATING: Guards = {**PAYING, "no payment yet": "my.payment == 0 and my.created == 0"}
CONFIRMING: Guards = {
    **PAYING,
    "payment stored": "my.payment != 0",
    "payment known": "my.payment == my.created or my.looked",
}
KEY = "p.saved[my.payment + my.payment + my.payment + my.n_confirm]"
OPEN_INTENT: Guards = {**UP, "intent is open": "p.state[my.payment] == OPEN"}
CREATE_KEY = "p.by_key[my.n_create]"
KNOWN_KEY = f"{CREATE_KEY} != 0 and {CREATE_KEY} != SPOILED"
PAYMENT = (
    Step(name="create", when=CREATING, facts={**UP, "new key": f"{CREATE_KEY} == 0", "bounded": "p.intents < 2"},
         then=f"p.intents += 1; {CREATE_KEY} = p.intents; p.state[p.intents] = OPEN; my.created = p.intents"),
    Step(name="create_again", when=CREATING,
         facts={**UP, "known key": KNOWN_KEY}, then=f"my.created = {CREATE_KEY}"),
    Step(name="create_spoiled", when=CREATING, fault="spoils",
         facts={**UP, "new key": f"{CREATE_KEY} == 0", "bounded": "my.n_create == 0"},
         then=f"{CREATE_KEY} = SPOILED; my.result = SPENT_CREATE"),
    Step(name="create_replayed", when=CREATING, facts={**UP, "spoiled key": f"{CREATE_KEY} == SPOILED"},
         then="my.result = SPENT_CREATE"),
    Step(name="create_mismatched", when=CREATING,
         facts={**UP, "known key of another amount": f"{KNOWN_KEY} and p.differs[{CREATE_KEY}]"},
         then="my.result = SPENT_CREATE"),
    Step(name="create_declined", when=CREATING, fault="declines", facts={**UP, "new key": f"{CREATE_KEY} == 0"},
         then="my.result = DECLINED; g.refused = 1"),
    Step(name="note_payment", when={**PAYING, "created": "my.payment == 0 and my.created != 0"}, condition=UNCHANGED,
         then=f"{CHANGE}; o.payment = my.created; refresh()"),
    Step(name="retrieve", facts=UP, when={**PAYING, "payment stored": "my.payment != 0",
                                          "not known": "my.payment != my.created and not my.looked"},
         then="my.looked = 1; my.result = GONE if p.state[my.payment] == CANCELED else"
         " ((DIFFERS_PAID if p.state[my.payment] == SUCCEEDED else DIFFERS) if p.differs[my.payment] else"
         " (PAID if p.state[my.payment] == SUCCEEDED else (DECLINED if p.declined[my.payment] else NOTHING)))"),
    Step(name="confirm_payment", when=CONFIRMING, facts={**OPEN_INTENT, "no saved response": f"{KEY} == NO_RESPONSE"},
         then="p.state[my.payment] = SUCCEEDED; p.declined[my.payment] = 0; my.result = PAID"),
    Step(name="confirm_ended", when=CONFIRMING, facts={**UP, "intent has ended": "p.state[my.payment] != OPEN"},
         then="my.result = PAID if p.state[my.payment] == SUCCEEDED else GONE"),
    Step(name="confirm_declined", when=CONFIRMING, fault="declines",
         facts={**OPEN_INTENT, "no saved response": f"{KEY} == NO_RESPONSE"},
         then=f"{KEY} = KEY_DECLINED; p.declined[my.payment] = 1; my.result = DECLINED; g.refused = 1"),
    Step(name="confirm_spoiled", when=CONFIRMING, fault="spoils",
         facts={**UP, "no saved response": f"{KEY} == NO_RESPONSE", "bounded": "my.n_confirm == 0"},
         then=f"{KEY} = KEY_SPOILED; p.unanswered[my.payment] = 1; my.result = SPENT_CONFIRM"),
    Step(name="confirm_unanswered", when=CONFIRMING, fault="silences",
         facts={**OPEN_INTENT, "no saved response": f"{KEY} == NO_RESPONSE"},
         then="p.unanswered[my.payment] = 1; my.result = UNAVAILABLE"),
    Step(name="confirm_replayed", when=CONFIRMING, facts={**UP, "saved response": f"{KEY} != NO_RESPONSE"},
         then=f"my.result = DECLINED if {KEY} == KEY_DECLINED or p.declined[my.payment] else SPENT_CONFIRM"),
    Step(name="confirm", to=SETTLE, when={**PAYING, "payment stored": "my.payment != 0", "paid": "my.result == PAID"},
         condition=UNCHANGED, then=CONFIRM),
    Step(name="drop_cancelled", when={**PAYING, "payment is gone": "my.result == GONE"}, condition=UNCHANGED,
         then=f"{CHANGE}; o.payment = 0; o.n_create = my.n_create + 1; refresh()"),
    Step(name="end_refused", to=SETTLE, condition=UNCHANGED,
         when={**PAYING, "no payment": "my.payment == 0", "declined": "my.result == DECLINED"},
         then=f"{REOPENED}; o.status = REJECTED; {END}; {RETURN}"),
)

NEW_CANCEL = "not p.spoiled[my.n_undo]"
UNDO = (
    Step(name="undo_declined", condition=UNCHANGED,
         when={**PAYING, "payment stored": "my.payment != 0", "declined": "my.result == DECLINED"},
         then=f"{CHANGE}; o.undo = REJECT; refresh()"),
    Step(name="undo_differing", condition=UNCHANGED, when={**PAYING, "differs": "my.result == DIFFERS"},
         then=f"{CHANGE}; o.undo = REPLACE; refresh()"),
    Step(name="undo_cancelled", condition=UNCHANGED,
         when={**OWNING, "payment stored": "my.payment != 0", "cancellation requested": "my.cancel",
               "no final undo": "my.undo == NO_UNDO or my.undo == REPLACE"},
         then=f"{CHANGE}; o.undo = CANCEL; refresh()"),
    Step(name="cancel_spoiled", when=UNDOING, fault="spoils", facts={**UP, "new key": NEW_CANCEL, "bounded": "my.n_undo == 0"},
         then="p.spoiled[my.n_undo] = 1; my.result = SPENT_UNDO"),
    Step(name="cancel_replayed", when=UNDOING, facts={**UP, "spoiled key": "p.spoiled[my.n_undo]"},
         then="my.result = SPENT_UNDO"),
    Step(name="cancel_payment", when=UNDOING, facts={**OPEN_INTENT, "new key": NEW_CANCEL},
         then="p.state[my.payment] = CANCELED; my.result = GONE"),
    Step(name="cancel_ended", when=UNDOING,
         facts={**UP, "intent has ended": "p.state[my.payment] != OPEN", "new key": NEW_CANCEL},
         then="my.result = GONE if p.state[my.payment] == CANCELED else (DIFFERS_PAID if my.undo == REPLACE else PAID)"),
    Step(name="refund", when={**UNDOING, "paid": "my.result == PAID"},
         facts={"new key": "not p.spoiled_refund[my.n_undo] or p.refunded[my.payment]"},
         then="p.refunded[my.payment] = 1; my.result = GONE"),
    Step(name="refund_spoiled", when={**UNDOING, "paid": "my.result == PAID"}, fault="spoils",
         facts={"not refunded": "not p.refunded[my.payment]", "bounded": "my.n_undo == 0"},
         then="p.spoiled_refund[my.n_undo] = 1; my.result = SPENT_UNDO"),
    Step(name="refund_replayed", when={**UNDOING, "paid": "my.result == PAID"},
         facts={"spoiled key": "p.spoiled_refund[my.n_undo] and not p.refunded[my.payment]"}, then="my.result = SPENT_UNDO"),
    Step(name="end_replaced", when={**UNDOING, "payment is gone": "my.result == GONE", "replaced": "my.undo == REPLACE"},
         condition=UNCHANGED, then=f"{CHANGE}; o.payment = 0; o.undo = NO_UNDO; o.n_create = my.n_create + 1; refresh()"),
    Step(name="end_undone", to=SETTLE, condition=UNCHANGED,
         when={**UNDOING, "payment is gone": "my.result == GONE", "not replaced": "my.undo != REPLACE"},
         then=f"{REOPENED}; o.status = CANCELLED if my.cancel else REJECTED; {END}; {RETURN}"),
    Step(name="park_paid_amount", to=SETTLE, condition=UNCHANGED,
         when={**OWNING, "differs and is paid": "my.result == DIFFERS_PAID"},
         then=f"{CHANGE}; g.parked_cancelled = 1 if o.cancel else g.parked_cancelled; o.parked = 1; o.leased = 0"),
)

COUNTED = f"{CHANGE}; o.attempts = my.attempts + 1; o.parked = 1 if my.attempts + 1 >= MAX_ATTEMPTS else o.parked"
WAITS = "(o.sweeps > 0 or q.receives >= DEFER_AFTER)"
FAILURE = (
    Step(name="provider_away", when=OWNING, then="my.result = UNAVAILABLE",
         facts={"provider is away": "p.away", "breaker closed": "not b.open", "no result": "my.result == NOTHING"}),
    Step(name="contend", when=WORKING, then="my.result = UNAVAILABLE", fault="conflicts", unseen=DECISION),
    Step(name="reschedule", to=BACK_OFF, otherwise=BACK_OFF, condition=UNCHANGED,
         when={**WORKING, "no answer": "my.result == UNAVAILABLE", "message returns": f"not {WAITS}"},
         then=f"{RELEASE}; o.after = 1"),
    Step(name="defer", to=SETTLE, otherwise=SETTLE, condition=UNCHANGED,
         when={**WORKING, "no answer": "my.result == UNAVAILABLE", "order waits": WAITS}, then=f"{RELEASE}; o.after = 0"),
    Step(name="pause", to=SETTLE, otherwise=SETTLE, condition=UNCHANGED,
         facts={"breaker open": "b.open", "no result": "my.result == NOTHING"}, when=OWNING,
         then=f"{RELEASE}; o.after = 0; o.sweeps = my.sweeps if my.sweeps < OUTAGE_SWEEPS else OUTAGE_SWEEPS"),
    *(Step(name=f"next_{call}_key", to=SETTLE, otherwise=SETTLE, condition=UNCHANGED,
           when={**OWNING, f"{call} key is spent": f"my.result == SPENT_{call.upper()}"},
           then=f"{RELEASE}; o.after = 0; o.n_{call} = my.n_{call} + 1")
      for call in ("create", "confirm", "undo")),
    Step(name="fail", unseen=DECISION, to=FAILED, fault="errors", facts=STORED, then="refresh()"),
    Step(name="note_failure", at=FAILED, to=SETTLE, otherwise=SETTLE, condition=UNCHANGED,
         when={**WORKING, "order waits": WAITS}, then=f"{COUNTED}; {RELEASED}; o.after = 0"),
    Step(name="note_failure_and_postpone", at=FAILED, to=BACK_OFF, otherwise=BACK_OFF, condition=UNCHANGED,
         when={**WORKING, "message returns": f"not {WAITS}"}, then=f"{COUNTED}; {RELEASED}; o.after = 1"),
    Step(name="note_failure_of_other", at=FAILED, to=BACK_OFF, otherwise=BACK_OFF, condition=UNCHANGED,
         when={"open": is_open("my"), "not parked": "not my.parked", "other lease": "my.leased and my.owner != me"},
         then=COUNTED),
    Step(name="leave_failure", at=FAILED, to=SETTLE, when={"ended or parked": f"not {is_open('my')} or my.parked"},
         unseen=DECISION),
    Step(name="open_breaker", by="world", at=IDLE, to=IDLE, then="b.open = 1",
         facts={"provider is away": "p.away", "closed": "not b.open"}, unseen="the breaker is memory of a process"),
    Step(name="probe", by="probe", at=IDLE, to=IDLE, then="b.open = 0",
         facts={"provider responds": "not p.away", "open": "b.open"}, unseen="the breaker is memory of a process"),
)

SWEEPER = (
    Step(name="fall_due", by="due", at=IDLE, to=IDLE, then="o.due = 1; o.after = 0", unseen="time passes",
         facts={"in the outbox": "o.listed and not o.parked and not o.due"},
         when={"after the lease": "not o.leased", "after the scheduled message": "not o.after or q.postponed == 0",
               "after the backlog": "q.sending + q.visible + q.flight == 0"}),
    Step(name="find_due", unseen=READING, by="sweeper", at=IDLE, to=ASKED, facts={"due": "o.due"}),
    Step(name="sweep", by="sweeper", at=ASKED, to=SEND, otherwise=IDLE,
         condition={"in the outbox": "o.listed and not o.parked", "still due": "o.due"},
         then=f"{CHANGE}; o.due = 0; o.after = 0; o.sweeps = o.sweeps + 1 if o.sweeps <= OVERDUE_SWEEPS else o.sweeps; copy()"),
    Step(name="republish", by="sweeper", at=SEND, to=IDLE, when={"not overdue": "my.sweeps <= OVERDUE_SWEEPS"},
         then="q.visible += 1; q.receives = 0"),
    Step(name="republish_fails", by="sweeper", at=SEND, to=IDLE, otherwise=IDLE, fault="sends",
         when={"not overdue": "my.sweeps <= OVERDUE_SWEEPS"},
         condition={"still postponed": "o.sweeps == my.sweeps and not o.due and o.listed and not o.parked"},
         then=f"{CHANGE}; o.sweeps = my.sweeps - 1"),
    Step(name="park_overdue", by="sweeper", at=SEND, to=IDLE, otherwise=IDLE, condition=UNCHANGED,
         when={"overdue": "my.sweeps > OVERDUE_SWEEPS"}, then=f"{CHANGE}; o.parked = 1"),
    Step(name="crash_sweeping", unseen=LOST, by="sweeper", at=SEND, to=IDLE, fault="crashes"),
    Step(name="expire", by="lease", at=IDLE, to=IDLE, then="o.leased = 0", unseen="time passes",
         facts={"leased": "o.leased", "holder has stopped": "o.owner == FORMER"}),
    Step(name="expire_early", by="world", at=IDLE, to=IDLE, fault="clocks", facts={"leased": "o.leased"},
         then="o.leased = 0", unseen="time passes"),
)

OPERATOR = (
    Step(name="look_at_parked", unseen=READING, by="operator", at=IDLE, facts={"parked": "o.parked"}, then="copy()"),
    Step(name="look_at_other", unseen=READING, by="operator", at=IDLE, fault="mistakes", facts=STORED, then="copy()"),
    Step(name="leave_unparked", unseen=DECISION, by="operator", to=IDLE, when={"not seen parked": "not my.parked"}),
    Step(name="unpark_cancelled", by="operator", to=SEND, otherwise=IDLE,
         when={"seen parked": "my.parked", "cancellation requested": "my.cancel"}, condition=UNCHANGED, then=UNPARK),
    Step(name="retry", by="operator", to=SEND, otherwise=IDLE, fault="retries", when={"seen parked": "my.parked"},
         condition=UNCHANGED, then=UNPARK),
    Step(name="reject_pending", by="operator", to=IDLE, otherwise=IDLE,
         when={"seen parked": "my.parked", "pending": "my.status == PENDING"}, condition=UNCHANGED,
         then=f"{REOPENED}; o.status = REJECTED; {END}; g.refused = 1"),
    Step(name="reject_held", by="operator", to=SEND, otherwise=IDLE,
         when={"seen parked": "my.parked", "not pending": "my.status != PENDING and not my.cancel"},
         condition=CANCELLABLE, then=ASK),
    Step(name="publish_parked", by="operator", at=SEND, to=IDLE, then="q.visible += 1"),
)

REST = "nobody(my.status or my.created)"
"""No attempt runs."""
PROVIDER = (
    Step(name="forget_keys", by="provider", at=IDLE, to=IDLE, fault="days", unseen="a key is forgotten without an event",
         then="p.by_key[0] = 0; p.by_key[1] = 0; p.by_key[2] = 0; p.saved[3] = 0; p.saved[4] = 0; p.saved[6] = 0;"
         " p.saved[7] = 0; p.spoiled[0] = 0; p.spoiled_refund[0] = 0"),
    Step(name="cancel_by_hand", unseen=WORLD, by="provider", at=IDLE, to=IDLE, fault="hands", then="p.state[1] = CANCELED",
         facts={"open": "p.state[1] == OPEN", "stored": "o.payment == 1", "bounded": "o.n_create == 0"}),
    Step(name="change_amount", unseen=WORLD, by="provider", at=IDLE, to=IDLE, fault="hands", then=f"p.differs[1] = 1; g.overlapped = 0 if {REST} else 1",
         facts={"not cancelled": "p.state[1] != CANCELED", "stored": "o.payment == 1", "order is open": "o.listed",
                "bounded": "o.n_create == 0"}),
    Step(name="confirm_late", by="provider", at=IDLE, to=IDLE, then="p.state[o.payment] = SUCCEEDED; p.declined[o.payment] = 0",
         facts={"intent is open": "p.state[o.payment] == OPEN", "confirmation requested": "p.unanswered[o.payment]"}),
    Step(name="go_away", unseen=WORLD, by="provider", at=IDLE, to=IDLE, fault="outages", facts={"here": "not p.away"},
         then="p.away = 1"),
    Step(name="come_back", unseen=WORLD, by="recovery", at=IDLE, to=IDLE, facts={"away": "p.away"}, then="p.away = 0"),
)
# fmt: on

TABLE = by_name([*CUSTOMER, *DELIVERY, *WORK, *STOCK, *PAYMENT, *UNDO, *FAILURE, *SWEEPER, *OPERATOR, *PROVIDER])
