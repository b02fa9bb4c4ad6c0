"""The transition table of the log: notifiers that append. Those of readers and operators are in files of their own."""

from collections.abc import Mapping

from tests.model.log.appending import CONDITION, MISTAKE, THROUGH, appended
from tests.model.log.reading import READER, STORAGE
from tests.model.log.repairing import OPERATOR, RAISE
from tests.model.log.table import (
    CURSORS_LEFT,
    HEAD_LEFT,
    IDLE,
    LOG,
    NEW,
    READY,
    RECEIVED,
    RETRY,
    SETTLE,
    never,
)
from tests.model.steps import DECISION, READING, WORLD
from tests.model.table import Guards, Step, by_name


def appends(through: str) -> Guards:
    return {"epoch known": "my.next or my.known", "something is missing": f"not each(my.version[i] <= {through})"}


def mistaken_append(name: str, through: str, guard: str) -> Step:
    """Return an append of events that the log must not have. The guard forbids it."""
    return Step(
        name=name, by="notifier", at=READY, to=SETTLE, unseen=MISTAKE, when=never(guard),
        facts={**appends(through), **CONDITION}, then=appended(through),
    )  # fmt: skip


HEAD = "my.next = h.next; my.epoch = h.epoch if h.next else my.known"
CURSORS = "for i in ORDERS: my.cursor[i] = c.cursor[i] if my.has[i] else 0"
AGAIN = "for i in ORDERS: q.message[i] = 1 if my.has[i] else q.message[i]"
"""The messages become visible again."""
AT_WORK = (RECEIVED, LOG, HEAD_LEFT, CURSORS_LEFT, READY, RETRY, SETTLE)

# fmt: off
FEED = (
    Step(name="change", by="orders", at=IDLE, to=IDLE, facts={"bounded": "c.version[i] < LAST"},
         then="c.version[i] += 1; q.message[i] = 1"),
    Step(name="repeat", by="feed", at=IDLE, to=IDLE, fault="duplicates", facts={"bounded": "c.version[i] > 0"},
         then="q.message[i] = 1"),
    Step(name="lose", by="feed", at=IDLE, to=IDLE, fault="losses", facts={"bounded": "q.message[i]"}, then="q.message[i] = 0",
         unseen=WORLD),
)
BEGIN = (
    Step(name="begin", by="notifier", at=NEW, to=NEW, otherwise=NEW, condition={"log absent": "not w.epoch"},
         then="w.epoch = 1\nfor i in ORDERS: c.early[i] = c.version[i]"),
    Step(name="learn_epoch", by="notifier", at=NEW, to=IDLE, unseen=READING, facts={"begun": "w.epoch"}, then="my.known = w.epoch"),
    Step(name="learn_epoch_again", by="notifier", at=READY, to=READY, unseen=READING,
         facts={"no head": "not my.next", "forgotten": "not my.known"}, then="my.known = w.epoch; my.epoch = w.epoch"),
    mistaken_append("append_before_begin", "max(my.cursor[i], c.old[i])", "no event of a change before the log"),
)
NOTIFIER = (
    Step(name="receive_change", by="notifier", at=(IDLE, RECEIVED), to=RECEIVED,
         facts={"message visible": "q.message[i] and not my.has[i]"}, then="q.message[i] = 0; my.has[i] = 1"),
    Step(name="join_append", by="notifier", at=LOG, to=LOG, unseen=MISTAKE, facts={"message visible": "q.message[i] and my.has[i]"},
         when=never("a message waits for the next append"), then="q.message[i] = 0"),
    Step(name="read_orders", by="notifier", at=RECEIVED, to=LOG, unseen=READING,
         then="for i in ORDERS: my.version[i] = c.version[i] if my.has[i] else 0"),
    Step(name="read_old_orders", by="notifier", at=RECEIVED, to=LOG, unseen=MISTAKE, when=never("orders read consistently"),
         then="for i in ORDERS: my.version[i] = c.version[i] - 1 if my.has[i] and c.version[i] else 0"),
    Step(name="read_head_first", by="notifier", at=LOG, to=CURSORS_LEFT, unseen=READING, then=HEAD),
    Step(name="read_cursors_last", by="notifier", at=CURSORS_LEFT, to=READY, unseen=READING, then=CURSORS),
    Step(name="read_cursors_first", by="notifier", at=LOG, to=HEAD_LEFT, unseen=READING, then=CURSORS),
    Step(name="read_head_last", by="notifier", at=HEAD_LEFT, to=READY, unseen=READING, then=HEAD),
    Step(name="find_nothing", by="notifier", at=READY, to=SETTLE, unseen=DECISION,
         when={"nothing is missing": f"each(my.version[i] <= {THROUGH})"}),
    Step(name="append", by="notifier", at=READY, to=SETTLE, otherwise=RETRY, facts=appends(THROUGH), condition=CONDITION,
         then=appended(THROUGH)),
    mistaken_append("append_expired", "max(my.cursor[i], c.early[i])", "no event of a change that has expired"),
    Step(name="append_again", by="notifier", at=RETRY, to=LOG, unseen=DECISION, then="my.known = 0"),
    Step(name="acknowledge_change", by="notifier", at=SETTLE, to=IDLE),
    Step(name="acknowledge_early", by="notifier", at=LOG, to=IDLE, unseen=MISTAKE, when=never("appended before it is acknowledged")),
    Step(name="give_up", by="notifier", at=AT_WORK, to=IDLE, fault="failures", then=AGAIN),
    Step(name="kill", by="notifier", at=AT_WORK, to=NEW, fault="crashes", then=AGAIN),
)
AGE = (
    Step(name="age", by="time", at=IDLE, to=IDLE, unseen=WORLD, facts={"bounded": "c.old[i] < c.version[i]"}, then="c.old[i] += 1"),
    Step(name="expire_cursor", by="time", at=IDLE, to=IDLE, unseen=WORLD, facts={"bounded": "c.cursor[i]"},
         when={"a cursor outlives its events": "c.old[i] >= c.cursor[i]"}, then="c.cursor[i] = 0"),
)
# fmt: on
TABLE: Mapping[str, Step] = by_name((*FEED, *BEGIN, *NOTIFIER, *AGE, *RAISE, *STORAGE, *READER, *OPERATOR))
