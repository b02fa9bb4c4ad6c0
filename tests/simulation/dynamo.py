"""DynamoDB on a virtual clock, under the real repositories.

Conflicts and write units are those of `tables.py`. Reads of several items return one item after the other:
`between_reads` runs before each, so that other requests may take effect in the midst of a read. A read transaction sees
one instant.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aws_json_client import AwsClient, RetryPolicy, ServiceError
from aws_json_client.errors import ConnectionFailed
from aws_json_client.transport import Answer
from order_shared.aws.dynamodb import Dynamo
from order_shared.tables import ORDERS, Index
from tests.memory_dynamo import DEFINITIONS, WRITES, Change, ItemKey, Json, MemoryDynamo, Refused, key_of, page
from tests.simulation.history import Border, History, What
from tests.simulation.link import Link
from tests.simulation.tables import Item, TableServer

if TYPE_CHECKING:
    from tests.simulation.events.visibility import EventReads

CONDITION = ("ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues")


async def at_once() -> None:
    """Let a read of several items see one instant."""


class DynamoServer:
    """The tables of a run, which all machines share.

    `on_changes` is called with what each request has changed, and the machine that made it.
    """

    def __init__(
        self,
        tables: MemoryDynamo,
        conflicts: TableServer,
        history: History,
        between_reads: Callable[[], Awaitable[None]] = at_once,
        *,
        answers_travel: bool = False,
    ) -> None:
        """Create the tables. `answers_travel`: the result of a read takes its way back too."""
        self.tables = tables
        self.answers_travel = answers_travel
        self.between_reads = between_reads
        self.on_changes: Callable[[list[Change], str], None] = lambda *_: None
        self.holds_back: Callable[[str, Json, str], bool] = lambda *_: False
        """Called with the operation, payload and machine of each write: return True to let it have no answer yet."""
        self.event_reads: EventReads | None = None
        """Reads of the logs of events, which are not isolated from transactions if this is set."""
        self._conflicts = conflicts
        self._history = history
        self._requests = 0
        self._calls: Counter[tuple[str, str]] = Counter()

    def calls_of(self, operation: str, kind: str) -> int:
        """Count the requests that machines of a kind made."""
        return sum(
            count for (called, host), count in self._calls.items() if called == operation and host.startswith(kind)
        )

    def count(self, operation: str, host: str) -> None:
        self._calls[operation, host] += 1

    def client(self, link: Link, retries: RetryPolicy) -> Dynamo:
        """Return the tables as one machine reaches them."""
        return Dynamo(AwsClient(DynamoTransport(self, link), retries))

    @property
    def is_down(self) -> bool:
        return self._conflicts.down

    async def query(self, payload: Json, sent_at: float) -> Json:
        if self.event_reads is not None and self.event_reads.covers("Query", payload):
            return self.event_reads.read("Query", payload, sent_at)
        if self.between_reads is at_once:
            return self.tables.query(payload)
        found = []
        for key in self.tables.matching(payload)[: payload["Limit"]]:
            await self.between_reads()
            found.append(self.tables.items[key])
        return page(payload, found)

    def read(self, operation: str, payload: Json, sent_at: float) -> Json:
        if self.event_reads is not None and self.event_reads.covers(operation, payload):
            return self.event_reads.read(operation, payload, sent_at)
        if operation != "TransactGetItems":
            return self.tables.request(operation, payload)
        gets = [entry["Get"] for entry in payload["TransactItems"]]
        keys = [_text(key_of(get["TableName"], get["Key"])) for get in gets]
        return self._conflicts.transact_read(keys, lambda: self.tables.request(operation, payload))

    def write(self, operation: str, payload: Json, *, by: str) -> Json:
        evaluated = self.tables.evaluate(operation, payload)

        def apply() -> Json:
            answer = self.tables.commit(operation, payload, evaluated)
            if isinstance(evaluated, list):
                self._note(operation, payload, evaluated, by)
                self.on_changes(evaluated, by)
            return answer

        if isinstance(evaluated, Refused):
            touched = [Item(_text(key), (f"{key.table}|{key.hash}",)) for key in evaluated.keys]
        else:
            touched = [Item(_text(change.key), tuple(_partitions(change))) for change in evaluated]
        if operation == "TransactWriteItems":
            return self._conflicts.transact_write(touched, apply)
        return self._conflicts.write(touched[0], apply)

    def _note(self, operation: str, payload: Json, changes: list[Change], by: str) -> None:
        history = self._history
        self._requests += 1
        writes = [next(iter(entry.values())) for entry in payload.get("TransactItems", [{"": payload}])]
        for (key, before, after), write in zip(changes, writes, strict=False):
            if history.effects is not None:
                history.record(
                    Border.TABLES,
                    operation,
                    by=by,
                    subject=_text(key),
                    before=before,
                    after=after,
                    request=self._requests,
                    condition=tuple(write.get(name) for name in CONDITION),
                )
            if key.table != ORDERS.name or before is None or after is None:
                continue
            order_id = after["order_id"]["S"]
            history.note(What.WRITTEN, order_id, by=by, kind=after["status"]["S"])
            if "parked" in after and "parked" not in before:
                history.note(What.PARKED, order_id, by=by)
            if "open_shard" in before and "open_shard" not in after:
                history.note(What.ENDED, order_id, by=by, kind=after["status"]["S"])


class DynamoTransport:
    """One machine's requests to the server."""

    name = "dynamodb"

    def __init__(self, server: DynamoServer, link: Link) -> None:
        self._server = server
        self._link = link

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        server, sent = self._server, dict(payload)
        server.count(operation, self._link.host)
        sent_at = asyncio.get_running_loop().time()
        if server.is_down:
            await self._link.read(lambda: None)
            raise ServiceError("InternalServerError", 500, {})
        if operation in WRITES and server.holds_back(operation, sent, self._link.host):
            await self._link.read(lambda: None)
            raise ConnectionFailed(TimeoutError())
        if operation in WRITES:
            return Answer(await self._link.call(lambda: server.write(operation, sent, by=self._link.host)), None)
        reach = self._link.call if server.answers_travel else self._link.read
        if operation == "Query":
            await reach(lambda: None)
            return Answer(await server.query(sent, sent_at), None)
        return Answer(await reach(lambda: server.read(operation, sent, sent_at)), None)


def _partitions(change: Change) -> Iterator[str]:
    """Return the partitions that pay for a write: its table's, and those of each index whose entry changes."""
    yield f"{change.key.table}|{change.key.hash}"
    for index in DEFINITIONS[change.key.table].indexes:
        before, after = _entry(index, change.before), _entry(index, change.after)
        if before != after:
            yield from {f"{change.key.table}/{index.name}|{entry[0]['S']}": None for entry in (before, after) if entry}


def _entry(index: Index, item: Json | None) -> list[Any] | None:
    if item is None or index.hash_key.name not in item or (index.range_key and index.range_key.name not in item):
        return None
    names = (index.hash_key.name, *((index.range_key.name,) if index.range_key else ()), *index.include)
    return [item.get(name) for name in names]


def _text(key: ItemKey) -> str:
    return "|".join(key)
