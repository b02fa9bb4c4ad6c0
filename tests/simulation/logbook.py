"""What the services log in a run. Lines are kept as counts, and errors that nobody expected as texts."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import structlog

BY_CHANCE = "by chance"
"""Part of the text of every error that a simulation plants and that the services cannot expect."""

PAUSES = ("the payment provider is down", "the rate at the payment provider is used up")
"""Errors after which an order waits in the outbox from the first delivery on."""
DEFERRED = frozenset({"message_deferred", "handler_crashed"})
"""Lines before a message is deferred. After a crash it is delivered again instead if its order cannot be written."""


class Logbook:
    """Log lines of one run. `now` and `host` are set once its loop exists."""

    def __init__(self) -> None:
        self.now: Callable[[], float] = lambda: 0.0
        self.host: Callable[[], str] = lambda: ""
        self.lines: Counter[str] = Counter()
        self.of_notifiers: Counter[str] = Counter()
        """Lines of notifiers, which count among no others."""
        self.unexpected: dict[str, None] = {}
        """Errors that the services logged as unexpected, and that were not planted."""
        self.deferred: dict[asyncio.Task[Any] | None, str] = {}
        """Error after which a message was given up, by the task that handled it."""
        self.undeleted: list[str] = []
        """Messages whose deletion was given up."""
        self.reports: dict[str, list[float]] = {}
        """Times of each host's reports of its outbox."""
        self.parked: Counter[str] = Counter()
        """Lines that tell operators of a parked order, by order."""

    def line(self, event: str, fields: dict[str, Any]) -> None:
        if self.host().startswith("notifier"):
            self.of_notifiers[event] += 1
            return
        self.lines[event] += 1
        if event in DEFERRED:
            self.deferred[asyncio.current_task()] = fields.get("error", event)
        elif event == "handler_failed" and any(text in fields["error"] for text in PAUSES):
            self.unexpected[f"delivered again, although {fields['error']}"] = None
        elif event == "order_parked":
            self.parked[fields["order_id"]] += 1
        elif event == "delete_failed":
            self.undeleted.append(fields["message_id"])
        elif event == "outbox":
            self.reports.setdefault(self.host(), []).append(self.now())

    def exception(self, event: str, fields: dict[str, Any]) -> None:
        self.line(event, fields)
        error = sys.exc_info()[1]
        if BY_CHANCE not in repr(error) and BY_CHANCE not in repr(getattr(error, "content", "")):
            self.unexpected[f"{event}: {error!r:.150}"] = None


def _logger_of(book: Logbook) -> type:
    """Return a class of structlog's loggers that keeps lines in the book."""

    class Logger:
        def __init__(self, *_: object, **__: object) -> None: ...

        def bind(self, **_: object) -> Self:
            return self

        def info(self, event: str, **fields: Any) -> None:
            book.line(event, fields)

        warning = error = debug = info

        def exception(self, event: str, **fields: Any) -> None:
            book.exception(event, fields)

    return Logger


@contextmanager
def written_to(book: Logbook) -> Iterator[None]:
    """Let the services log to the book until the end of the block."""
    before = structlog.get_config()
    structlog.configure(**{**before, "wrapper_class": _logger_of(book)})
    try:
        yield
    finally:
        structlog.configure(**before)
