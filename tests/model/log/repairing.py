"""Steps of operators: raising the epoch, and appending lost events again."""

from tests.model.log.appending import CONDITION, MISTAKE, NUMBER
from tests.model.log.table import (
    AT_PAGES,
    CHECKING,
    COMPARED,
    COMPARING,
    FOUND_LOST,
    HEAD_NEXT,
    HEAD_READ,
    IDLE,
    RAISED,
    RAISING,
    SETTLE,
    never,
)
from tests.model.steps import DECISION, READING, WORLD
from tests.model.table import Step

ELSEWHERE = "the notifiers' append, which is a step of its own"
GROWS = {"epoch of the head grows": "h.epoch < my.epoch"}

LATE = """
for v in VERSIONS:
    e.state[v] = APPENDED if v > c.cursor[0] and v <= my.version[0] else e.state[v]
    g.copies[v] = g.copies[v] + 1 if v > c.cursor[0] and v <= my.version[0] else g.copies[v]
l.page[max(h.next, 1)] = DONE if c.cursor[0] < my.version[0] else l.page[max(h.next, 1)]
h.next = max(h.next, 1) + my.version[0] - c.cursor[0] if c.cursor[0] < my.version[0] else h.next
c.cursor[0] = max(c.cursor[0], my.version[0])
g.last[0] = c.cursor[0]
g.end = h.next
my.cursor[0] = my.version[0]
"""
"""Effects of an append of the versions that the operator has read."""
AGAIN = f"""
g.misnumbered = 1 if g.end != {NUMBER} or l.page[{NUMBER}] else g.misnumbered
l.page[{NUMBER}] = DONE
h.next = {NUMBER}
for v in VERSIONS:
    e.state[v] = APPENDED if my.lost[v] else e.state[v]
    g.copies[v] = g.copies[v] + 1 if my.lost[v] else g.copies[v]
    h.next = h.next + 1 if my.lost[v] else h.next
g.end = h.next
c.rebuilds = my.rebuilds + 1
"""
"""Effects of an append of lost events."""
SET_BACK = "c.cursor[0] = my.version[0]; g.last[0] = my.version[0]"
UNCHANGED = "c.cursor[0] == my.version[0] and c.rebuilds == my.rebuilds"
HEAD_CONDITION = {name: text for name, text in CONDITION.items() if name in {"head unchanged", "page absent"}}

# fmt: off
RAISE = (
    Step(name="choose_epoch", by="operator", at=IDLE, to=RAISING, fault="raises", unseen=DECISION, facts={"begun": "w.epoch"},
         then="my.epoch = w.epoch + 1"),
    Step(name="choose_later_epoch", by="operator", at=IDLE, to=RAISING, fault="raises", unseen=DECISION, facts={"begun": "w.epoch"},
         then="my.epoch = w.epoch + 2"),
    Step(name="raise_epoch", by="operator", at=RAISING, to=HEAD_NEXT, otherwise=HEAD_NEXT,
         condition={"epoch of the log grows": "w.epoch < my.epoch"}, then="w.epoch = my.epoch"),
    Step(name="leave_epoch", by="operator", at=RAISING, to=HEAD_NEXT, unseen=MISTAKE, when=never("epoch of the log raised first")),
    Step(name="raise_head", by="operator", at=HEAD_NEXT, to=RAISED, otherwise=RAISED, facts={"head exists": "h.next"},
         condition=GROWS, then="h.epoch = my.epoch"),
    Step(name="find_no_head", by="operator", at=HEAD_NEXT, to=RAISED, facts={"no head": "not h.next"}, unseen=DECISION),
    Step(name="end_raise", by="operator", at=RAISED, to=IDLE, unseen=DECISION, then="w.raised = max(w.raised, my.epoch)"),
)
LOST = "my.lost[1] or my.lost[2] or my.lost[3]"
OPERATOR = (
    Step(name="lose_event", by="log", at=IDLE, to=IDLE, unseen=WORLD, fault="losings", facts={"appended": "e.state[v] == DONE"},
         then="e.state[v] = ABSENT; g.copies[v] = g.copies[v] - 1"),
    Step(name="finish_event", by="log", at=IDLE, to=IDLE, unseen=WORLD, facts={"hidden": "e.state[v] == HIDDEN"}, then="e.state[v] = DONE"),
    Step(name="append_other", by="log", at=IDLE, to=IDLE, unseen=ELSEWHERE, fault="others",
         then="h.next = max(h.next, 1); l.page[h.next] = DONE; h.next = h.next + 1; g.end = h.next"),
    Step(name="compare", by="operator", at=IDLE, to=COMPARING, unseen=READING, facts={"order exists": "c.version[0]"},
         then="my.version[0] = c.version[0]"),
    Step(name="compare_cursor", by="operator", at=COMPARING, to=AT_PAGES, unseen=READING,
         then="my.cursor[0] = c.cursor[0]; my.rebuilds = c.rebuilds"),
    Step(name="compare_pages", by="operator", at=AT_PAGES, to=CHECKING, unseen=READING,
         then="for v in VERSIONS: my.lost[v] = 1 if v <= my.cursor[0] and v <= my.version[0] and e.state[v] < SHOWN else 0"),
    Step(name="compare_pages_first", by="operator", at=COMPARING, to=CHECKING, unseen=MISTAKE, when=never("cursors compared before pages"),
         then="for v in VERSIONS: my.lost[v] = 1 if v <= my.version[0] and e.state[v] < SHOWN else 0\n"
         "my.cursor[0] = my.version[0]; my.rebuilds = c.rebuilds"),
    Step(name="check_gaps", by="operator", at=CHECKING, to=COMPARED, unseen=READING,
         facts={"finished": "not (my.lost[1] and e.state[1] == HIDDEN) and not (my.lost[2] and e.state[2] == HIDDEN)"
                " and not (my.lost[3] and e.state[3] == HIDDEN)"},
         then="for v in VERSIONS: my.lost[v] = 1 if my.lost[v] and e.state[v] == ABSENT else 0"),
    Step(name="trust_query", by="operator", at=CHECKING, to=COMPARED, unseen=MISTAKE, when=never("gaps are compared in a transaction")),
    Step(name="append_late", by="operator", at=COMPARED, to=COMPARED, unseen=ELSEWHERE,
         facts={"late": "my.cursor[0] < my.version[0]"}, then=LATE),
    Step(name="find_lost", by="operator", at=COMPARED, to=FOUND_LOST, unseen=DECISION,
         facts={"late ones first": "my.cursor[0] >= my.version[0]", "lost": LOST}),
    Step(name="find_complete", by="operator", at=COMPARED, to=IDLE, unseen=DECISION,
         facts={"late ones first": "my.cursor[0] >= my.version[0]", "nothing lost": f"not ({LOST})"}),
    Step(name="read_head", by="operator", at=FOUND_LOST, to=HEAD_READ, unseen=READING, then="my.next = h.next; my.epoch = h.epoch"),
    Step(name="append_lost", by="operator", at=HEAD_READ, to=IDLE, otherwise=FOUND_LOST,
         facts={"order as compared": UNCHANGED}, condition=HEAD_CONDITION, then=AGAIN),
    Step(name="leave_changed", by="operator", at=HEAD_READ, to=IDLE, unseen=DECISION, facts={"changed": f"not ({UNCHANGED})"}),
    Step(name="append_with_new_cursor", by="operator", at=HEAD_READ, to=IDLE, unseen=MISTAKE,
         facts={**HEAD_CONDITION, "rebuilt": "c.cursor[0] == my.version[0]"}, when=never("rebuilds as compared"), then=AGAIN),
    Step(name="append_of_changed", by="operator", at=HEAD_READ, to=IDLE, unseen=MISTAKE,
         facts={**HEAD_CONDITION, "appended": "c.rebuilds == my.rebuilds"}, when=never("cursor as compared"), then=f"{AGAIN}\n{SET_BACK}"),
    Step(name="forget_rebuilds", by="notifier", at=SETTLE, to=SETTLE, unseen=MISTAKE, when=never("an append keeps the rebuilds"),
         then="c.rebuilds = 0"),
)
# fmt: on
