"""File with the history of an experiment, so that the Lab continues it after a kill or a stop of the stack."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from devstack.lab.history import History, Outcome, Purchase, Verb

KNOWN = frozenset({Outcome.OK, Outcome.FAILED})


class Journal:
    """Lines of JSON: the start of the experiment, then each wanted order and each answer."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lines(self) -> Iterator[dict[str, Any]]:
        """Return the complete lines. A kill can leave part of a last line."""
        if not self._path.exists():
            return
        for line in self._path.read_text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def begin(self, tenant: str, started_at: datetime) -> None:
        """Replace the content by the start of an experiment."""
        self._path.write_text(json.dumps({"tenant": tenant, "started_at": started_at.isoformat()}) + "\n")

    def append(self, line: dict[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


@dataclass
class KeptHistory(History):
    """History that writes each purchase and each answer to a journal. `tokens` are the payment tokens by customer."""

    journal: Journal | None = None
    tokens: dict[str, str | None] = field(default_factory=dict)

    def want(self, purchase: Purchase, token: str | None) -> None:
        """Add a purchase."""
        self._restore(purchase, token)
        if self.journal is not None:
            line = {"customer": purchase.customer, "quantities": dict(purchase.quantities), "token": token}
            self.journal.append(line)

    def record(self, customer: str, verb: Verb, outcome: Outcome, order_id: str | None = None) -> None:
        super().record(customer, verb, outcome, order_id)
        if self.journal is not None and outcome in KNOWN:
            self.journal.append({"told": customer, "outcome": outcome, "order_id": order_id})

    @property
    def unanswered(self) -> list[Purchase]:
        """Purchases whose customers have no answer yet."""
        return [
            purchase
            for name, purchase in self.purchases.items()
            if not any(self.ids(name, Verb.PLACE, outcome) for outcome in KNOWN)
        ]

    @classmethod
    def read(cls, journal: Journal) -> "tuple[KeptHistory, str, datetime] | None":
        """Return the history in a journal, the tenant of its experiment and its start; None if there is none."""
        lines = journal.lines()
        first = next(lines, None)
        if first is None or "tenant" not in first:
            return None
        history = cls()
        for line in lines:
            if "told" in line:
                history.record(line["told"], Verb.PLACE, Outcome(line["outcome"]), line["order_id"])
            else:
                purchase = Purchase(line["customer"], line["quantities"], is_paid=line["token"] is not None)
                history._restore(purchase, line["token"])
        history.journal = journal
        return history, first["tenant"], datetime.fromisoformat(first["started_at"])

    def _restore(self, purchase: Purchase, token: str | None) -> None:
        self.purchases[purchase.customer] = purchase
        self.tokens[purchase.customer] = token
