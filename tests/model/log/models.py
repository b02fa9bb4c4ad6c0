"""The models of the log.

log          two orders, two notifiers: any number of crashes, duplicates and failed requests
log_notify   one order ends in its log under fair scheduling, with two of crash, duplicate and failed request
log_birth    the log begins while orders change, and an operator raises its epoch
log_epoch    two operators raise the epoch while events are appended
log_expiry   events and cursors expire
log_read     a reader beside transactions that are visible in part, pages that expire, and an epoch that is raised
log_restore  a table is restored from a backup, or from a replica that lacks the head of its last pages, and the epoch is raised before the log goes on
log_lost     messages and events are lost, and come back once an operator compares the log with the orders
log_repair   two operators append lost events again, beside a notifier and transactions that are visible in part
"""

from dataclasses import replace

from tests.model.log.promela import LogModel
from tests.model.log.reading import READER, STORAGE
from tests.model.log.repairing import OPERATOR, RAISE
from tests.model.log.steps import AGE, BEGIN, FEED, NOTIFIER
from tests.model.log.table import HIDDEN, IDLE, NEW
from tests.model.models import names

IN_ORDER = {
    "no event is in the log twice": "not g.twice",
    "the events of an order are in order, and none is skipped": "not g.skipped",
    "numbers follow without a gap": "not g.misnumbered",
}
OF_EPOCH = {"no log keeps an epoch older than the one raised": "not h.next or h.epoch >= w.raised"}
WRITTEN = frozenset({"c.version", "c.cursor", "q.message", "h.next", "l.page", "my.pc", "my.has", "my.version",
                     "my.cursor", "my.next", "g.last", "g.end", "g.twice", "g.skipped", "g.misnumbered"})  # fmt: skip
SHARED = names(FEED, NOTIFIER, without="lose append_expired")
ALL_LOGGED = "max(g.last[{0}], c.early[{0}]) == c.version[{0}]"

LOG_MODEL = LogModel(
    name="log",
    steps=SHARED,
    variables=WRITTEN,
    fixed={"my.known": 1, "my.epoch": 1, "h.epoch": 1, "w.epoch": 1},
    constants={},
    actors={"notifier": 2},
    same={"notifier": {NEW: IDLE}},
    tracked=2,
    last=2,
    always=IN_ORDER,
)
NOTIFY = LogModel(
    name="log_notify",
    steps=SHARED,
    variables=WRITTEN,
    fixed=LOG_MODEL.fixed,
    constants={},
    actors={"notifier": 2},
    same=LOG_MODEL.same,
    faults={"fault": 2},
    mixed=frozenset({"crashes", "duplicates", "failures"}),
    tracked=1,
    last=3,
    always=IN_ORDER,
    again={"each change of an order has its event": ALL_LOGGED.format(0)},
)
BIRTH = LogModel(
    name="log_birth",
    steps=names(FEED, BEGIN, NOTIFIER, RAISE, without="lose append_expired"),
    variables=WRITTEN | {"w.epoch", "w.raised", "h.epoch", "my.epoch", "my.known", "c.early", "g.backfilled"},
    constants={},
    actors={"notifier": 2, "operator": 1},
    faults={"raises": 1, "crashes": 1, "failures": 0, "duplicates": 1},
    tracked=1,
    last=2,
    always={
        **IN_ORDER,
        "a change before the log began has no event": "not g.backfilled",
        **OF_EPOCH,
    },
)
EPOCH = LogModel(
    name="log_epoch",
    steps=names(FEED, NOTIFIER, RAISE, without="lose append_expired") | {"learn_epoch_again"},
    variables=WRITTEN | {"w.epoch", "w.raised", "h.epoch", "my.epoch", "my.known"},
    constants={},
    actors={"notifier": 1, "operator": 2},
    same=LOG_MODEL.same,
    initial=("w.epoch = 1",),
    faults={"raises": 2, "failures": 1, "crashes": 0},
    tracked=1,
    last=2,
    always={**IN_ORDER, **OF_EPOCH},
)
EXPIRY = LogModel(
    name="log_expiry",
    steps=names(FEED, NOTIFIER, AGE, without="lose"),
    variables=WRITTEN | {"c.old"},
    fixed=LOG_MODEL.fixed,
    constants={},
    actors={"notifier": 2},
    same=LOG_MODEL.same,
    tracked=1,
    last=3,
    always=IN_ORDER,
)
READ = frozenset({"h.next", "h.epoch", "w.epoch", "l.page", "l.start", "s.at", "s.epoch", "my.pc", "my.end", "my.epoch",
                  "my.found", "g.kept", "g.skipped", "g.wrong", "g.stale", "g.late", "g.refused"})  # fmt: skip
OF_RESTORE = "back_up restore fail_over raise_to_used raise_only"
READ_MODEL = LogModel(
    name="log_read",
    steps=names(STORAGE, READER, without=OF_RESTORE),
    variables=READ | {"w.used"},
    constants={},
    actors={"reader": 1},
    faults={"raises": 1, "failures": 1},
    numbers=4,
    initial=("w.epoch = 1",),
    always={
        "a reader skips no event": "not g.skipped",
        "no event is read from a position of another epoch": "not g.wrong",
        "no expired event is read, and no read ends early": "not g.stale",
        "the earliest position is that of the oldest event kept": "not g.late",
        "no position is refused while its events are kept": "not g.refused",
    },
    again={"a reader reaches the end of the log": "s.at == h.next or not h.next"},
)
RESTORE = LogModel(
    name="log_restore",
    steps=names(STORAGE, READER, without="expire_page delete_page skip_expired"),
    variables=READ | {"b.next", "b.epoch", "w.used", "w.restored", "g.misses", "g.missed"},
    constants={},
    actors={"reader": 1},
    faults={"raises": 2, "backups": 1},
    numbers=4,
    initial=("w.epoch = 1",),
    always={
        "a reader skips no event": "not g.skipped",
        "no event is read from a position of another epoch": "not g.wrong",
        "no position from before a restore misses events after it": "not g.missed",
        "no page is beyond the end of the log": "w.restored or not ("
        + " or ".join(f"(l.page[{each}] and {each} >= max(h.next, 1))" for each in range(1, 5))
        + ")",
    },
)
REPAIR = LogModel(
    name="log_repair",
    steps=names(FEED, NOTIFIER, OPERATOR, without="append_expired"),
    variables=WRITTEN | {"c.rebuilds", "my.rebuilds", "my.lost", "e.state", "g.copies"},
    fixed=LOG_MODEL.fixed,
    constants={"APPENDED": HIDDEN},
    actors={"notifier": 1, "operator": 2},
    same=LOG_MODEL.same,
    faults={"losses": 1, "losings": 1, "others": 1, "crashes": 0, "failures": 0, "duplicates": 0},
    tracked=1,
    last=2,
    always={
        **IN_ORDER,
        "a repair adds no event that the log has": " and ".join(f"g.copies[{each}] <= 1" for each in (1, 2)),
    },
)
LOST = replace(
    REPAIR,
    name="log_lost",
    actors={"notifier": 1, "operator": 1},
    faults={**REPAIR.faults, "losses": 2, "losings": 2, "others": 0},
    again={"a lost event returns": "(e.state[1] or not c.version[0]) and (e.state[2] or c.version[0] < 2)"},
)
LOG_MODELS = (NOTIFY, EXPIRY, EPOCH, BIRTH, READ_MODEL, RESTORE, LOST, REPAIR, LOG_MODEL)
