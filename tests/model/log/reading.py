"""Steps of a reader, and of the pages that it reads: half-visible transactions, expiry, and a restored table.

The log grows by one step here: that an append is atomic, and its numbers are the next ones, is what the notifiers'
part of the table shows.
"""

from tests.model.log.appending import MISTAKE
from tests.model.log.repairing import ELSEWHERE
from tests.model.log.table import AT, FOUND, IDLE, NO_HEAD, NUMBERS, READING, REFUSED, WALKING, never
from tests.model.steps import DECISION, WORLD
from tests.model.steps import READING as NOT_RECORDED
from tests.model.table import Step


def page(number: str) -> str:
    """Return the expression of the state of the page that contains a number."""
    return f"l.page[l.start[{number}]]"


def first_visible(number: str) -> str:
    """Return the expression of the first number from `number` on that a query shows before the read's end, or 0."""
    found = "0"
    for each in range(NUMBERS, 0, -1):
        is_shown = f"({page(str(each))} == EXPIRED or {page(str(each))} >= SHOWN)"
        found = f"({each} if {number} <= {each} and {each} < my.end and {is_shown} else {found})"
    return found


FINISHED = "(l.page[l.start[s.at]] != HIDDEN and l.page[l.start[s.at]] != SHOWN)"
"""No transaction is at the page of the reader's position: a transactional read of it meets no conflict."""
BEGINS_THERE = "(l.start[s.at] == s.at and l.page[s.at] >= HIDDEN)"
"""A transactional read of the position finds a page that has not expired."""
TAKEN = """
g.wrong = 1 if s.epoch and s.epoch != my.epoch else g.wrong
g.missed = 1 if g.misses else g.missed
"""
"""Witnesses of a read from another epoch than the log's, and of one from a position whose number was given again."""


def grow(count: int) -> Step:
    second = f"\nl.start[h.next + 1] = h.next if {count} > 1 else 0"
    return Step(
        name=f"grow_by_{count}", by="log", at=IDLE, to=IDLE, unseen=ELSEWHERE,
        facts={"bounded": f"h.next + {count} <= NUMBERS + 1"},
        when={"positions invalid before the log goes on": "not w.restored"},
        then=f"h.next = max(h.next, 1)\nl.start[h.next] = h.next{second}\nl.page[h.next] = HIDDEN"
        f"\nh.epoch = h.epoch if h.epoch else w.epoch\nh.next = h.next + {count}",
    )  # fmt: skip


REMOVED = """
for n in NUMBERS:
    l.page[n] = ABSENT if n >= h.next else l.page[n]
    l.start[n] = 0 if n >= h.next else l.start[n]
"""
"""Effect of the removal of pages beyond the end of the log."""


def restored(name: str, beyond_end: str) -> Step:
    """Return the step after which services run with an older log. `beyond_end` is what pages beyond its end become."""
    return Step(
        name=name, by="time", at=IDLE, to=IDLE, unseen=WORLD,
        facts={"backed up": "b.next", "services stopped": "nobody(my.pc != IDLE)"},
        then="g.misses = 1 if s.at > b.next else 0; w.restored = 1; h.next = b.next; h.epoch = b.epoch; b.next = 0; b.epoch = 0\n"
        "w.used = max(w.used, max(w.epoch, s.epoch)); w.epoch = h.epoch\n"
        f"for n in NUMBERS: l.page[n] = {beyond_end} if n >= h.next else DONE if l.page[n] >= HIDDEN else l.page[n]",
    )  # fmt: skip


# fmt: off
STORAGE = (
    grow(1),
    grow(2),
    Step(name="show", by="log", at=IDLE, to=IDLE, unseen=WORLD, facts={"hidden": "l.page[n] == HIDDEN"}, then="l.page[n] = SHOWN"),
    Step(name="finish", by="log", at=IDLE, to=IDLE, unseen=WORLD, facts={"visible": "l.page[n] == HIDDEN or l.page[n] == SHOWN"},
         then="l.page[n] = DONE"),
    Step(name="expire_page", by="time", at=IDLE, to=IDLE, unseen=WORLD, fault="expiries", facts={"oldest": "g.kept == n and l.page[n] == DONE"},
         then="l.page[n] = EXPIRED; g.kept = n + 2 if l.start[n + 1] == n else n + 1"),
    Step(name="delete_page", by="time", at=IDLE, to=IDLE, unseen=WORLD, facts={"expired": "l.page[n] == EXPIRED"}, then="l.page[n] = ABSENT"),
    Step(name="back_up", by="time", at=IDLE, to=IDLE, unseen=WORLD, fault="backups", facts={"head exists": "h.next"},
         then="b.next = h.next; b.epoch = h.epoch"),
    restored("restore", "ABSENT"),
    restored("fail_over", "l.page[n]"),
    Step(name="raise_all", by="time", at=IDLE, to=IDLE, fault="raises", facts={"head exists": "h.next"}, unseen=ELSEWHERE,
         then=f"w.used = max(w.used, w.epoch) + 1; w.epoch = w.used; h.epoch = w.used; w.restored = 0\n{REMOVED}"),
    Step(name="raise_to_used", by="time", at=IDLE, to=IDLE, fault="raises", facts={"head exists": "h.next"}, unseen=MISTAKE,
         when=never("an epoch that was never in use"), then=f"w.epoch = w.epoch + 1; h.epoch = w.epoch; w.restored = 0\n{REMOVED}"),
    Step(name="raise_only", by="time", at=IDLE, to=IDLE, fault="raises", facts={"head exists": "h.next"}, unseen=MISTAKE,
         when=never("pages beyond the end removed"),
         then="w.used = max(w.used, w.epoch) + 1; w.epoch = w.used; h.epoch = w.used; w.restored = 0"),
)
READER = (
    Step(name="start_latest", by="reader", at=IDLE, to=IDLE, facts={"no position": "not s.at", "head exists": "h.next"},
         then="s.at = h.next; s.epoch = h.epoch"),
    Step(name="find_no_log", by="reader", at=IDLE, to=NO_HEAD, unseen=NOT_RECORDED, facts={"no position": "not s.at", "no head": "not h.next"}),
    Step(name="start_before", by="reader", at=NO_HEAD, to=IDLE, then="s.at = 1; s.epoch = w.epoch"),
    Step(name="find_oldest", by="reader", at=IDLE, to=WALKING, unseen=NOT_RECORDED, facts={"no position": "not s.at", "head exists": "h.next"},
         then=f"my.end = h.next; my.epoch = h.epoch; my.found = {first_visible('1')}"),
    Step(name="look_at_last", by="reader", at=WALKING, to=WALKING, unseen=NOT_RECORDED,
         facts={"nothing visible": "not my.found", "finished": "l.page[l.start[my.end - 1]] != HIDDEN and l.page[l.start[my.end - 1]] != SHOWN"},
         then="my.found = l.start[my.end - 1] if l.page[l.start[my.end - 1]] >= HIDDEN else my.end"),
    Step(name="skip_expired", by="reader", at=WALKING, to=WALKING, unseen=NOT_RECORDED,
         facts={"expired": "my.found and my.found < my.end and l.page[l.start[my.found]] < HIDDEN"}, then="my.found = my.found + 1"),
    Step(name="walk_back", by="reader", at=WALKING, to=WALKING, unseen=NOT_RECORDED,
         facts={"page before": "my.found > 1 and l.page[l.start[my.found - 1]] == DONE"}, then="my.found = l.start[my.found - 1]"),
    Step(name="start_earliest", by="reader", at=WALKING, to=IDLE, facts={"found": "my.found and (my.found == my.end or l.page[l.start[my.found]] >= HIDDEN)"},
         when={"no page before it": "my.found == 1 or l.page[l.start[my.found - 1]] < HIDDEN"},
         then="s.at = my.found; s.epoch = my.epoch; g.late = 1 if g.kept < my.found else g.late"),
    Step(name="begin_read", by="reader", at=IDLE, to=READING, unseen=NOT_RECORDED, facts={"position": "s.at", "head exists": "h.next"},
         then="my.end = h.next; my.epoch = h.epoch"),
    Step(name="refuse_epoch", by="reader", at=READING, to=REFUSED, when={"another epoch": "s.epoch and s.epoch != my.epoch"},
         then="g.refused = g.refused if s.epoch and s.epoch != my.epoch else 1"),
    Step(name="refuse_end", by="reader", at=READING, to=REFUSED, unseen="no reader of the simulation has a position of another log",
         when={"epoch of the log": "not s.epoch or s.epoch == my.epoch", "beyond the end": "s.at > my.end"},
         then="g.refused = 1 if s.at >= g.kept and s.at <= my.end else g.refused"),
    Step(name="accept_position", by="reader", at=READING, to=AT, unseen=DECISION,
         when={"epoch of the log": "not s.epoch or s.epoch == my.epoch", "not beyond the end": "s.at <= my.end"}),
    Step(name="end_read", by="reader", at=AT, to=IDLE, when={"at the end": "s.at >= my.end"},
         then=f"{TAKEN}\ns.epoch = my.epoch\ng.stale = 1 if s.at < my.end else g.stale"),
    Step(name="query", by="reader", at=AT, to=FOUND, unseen=NOT_RECORDED, when={"below the end": "s.at < my.end"},
         then=f"my.found = {first_visible('s.at')}"),
    Step(name="take", by="reader", at=FOUND, to=AT, facts={"found": "my.found and my.found < my.end"},
         when={"without a gap": "my.found == s.at", "expired pages are absent": f"{page('my.found')} != EXPIRED"},
         then=f"{TAKEN}\ng.skipped = 1 if my.found != s.at else g.skipped\ng.stale = 1 if my.found < g.kept and"
         f" {page('my.found')} == EXPIRED else g.stale\ns.at = my.found + 1; s.epoch = my.epoch"),
    Step(name="take_committed", by="reader", at=FOUND, to=AT, unseen=NOT_RECORDED,
         facts={"finished": FINISHED, "page exists": BEGINS_THERE, "at a gap": "my.found != s.at"}, then=f"{TAKEN}\ns.at = s.at + 1; s.epoch = my.epoch"),
    Step(name="refuse_expired", by="reader", at=FOUND, to=REFUSED, unseen="nothing expires in the simulation",
         facts={"finished": FINISHED}, when={"at a gap or expired": f"my.found != s.at or {page('s.at')} == EXPIRED", "absent in a transaction": f"not {BEGINS_THERE}"},
         then="g.refused = 1 if s.at >= g.kept else g.refused"),
    Step(name="refuse_unread", by="reader", at=FOUND, to=REFUSED, unseen=MISTAKE, facts={"not visible": "my.found != s.at"},
         when=never("a missing page is read in a transaction"), then="g.refused = 1 if s.at >= g.kept else g.refused"),
    Step(name="restart", by="reader", at=REFUSED, to=IDLE, unseen=DECISION, then="s.at = 0; s.epoch = 0; g.misses = 0"),
    Step(name="read_fails", by="reader", at=(NO_HEAD, READING, AT, FOUND, WALKING), to=IDLE, fault="failures"),
)
# fmt: on
