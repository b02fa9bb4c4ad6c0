"""Folder in which `make up` keeps the data of the stack from one run to the next.

The embedded AWS writes its tables and queues when it is asked to end, and only then. The payment sandbox writes each
payment at once.
"""

import base64
import json
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from order_shared.tables import TABLES

DATA_FOLDER = "data"
TABLES_FILE = "tables.json"
CURSOR_SECRET_FILE = "cursor-secret"  # noqa: S105 - name of a file
WEBHOOK_KEY_FILE = "webhook-key"
WEBHOOK_KEY_BYTES = 32  # of Fernet
SAVED_TABLES_FILE = "dynamodb.json"
"""File of the emulator. The others are its as well, but without this one nothing is stored."""


class DataOutdated(Exception):
    """The stored tables have other keys or indexes than those of this release."""

    def __init__(self, folder: Path, tables: list[str]) -> None:
        super().__init__(
            f"the data in {folder} was stored by another release, whose tables differ: {', '.join(tables)}. "
            "Start with empty tables: `make up FRESH=1` or `orderctl local up --fresh`"
        )


@dataclass(frozen=True)
class KeptData:
    folder: Path

    @property
    def emulator(self) -> Path:
        """Folder of the embedded AWS."""
        return self.folder / "aws"

    @property
    def payments(self) -> Path:
        """File of the payment sandbox."""
        return self.folder / "payments.sqlite"

    @property
    def lab(self) -> Path:
        """File of the Lab: the answers that its customers received."""
        return self.folder / "lab.jsonl"

    def open(self) -> None:
        """Create the folder, or check that its tables are those of this release. Raises DataOutdated."""
        self.emulator.mkdir(parents=True, exist_ok=True)
        described = {table.name: repr(table) for table in TABLES}
        file = self.folder / TABLES_FILE
        if self.saved_at is not None and file.exists():
            stored: dict[str, str] = json.loads(file.read_text())
            if different := [name for name in described if stored.get(name, described[name]) != described[name]]:
                raise DataOutdated(self.folder, different)
        file.write_text(json.dumps(described, indent=2) + "\n")

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def saved_at(self) -> datetime | None:
        """Time at which the embedded AWS last saved its data; None if it never has."""
        try:
            return datetime.fromtimestamp((self.emulator / SAVED_TABLES_FILE).stat().st_mtime, UTC)
        except FileNotFoundError:
            return None

    def cursor_secret(self) -> str:
        """Return the secret that signs cursors and positions, so that those of an earlier run stay valid."""
        return self._kept(CURSOR_SECRET_FILE, new_cursor_secret)

    def webhook_key(self) -> str:
        """Return the key that encrypts the secrets of webhook endpoints, which stored endpoints need."""
        return self._kept(WEBHOOK_KEY_FILE, new_webhook_key)

    def _kept(self, name: str, make: Callable[[], str]) -> str:
        file = self.folder / name
        if not file.exists():
            file.touch(0o600)
            file.write_text(make())
        return file.read_text()


def new_cursor_secret() -> str:
    return secrets.token_hex(32)


def new_webhook_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(WEBHOOK_KEY_BYTES)).decode()
