"""What passes between a service and what it stands on, as the proxy sees it: calls, answers, and how errors look."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from order_shared.tables import TABLES

TARGET_HEADER = "X-Amz-Target"
DYNAMODB = "DynamoDB"
SQS = "AmazonSQS"
PAYMENTS = "Payments"

TRANSACTION = "TransactWriteItems"
READ_TRANSACTION = "TransactGetItems"
UPDATE = "UpdateItem"
RECEIVE = "ReceiveMessage"
CHANGE_VISIBILITY = "ChangeMessageVisibilityBatch"
DELETE = "DeleteMessageBatch"
BATCHES = frozenset({"SendMessageBatch", DELETE, CHANGE_VISIBILITY})

PAYMENT_ID = re.compile(r"/pi_\w+")
INDEX_KEYS = {table.name: [index.hash_key.name for index in table.indexes] for table in TABLES}
KEYS = {table.name: [key.name for key in (table.hash_key, table.range_key) if key] for table in TABLES}

Json = dict[str, Any]


class Reset(Exception):
    """The connection breaks here: the caller gets no answer."""


@dataclass(frozen=True)
class Call:
    """One request of the process `caller`. AWS names service and operation; of payments it is method and path."""

    caller: str
    service: str
    operation: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def read(cls, caller: str, method: str, path: str, headers: Mapping[str, str], body: bytes) -> "Call":
        target = headers.get(TARGET_HEADER)
        if target is None:
            operation = f"{method} {PAYMENT_ID.sub('/{id}', path.partition('?')[0])}"
            return cls(caller, PAYMENTS, operation, method, path, headers, body)
        service, _, operation = target.partition(".")
        return cls(caller, service.partition("_")[0], operation, method, path, headers, body)

    @cached_property
    def content(self) -> Json:
        """Of a call to AWS."""
        content: Json = json.loads(self.body)
        return content

    def with_content(self, operation: str, content: Json) -> "Call":
        """Another call of the same caller to the same service."""
        headers = {**self.headers, TARGET_HEADER: self.headers[TARGET_HEADER].replace(self.operation, operation)}
        return replace(self, operation=operation, headers=headers, body=json.dumps(content).encode())

    @property
    def written_keys(self) -> list[str]:
        """The items that it writes, in the order of its operations."""
        return [_key(write) for write in self._writes]

    @property
    def snapshot_keys(self) -> list[str]:
        """The items that it reads in a transaction."""
        if self.operation != READ_TRANSACTION:
            return []
        return [_key(read) for entry in self.content["TransactItems"] for read in entry.values()]

    @property
    def written_partitions(self) -> list[list[str]]:
        """For each item that it writes: its partition of the table, and those of the indexes that get an entry."""
        return [_partitions(write) for write in self._writes]

    @property
    def _writes(self) -> list[Json]:
        if self.operation == UPDATE:
            return [self.content]
        if self.operation == TRANSACTION:
            return [write for entry in self.content["TransactItems"] for write in entry.values()]
        return []


def _key(write: Json) -> str:
    """Of a write that names its item by `Key`, or that carries it whole."""
    table = write["TableName"]
    names = KEYS[table.rpartition("-")[2]]
    item = write.get("Key") or write["Item"]
    return json.dumps([table, *(item[name] for name in names)])


def _partitions(write: Json) -> list[str]:
    table = write["TableName"]
    name = table.rpartition("-")[2]
    item = write.get("Key") or write["Item"]
    written = {**write.get("Item", {}), **_values_set(write)}
    of_indexes = [json.dumps([table, key, written[key]]) for key in INDEX_KEYS[name] if key in written]
    return [json.dumps([table, item[KEYS[name][0]]]), *of_indexes]


def _values_set(write: Json) -> Json:
    """Return what an update expression sets, by attribute."""
    names, values = write.get("ExpressionAttributeNames", {}), write.get("ExpressionAttributeValues", {})
    found = re.findall(r"(#?\w+)\s*=\s*(:\w+)", write.get("UpdateExpression", ""))
    return {names.get(name, name): values[value] for name, value in found if value in values}


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def content(self) -> Json:
        content: Json = json.loads(self.body) if self.body else {}
        return content


Forward = Callable[[Call], Awaitable[Answer]]
"""Passes the call on. Raises Reset if there is nobody."""


def json_answer(content: Json, status: int = 200) -> Answer:
    return Answer(status, json.dumps(content).encode(), {"Content-Type": "application/x-amz-json-1.0"})


def aws_error(code: str, *, status: int = 400, **more: Any) -> Answer:
    return json_answer(
        {"__type": f"com.amazonaws#{code}", "message": "injected", "Message": "injected", **more}, status
    )


def payment_error(kind: str, *, status: int, code: str | None = None) -> Answer:
    return json_answer({"error": {"type": kind, "code": code, "message": "injected"}}, status)


def cancelled(conflicts: list[bool]) -> Answer:
    """A transaction that met another one on some of its items."""
    reasons = [
        {"Code": "TransactionConflict", "Message": "injected"} if conflict else {"Code": "None"}
        for conflict in conflicts
    ]
    return aws_error("TransactionCanceledException", CancellationReasons=reasons)


def failed_entries(entries: list[Json]) -> list[Json]:
    """What SQS says of the entries of a batch that it did not take."""
    return [{"Id": entry["Id"], "Code": "InternalError", "SenderFault": False} for entry in entries]
