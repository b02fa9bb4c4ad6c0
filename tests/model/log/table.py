"""Variables and positions of the protocol of the log of order events. `tests/model/table.py` has the language.

Names of a step's expressions are constants, or variables of a namespace:

    c   orders: newest version, cursor       q   messages of the change feed     h   head of the log
    l   pages of the log, by number          w   log of the environment          b   backup of the log
    e   events of one order in the log       s   position stored by a reader     g   what only the properties read
    my  an actor's own memory

Additions to the language: `each(c)` is true if the condition c holds for each order i of the actor; `for i in ORDERS`
repeats effects; a step with a free `i`, `n` or `v` exists for each order i, number n of the log, or version v of an
order; `max` has two arguments.
"""

from collections.abc import Mapping

from tests.model.table import Guards, Variable

IDLE, NEW, RECEIVED, LOG, HEAD_LEFT, CURSORS_LEFT, READY, RETRY, SETTLE = range(9)
"""Positions of a notifier. At LOG it has read the orders, at READY also head and cursors."""
RAISING, HEAD_NEXT, RAISED = range(1, 4)
"""Positions of an operator who raises the epoch."""
COMPARING, AT_PAGES, CHECKING, COMPARED, FOUND_LOST, HEAD_READ = range(4, 10)
"""Positions of an operator who compares the log with the orders."""
NO_HEAD, READING, AT, FOUND, REFUSED, WALKING = range(1, 7)
"""Positions of a reader."""

ABSENT, EXPIRED, HIDDEN, SHOWN, DONE = range(5)
"""State of a page. Queries may miss a HIDDEN page; the transaction of a HIDDEN or SHOWN page is not finished."""
APPENDED = DONE
"""State in which an append leaves a page. A model with half-visible events has HIDDEN instead."""
NUMBERS = 5
"""Numbers of a log in a model."""

CONSTANTS: Mapping[str, int] = {
    name: value for name, value in list(globals().items()) if name.isupper() and isinstance(value, int)
}

NEVER = "False"
"""Expression of a guard that forbids a step: without the guard, the protocol makes a mistake."""


def never(name: str) -> Guards:
    return {name: NEVER}


PLAIN = Variable()
OF_ORDERS = Variable(size=2)
OF_NUMBERS = Variable(size=NUMBERS + 2)
OF_VERSIONS = Variable(size=4)
VARIABLES: Mapping[str, Variable] = {
    "c.version": OF_ORDERS,
    "c.cursor": OF_ORDERS,
    "c.early": OF_ORDERS,
    "c.old": OF_ORDERS,
    "c.rebuilds": PLAIN,
    "q.message": OF_ORDERS,
    "w.epoch": PLAIN,
    "w.used": PLAIN,
    "w.raised": PLAIN,
    "w.restored": PLAIN,
    "h.next": PLAIN,
    "h.epoch": PLAIN,
    "l.page": OF_NUMBERS,
    "l.start": OF_NUMBERS,
    "e.state": OF_VERSIONS,
    "b.next": PLAIN,
    "b.epoch": PLAIN,
    "s.at": PLAIN,
    "s.epoch": PLAIN,
    "my.pc": PLAIN,
    "my.has": OF_ORDERS,
    "my.version": OF_ORDERS,
    "my.cursor": OF_ORDERS,
    "my.next": PLAIN,
    "my.epoch": PLAIN,
    "my.known": PLAIN,
    "my.rebuilds": PLAIN,
    "my.lost": OF_VERSIONS,
    "my.end": PLAIN,
    "my.found": PLAIN,
    "g.last": OF_ORDERS,
    "g.end": Variable(initial=1),
    "g.copies": OF_VERSIONS,
    "g.kept": Variable(initial=1),
    "g.misses": PLAIN,
    "g.twice": PLAIN,
    "g.skipped": PLAIN,
    "g.misnumbered": PLAIN,
    "g.backfilled": PLAIN,
    "g.wrong": PLAIN,
    "g.missed": PLAIN,
    "g.stale": PLAIN,
    "g.late": PLAIN,
    "g.refused": PLAIN,
}
