"""DynamoDB on a virtual clock, under the real repositories: it evaluates the requests that they send.

Conflicts are those of `tables.py`. Reads of several items return one item after the other: `between_reads` runs before
each, so that other requests may take effect in the midst of a read. A read transaction sees one instant.
"""

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_json_client import AwsClient, RetryPolicy, ServiceError
from aws_json_client.transport import Answer
from order_shared.aws.dynamodb import Dynamo
from order_shared.tables import TABLES
from tests.simulation.link import Link
from tests.simulation.tables import Item as TouchedItem
from tests.simulation.tables import TableServer

Json = dict[str, Any]
Condition = Callable[["_Operands"], bool]
Change = tuple[str, str, str]
"""Attribute, how it changes, and the value: placeholders of an expression."""

COMPARISON = re.compile(r"(#n\d+) (=|<=|>=|<|>) (:v\d+)")
EXISTENCE = re.compile(r"attribute_(not_)?exists\((#n\d+)\)")
ASSIGNMENT = re.compile(
    r"(?P<name>#n\d+) = (?:(?P<set>:v\d+)|#n\d+ \+ (?P<plus>:v\d+)|#n\d+ - (?P<minus>:v\d+)"
    r"|list_append\(#n\d+, (?P<append>:v\d+)\)|if_not_exists\(#n\d+, (?P<default>:v\d+)\))(?:, |$)"
)
CLAUSE = re.compile(r"(SET|REMOVE|ADD) (.*?)(?= (?:SET|REMOVE|ADD) |$)")
OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda one, other: one == other,
    "<": lambda one, other: one < other,
    ">": lambda one, other: one > other,
    "<=": lambda one, other: one <= other,
    ">=": lambda one, other: one >= other,
}
CONDITION_FAILED = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
KEYS = {table.name: [key.name for key in (table.hash_key, table.range_key) if key] for table in TABLES}


async def at_once() -> None:
    """Let a read of several items see one instant."""


@dataclass(frozen=True)
class _Operands:
    """What an expression is about: the stored item, and what its placeholders stand for."""

    item: Json
    names: Mapping[str, str]
    values: Mapping[str, Json]

    def exists(self, name: str) -> bool:
        return self.names[name] in self.item

    def compare(self, name: str, operator: str, value: str) -> bool:
        stored = self.item.get(self.names[name])
        return stored is not None and OPERATORS[operator](_plain(stored), _plain(self.values[value]))


class DynamoServer:
    """Items by table and key, as DynamoDB's JSON."""

    def __init__(self, conflicts: TableServer, between_reads: Callable[[], Awaitable[None]] = at_once) -> None:
        self.items: dict[str, Json] = {}
        self._collections: defaultdict[str, set[str]] = defaultdict(set)
        self._conflicts = conflicts
        self._between_reads = between_reads
        self._tokens: set[str] = set()

    def client(self, link: Link, retries: RetryPolicy) -> Dynamo:
        """Return the tables as one machine reaches them."""
        return Dynamo(AwsClient(DynamoTransport(self, link), retries))

    def put(self, table: str, item: Json) -> None:
        """Store an item before anything else happens."""
        self._store(_key(table, item), item)

    async def query(self, payload: Json) -> Json:
        """Return the items of one hash key, in the order of their range keys."""
        (value,) = payload["ExpressionAttributeValues"].values()
        prefix = f"{payload['TableName']}|{value['S']}"
        found = []
        for key in sorted(self._collections[prefix]):
            await self._between_reads()
            found.append(self.items[key])
        return {"Items": found[: payload["Limit"]]}

    def get(self, payload: Json) -> Json:
        return self._entry(payload)

    def batch_get(self, payload: Json) -> Json:
        found: dict[str, list[Json]] = {}
        for table, request in payload["RequestItems"].items():
            keys = [_key(table, key) for key in request["Keys"]]
            found[table] = [self.items[key] for key in keys if key in self.items]
        return {"Responses": found}

    def transact_get(self, payload: Json) -> Json:
        gets = [entry["Get"] for entry in payload["TransactItems"]]
        keys = [_key(get["TableName"], get["Key"]) for get in gets]
        return self._conflicts.transact_read(keys, lambda: {"Responses": [self._entry(get) for get in gets]})

    def update(self, payload: Json) -> Json:
        key = _key(payload["TableName"], payload["Key"])

        def apply() -> Json:
            if not self._holds(payload, key):
                raise ServiceError("ConditionalCheckFailedException", 400, {})
            self._store(key, self._updated(payload, key))
            return {"Attributes": self.items[key]}

        return self._conflicts.write(_touched(key), apply)

    def transact_write(self, payload: Json) -> Json:
        """Write all or nothing. A token that has been applied is not applied again."""
        if payload["ClientRequestToken"] in self._tokens:
            return {}
        writes = [next(iter(entry.items())) for entry in payload["TransactItems"]]
        keys = [_key(write["TableName"], write.get("Key") or write["Item"]) for _, write in writes]
        if len(set(keys)) < len(keys):
            raise ServiceError("ValidationException", 400, {"message": "two operations on one item"})

        def apply() -> Json:
            holds = [self._holds(write, key) for (_, write), key in zip(writes, keys, strict=True)]
            if not all(holds):
                reasons = [{"Code": "None"} if each else dict(CONDITION_FAILED) for each in holds]
                raise ServiceError("TransactionCanceledException", 400, {"CancellationReasons": reasons})
            for (kind, write), key in zip(writes, keys, strict=True):
                if kind == "Update":
                    self._store(key, self._updated(write, key))
                elif kind == "Put":
                    self._store(key, write["Item"])
                elif kind == "Delete" and key in self.items:
                    del self.items[key]
                    self._collections[_collection(key)].remove(key)
            self._tokens.add(payload["ClientRequestToken"])
            return {}

        return self._conflicts.transact_write([_touched(key) for key in keys], apply)

    def _store(self, key: str, item: Json) -> None:
        self.items[key] = item
        self._collections[_collection(key)].add(key)

    def _entry(self, get: Json) -> Json:
        key = _key(get["TableName"], get["Key"])
        return {"Item": self.items[key]} if key in self.items else {}

    def _holds(self, write: Json, key: str) -> bool:
        if "ConditionExpression" not in write:
            return True
        return _condition(write["ConditionExpression"])(self._operands(write, key))

    def _operands(self, write: Json, key: str) -> _Operands:
        return _Operands(
            self.items.get(key, {}),
            write.get("ExpressionAttributeNames", {}),
            write.get("ExpressionAttributeValues", {}),
        )

    def _updated(self, update: Json, key: str) -> Json:
        operands = self._operands(update, key)
        item = dict(operands.item) or dict(update["Key"])
        for placeholder, how, value in _changes(update["UpdateExpression"]):
            name = operands.names[placeholder]
            if how == "remove":
                item.pop(name, None)
            elif how == "default":
                item.setdefault(name, operands.values[value])
            elif how == "set":
                item[name] = operands.values[value]
            elif how == "append":
                item[name] = {"L": item[name]["L"] + operands.values[value]["L"]}
            else:
                by = int(operands.values[value]["N"]) * (-1 if how == "minus" else 1)
                before = item.get(name, {"N": "0"}) if how == "add" else item[name]
                item[name] = {"N": str(int(before["N"]) + by)}
        return item


class DynamoTransport:
    """One machine's requests to the server."""

    name = "dynamodb"

    def __init__(self, server: DynamoServer, link: Link) -> None:
        self._server = server
        self._link = link

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        if operation == "Query":
            await self._link.call(lambda: None)
            return Answer(await self._server.query(dict(payload)), None)
        serve = {
            "GetItem": self._server.get,
            "BatchGetItem": self._server.batch_get,
            "TransactGetItems": self._server.transact_get,
            "UpdateItem": self._server.update,
            "TransactWriteItems": self._server.transact_write,
        }[operation]
        return Answer(await self._link.call(lambda: serve(dict(payload))), None)


@cache
def _condition(expression: str) -> Condition:
    """Return a condition as a function."""
    source = EXISTENCE.sub(lambda found: f'{"not " if found[1] else ""}it.exists("{found[2]}")', expression)
    source = COMPARISON.sub(r'it.compare("\1", "\2", "\3")', source)
    source = source.replace(" AND ", " and ").replace(" OR ", " or ").replace("NOT ", "not ")
    return eval(f"lambda it: {source}")  # type: ignore[no-any-return]  # noqa: S307 - of our own repositories


@cache
def _changes(expression: str) -> list[Change]:
    """Return the changes of an update expression."""
    changes: list[Change] = []
    for clause, content in CLAUSE.findall(expression):
        if clause == "REMOVE":
            changes += [(name, "remove", "") for name in content.split(", ")]
        elif clause == "ADD":
            changes += [(name, "add", value) for name, value in (each.split(" ") for each in content.split(", "))]
        else:
            assert ASSIGNMENT.sub("", content) == "", f"what does {content} set?"
            for found in ASSIGNMENT.finditer(content):
                name, (how, value) = found["name"], _assigned(found)
                changes.append((name, how, value))
    return changes


def _assigned(found: re.Match[str]) -> tuple[str, str]:
    return next((how, value) for how, value in found.groupdict().items() if how != "name" and value is not None)


def _plain(value: Json) -> Any:
    ((kind, content),) = value.items()
    return int(content) if kind == "N" else content


def _key(table: str, holder: Json) -> str:
    names = KEYS[table.rpartition("-")[2]]
    return "|".join([table, *(holder[name]["S"] for name in names)])


def _touched(key: str) -> TouchedItem:
    return TouchedItem(key, (_collection(key),))


def _collection(key: str) -> str:
    """Return the part of a key that all items with the same hash key share."""
    return key.rpartition("|")[0]
