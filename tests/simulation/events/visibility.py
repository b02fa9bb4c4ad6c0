"""Reads of the table of events beside transactions: what DynamoDB isolates from them, and what it does not.

- A query is not isolated. It may show some of a transaction's items and not others, also a later transaction's page
  without an earlier one's. Each new item has a time from which queries see it, until the end of its transaction.
- A batch of reads is isolated for each item alone: each item is as it was at some time of the request.
- `GetItem` sees a transaction wholly or not at all, and so does `TransactGetItems`, which meets a conflict otherwise.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-isolation
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from random import Random

from order_shared.tables import EVENTS
from tests.memory_dynamo import Change, ItemKey, Json, MemoryDynamo, key_of, kind_of, page


class EventReads:
    def __init__(self, tables: MemoryDynamo, dice: Random, now: Callable[[], float], seconds: float) -> None:
        """Create the reads. `seconds` is the time that a transaction takes."""
        self._tables = tables
        self._dice = dice
        self._now = now
        self._seconds = seconds
        self._shown_at: dict[ItemKey, float] = {}
        self._former: defaultdict[ItemKey, list[tuple[float, Json | None]]] = defaultdict(list)
        """Earlier forms of each item, each with the time until which it was stored."""
        self.hidden = 0
        """Items that a query did not show, although they were stored."""

    def committed(self, changes: list[Change]) -> None:
        """Note the changes of a request."""
        now = self._now()
        for key, before, _ in changes:
            if key.table == EVENTS.name:
                self._former[key].append((now, before))
                if before is None:
                    self._shown_at[key] = now + self._seconds * max(0.0, self._dice.uniform(-1.0, 1.0))

    def covers(self, operation: str, payload: Json) -> bool:
        """Return whether a read is one of the table of events that is not isolated from transactions."""
        if operation == "Query":
            return kind_of(payload["TableName"]) == EVENTS.name
        return operation == "BatchGetItem" and all(kind_of(name) == EVENTS.name for name in payload["RequestItems"])

    def read(self, operation: str, payload: Json, sent_at: float) -> Json:
        """Return the answer to a read that was sent at a time."""
        return self._query(payload, sent_at) if operation == "Query" else self._batch_get(payload, sent_at)

    def _query(self, payload: Json, sent_at: float) -> Json:
        found = []
        for key in self._tables.matching(payload):
            if self._instant(sent_at) >= self._shown_at.get(key, 0.0):
                found.append(self._tables.items[key])
            else:
                self.hidden += 1
        return page(payload, found)

    def _batch_get(self, payload: Json, sent_at: float) -> Json:
        found: dict[str, list[Json]] = {}
        for table, request in payload["RequestItems"].items():
            items = [self._as_of(key_of(table, key), self._instant(sent_at)) for key in request["Keys"]]
            found[table] = [item for item in items if item is not None]
        return {"Responses": found}

    def _as_of(self, key: ItemKey, at: float) -> Json | None:
        former = self._former.get(key, [])
        later = bisect_right(former, at, key=lambda each: each[0])
        return former[later][1] if later < len(former) else self._tables.items.get(key)

    def _instant(self, sent_at: float) -> float:
        return self._dice.uniform(sent_at, self._now())
