"""The transaction that appends: its conditions, its effects, and the witnesses of its mistakes."""

from tests.model.table import Guards

MISTAKE = "a guard forbids the step"
"""Reason why no history shows a step that the protocol must not take."""
NUMBER = "max(my.next, 1)"
"""Number of the next event, as the notifier has read the head."""
THROUGH = "max(my.cursor[i], max(c.early[i], c.old[i]))"
"""Last version of an order that needs no event any more."""
NO_NEED = "max(c.early[i], c.old[i])"


def missing(through: str) -> str:
    return f"my.has[i] and my.version[i] > {through}"


def appended(through: str) -> str:
    """Return the effects of an append of the versions after `through`, and the witnesses of its mistakes."""
    return f"""
g.misnumbered = 1 if g.end != {NUMBER} or l.page[{NUMBER}] else g.misnumbered
l.page[{NUMBER}] = DONE
h.next = {NUMBER}
h.epoch = my.epoch
for i in ORDERS:
    g.twice = 1 if {missing(through)} and {through} < g.last[i] else g.twice
    g.skipped = 1 if {missing(through)} and {through} > max(g.last[i], {NO_NEED}) else g.skipped
    g.backfilled = 1 if {missing(through)} and {through} < c.early[i] else g.backfilled
    h.next = h.next + my.version[i] - {through} if {missing(through)} else h.next
    g.last[i] = my.version[i] if {missing(through)} else g.last[i]
    c.cursor[i] = my.version[i] if {missing(through)} else c.cursor[i]
    for v in VERSIONS:
        e.state[v] = APPENDED if {missing(through)} and v > {through} and v <= my.version[i] else e.state[v]
        g.copies[v] = g.copies[v] + 1 if {missing(through)} and v > {through} and v <= my.version[i] else g.copies[v]
g.end = h.next
"""


CONDITION: Guards = {
    "head unchanged": "h.next == my.next",
    "epoch of the head": "not my.next or h.epoch == my.epoch",
    "epoch of a new head": "my.next or w.epoch == my.epoch",
    "page absent": f"not l.page[{NUMBER}]",
    "cursors unchanged": f"each(my.version[i] <= {THROUGH} or c.cursor[i] == my.cursor[i])",
}
"""Conditions of the transaction in `append.py`."""
