"""What the walker knows of one order: its stored versions, its payments, and what its workers have learned of them."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from tests.model.history import ItemWrite, Json

BY_PAYMENT = ("state", "differs", "declined", "refunded", "by_key", "saved", "spoiled", "spoiled_refund", "unanswered")
CREATED = -1
"""Knowledge that a payment has been created; the other results are those of the table."""


@dataclass(frozen=True)
class Line:
    """Stock of one line of an order, as the table sees it: its shard, and all other shards together."""

    quantity: int
    before: tuple[int, int]
    after: tuple[int, int]
    increased: bool

    @property
    def moved(self) -> int:
        return self.before[1] - self.after[1]


NO_STOCK = Line(0, (0, 0), (0, 0), increased=False)


@dataclass
class KnownOrder:
    """What is known of one order. A version is a mapping of the variables in STORED."""

    stored: dict[str, Any] | None = None
    paid: int = 0
    is_overlooked: bool = False
    versions: list[dict[str, Any]] = field(default_factory=list)
    payments: list[str] = field(default_factory=list)
    hosts: dict[str, str] = field(default_factory=dict)
    """Host by owner of a lease."""
    results: defaultdict[str, set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    """Results of provider calls by host, each with the number of its payment."""
    last: tuple[str, Json | None] | None = None
    """Writer and condition of the last write."""
    receives: Counter[str] = field(default_factory=Counter)
    """Receives of the message that a host received last."""
    provider: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(intents=0, away=0, **{name: defaultdict(int) for name in BY_PAYMENT})
    )

    def number(self, payment: str) -> int:
        """Return the number of a payment, in the order of their creation."""
        if payment not in self.payments:
            self.payments.append(payment)
        return self.payments.index(payment) + 1

    def is_repeated(self, host: str, item: ItemWrite) -> bool:
        """Return whether a write repeats the last one and changes nothing: its first response was lost."""
        return item.before is not None and item.before == item.after and self.last == (host, item.claimed)

    def memories(self, host: str, payment: int) -> Iterator[tuple[int, int]]:
        """Yield what a worker of the host may know: the payment it has created, and the result of its last call."""
        known = self.results[host]
        created = [0, *(number for number, result in known if result == CREATED)]
        results = [0, *(result for number, result in known if number == payment and result != CREATED)]
        yield from ((number, result) for number in created for result in results)

    def copy_of_provider(self) -> SimpleNamespace:
        arrays = {name: getattr(self.provider, name).copy() for name in BY_PAYMENT}
        return SimpleNamespace(intents=self.provider.intents, away=0, **arrays)
