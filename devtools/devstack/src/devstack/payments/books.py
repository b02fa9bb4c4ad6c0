"""File of the sandbox: each change is written before it is answered, so that a kill loses no payment."""

import asyncio
import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from devstack.payments.answers import Answer, Request
from devstack.payments.intents import Intent, Status

SCHEMA = """
CREATE TABLE IF NOT EXISTS intents (id TEXT PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, content TEXT NOT NULL);
"""


class Books(Protocol):
    def intents(self) -> Iterator[Intent]:
        """Return the stored payments, oldest first."""
        ...

    def answers(self) -> Iterator[tuple[str, Request, Answer]]:
        """Return the stored idempotency keys, each with its request and the answer."""
        ...

    def save(self, intents: Iterable[Intent], answer: tuple[str, Request, Answer] | None) -> None:
        """Store changed payments, and the answer of the request that changed them."""
        ...


class NoBooks:
    """Books of a sandbox whose payments end with its process."""

    def intents(self) -> Iterator[Intent]:
        return iter(())

    def answers(self) -> Iterator[tuple[str, Request, Answer]]:
        return iter(())

    def save(self, intents: Iterable[Intent], answer: tuple[str, Request, Answer] | None) -> None:
        pass


class FileBooks:
    """Books in an SQLite file. They survive a kill of the process, not a loss of power."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.executescript(SCHEMA)

    def intents(self) -> Iterator[Intent]:
        for (content,) in self._database.execute("SELECT content FROM intents ORDER BY rowid"):
            stored: dict[str, Any] = json.loads(content)
            types = stored.pop("method_types")
            status = Status(stored.pop("status"))
            yield Intent(**stored, status=status, method_types=None if types is None else tuple(types))

    def answers(self) -> Iterator[tuple[str, Request, Answer]]:
        for key, content in self._database.execute("SELECT key, content FROM answers ORDER BY rowid"):
            path, form, status, body = json.loads(content)
            yield key, (path, form), Answer(status, body)

    def save(self, intents: Iterable[Intent], answer: tuple[str, Request, Answer] | None) -> None:
        rows = [(intent.id, json.dumps(_content(intent))) for intent in intents]
        self._database.execute("BEGIN")
        self._database.executemany(
            "INSERT INTO intents VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET content = excluded.content", rows
        )
        if answer is not None:
            key, (path, form), given = answer
            content = json.dumps([path, dict(form), given.status, given.body])
            self._database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, content))
        self._database.execute("COMMIT")

    def close(self) -> None:
        self._database.close()


def _content(intent: Intent) -> dict[str, object]:
    return {name: value for name, value in vars(intent).items() if not isinstance(value, asyncio.Lock)}
