"""HTML of the Lab."""

from collections.abc import Sequence
from datetime import datetime

import htpy as h

from devstack.lab.faults import KILLED, PAYMENTS, SQS_GATE, SUSPENDED_SECONDS, Action
from devstack.lab.figures import EVENT_GRACE, Figures
from devstack.lab.process import LAB
from order_pages.live import live_part

STREAM = f"{LAB}/figures"
COUNTS = (100, 500, 1000)
LAST_ACTIONS = 6
LAST_DETAILS = 10


def lab_content(figures: Figures | None, problem: str, actions: Sequence[Action], done: Action | None) -> h.Node:
    """Return the main content of the Lab. `done` is the action that led here."""
    return [
        h.p[
            "Let customers place orders, then break the platform under them. Each customer asks again until it has an "
            "answer. A checker compares the answers with the stored orders, the payments at the "
            "provider and the log of events."
        ],
        h.p("#result.notice", tabindex="-1")[f"{clock(done.at)}: {done.text}"] if done else None,
        _forms(),
        live_part("figures", STREAM, figures_part(figures, problem, actions)),
        h.h2["Notes"],
        h.ul[
            h.li["Three of ten orders are paid by card, one is declined, the others are not paid online."],
            h.li[
                "Kill sends SIGKILL. The supervisor starts the process again, with a line in the terminal of ",
                h.code["make up"],
                ".",
            ],
            h.li["A poison message cannot be parsed. It must become a dead letter, and stop nothing else."],
            h.li[
                "The embedded AWS cannot be killed here. It keeps tables and queues in memory and saves them only when "
                "it is stopped in order, so a kill loses orders that AWS would keep."
            ],
            h.li["Failing webhook receivers are not part of the Lab yet."],
            h.li["The figures count the orders of this experiment, not those that you place by other means."],
        ],
        h.form(".row", method="post", action=f"{LAB}/new")[h.button["Start a new experiment"]],
        h.p(".quiet")["The counters start at 0. Stored orders stay."],
    ]


def _forms() -> h.Node:
    return [
        h.form(".row", method="post", action=f"{LAB}/orders")[
            (h.button(name="count", value=str(count), class_="primary")[f"Place {count:,} orders"] for count in COUNTS)
        ],
        h.form(".row", method="post", action=f"{LAB}/kill")[
            (h.button(name="name", value=name)[f"Kill {name}"] for name in KILLED)
        ],
        h.form(".row", method="post", action=f"{LAB}/suspend")[
            h.button(name="name", value=SQS_GATE)[f"Stop SQS for {SUSPENDED_SECONDS:.0f} s"],
            h.button(name="name", value=PAYMENTS)[f"Freeze the payment provider for {SUSPENDED_SECONDS:.0f} s"],
            h.button(formaction=f"{LAB}/poison")["Send a poison message"],
        ],
    ]


def figures_part(figures: Figures | None, problem: str, actions: Sequence[Action]) -> h.Node:
    """Return the part that each message of the stream replaces."""
    return [
        h.p(".notice.bad", role="alert")[problem] if problem else None,
        []
        if figures is None
        else [
            h.p(".quiet")[f"Figures of {clock(figures.at)}"],
            _counters(figures),
            _verdict(figures),
            _processes(figures),
        ],
        _actions(actions),
    ]


def _counters(figures: Figures) -> h.Node:
    must_be_0 = (
        ("lost", figures.lost),
        ("doubled", figures.doubled),
        ("charged twice", figures.charged_twice),
        ("events missing", figures.events_missing),
    )
    return h.ul(".cards")[
        _counter("wanted", figures.wanted, ""),
        _counter("accepted", figures.accepted, ""),
        _counter("in progress", figures.accepted - figures.ended - figures.lost, ""),
        _counter("ended", figures.ended, ""),
        (_counter(name, count, "bad" if count else "good") for name, count in must_be_0),
    ]


def _counter(name: str, count: int, style: str) -> h.Node:
    return h.li[h.b(id=f"count-{name.replace(' ', '-')}", class_=style)[f"{count:,}"], name]


def _verdict(figures: Figures) -> h.Node:
    if figures.details:
        return h.div(".notice.bad")[
            h.p["The checker found contradictions:"],
            h.ul[(h.li[detail] for detail in figures.details[:LAST_DETAILS])],
        ]
    if not figures.wanted:
        return h.p(".notice")["No orders yet: place some below."]
    if not figures.is_settled:
        return h.p(".notice")[f"{figures.wanted - figures.ended:,} orders are in progress; no contradiction so far."]
    return h.p(".notice")[
        h.b(".good")["All orders have ended, and everything agrees: "],
        "each was accepted once, stored once and charged as it should be, and the stock matches. Events are compared ",
        f"{EVENT_GRACE.total_seconds():.0f} s after their change.",
    ]


def _processes(figures: Figures) -> h.Node:
    styles = {"ready": "good", "starting": "bad"}
    return h.dl(".facts")[
        ((h.dt[name], h.dd(class_=styles.get(state, "warn"))[state]) for name, state in figures.services.items()),
        h.dt["messages in the queue"],
        h.dd("#count-messages")[f"{figures.messages:,}"],
        h.dt["dead letters"],
        h.dd("#count-dead-letters")[f"{figures.letters:,}"],
    ]


def _actions(actions: Sequence[Action]) -> h.Node:
    if not actions:
        return None
    newest = actions[: -LAST_ACTIONS - 1 : -1]
    return [
        h.h2["Last actions"],
        h.ul[(h.li[h.time(datetime=each.at.isoformat())[clock(each.at)], f" {each.text}"] for each in newest)],
    ]


def clock(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC"
