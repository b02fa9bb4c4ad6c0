"""DynamoDB in memory: it applies the requests that the real repositories send to stored items.

Condition, update and key expressions are evaluated as DynamoDB documents them, in the form in which
`order_shared.aws.encoding` writes them; an unknown form fails. Items are stored as DynamoDB's JSON, and a stored item
is never changed: a write replaces it.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from aws_json_client import AwsClient, RetryPolicy, ServiceError
from aws_json_client.transport import Answer
from order_shared.aws.dynamodb import CONDITION_FAILED, Dynamo
from order_shared.tables import TABLES, Index, Key, Table

Json = dict[str, Any]
Condition = Callable[[Json, Mapping[str, str], Mapping[str, Json]], bool]
"""Decides about an item, with the names and the values of the expression's placeholders."""

DEFINITIONS: Mapping[str, Table] = {table.name: table for table in TABLES}

NAME, VALUE = r"(#n\d+)", r"(:v\d+)"
TERMS: Mapping[str, str] = {
    rf"attribute_exists\({NAME}\)": "n['{}'] in item",
    rf"attribute_not_exists\({NAME}\)": "n['{}'] not in item",
    rf"{NAME} = {VALUE}": "item.get(n['{}']) == v['{}']",
    rf"{NAME} (<=|>=|<|>) {VALUE}": "compared(item.get(n['{0}']), v['{2}'], lambda a, b: a {1} b)",
    rf"{NAME} BETWEEN {VALUE} AND {VALUE}": (
        "compared(v['{1}'], item.get(n['{0}']), v['{2}'], lambda a, b, c: a <= b <= c)"
    ),
    rf"{NAME} IN \((:v\d+(?:,:v\d+)*)\)": "item.get(n['{}']) in [v[each] for each in '{}'.split(',')]",
}
"""Python for each term of a condition."""
CONNECTIVES = {" AND ": " and ", " OR ": " or ", "NOT ": "not ", "(": "(", ")": ")"}
PART = re.compile("|".join(f"({term})" for term in (*TERMS, "|".join(map(re.escape, CONNECTIVES)))))

CLAUSE = re.compile(r"(SET|REMOVE|ADD) (.*?)(?= (?:SET|REMOVE|ADD) |$)")
ASSIGNMENT = re.compile(
    rf"{NAME} = (?:(?P<set>:v\d+)|#n\d+ \+ (?P<plus>:v\d+)|#n\d+ - (?P<minus>:v\d+)"
    r"|list_append\(#n\d+, (?P<append>:v\d+)\)|if_not_exists\(#n\d+, (?P<default>:v\d+)\))(?:, |$)"
)


class ItemKey(NamedTuple):
    """Identity of an item. `table` is without the environment's prefix; `range` is empty without a range key."""

    table: str
    hash: str
    range: str = ""


class Change(NamedTuple):
    """One item that a request writes, before and after: None where it does not exist."""

    key: ItemKey
    before: Json | None
    after: Json | None


class Refused(NamedTuple):
    """Error of a request without effect, and the keys of the items that it would have written."""

    keys: list[ItemKey]
    error: ServiceError


class MemoryDynamo:
    """The tables of one environment.

    `evaluate` and `commit` are the two halves of a write, so that a simulation can come between them.
    """

    def __init__(self) -> None:
        self.items: dict[ItemKey, Json] = {}
        self._collections: defaultdict[tuple[str, str], dict[ItemKey, None]] = defaultdict(dict)
        """Keys of the items of each hash key, of tables and of indexes."""
        self._tokens: set[str] = set()

    def client(self, retries: RetryPolicy | None = None) -> Dynamo:
        """Return a client whose requests never wait."""
        return Dynamo(AwsClient(MemoryTransport(self), retries))

    def request(self, operation: str, payload: Json) -> Json:
        """Return the answer to a request at one instant. Raises ServiceError."""
        if operation in WRITES:
            return self.commit(operation, payload, self.evaluate(operation, payload))
        return READS[operation](self, payload)

    # Reads

    def get(self, payload: Json) -> Json:
        item = self.items.get(key_of(payload["TableName"], payload["Key"]))
        return {} if item is None else {"Item": item}

    def batch_get(self, payload: Json) -> Json:
        found: dict[str, list[Json]] = {}
        for table, request in payload["RequestItems"].items():
            keys = [key_of(table, key) for key in request["Keys"]]
            if len(set(keys)) < len(keys):
                raise invalid("Provided list of item keys contains duplicates")
            found[table] = [self.items[key] for key in keys if key in self.items]
        return {"Responses": found}

    def transact_get(self, payload: Json) -> Json:
        return {"Responses": [self.get(entry["Get"]) for entry in payload["TransactItems"]]}

    def query(self, payload: Json) -> Json:
        return page(payload, [self.items[key] for key in self.matching(payload)])

    def matching(self, payload: Json) -> list[ItemKey]:
        """Return the keys of the items that a query reads, in its order."""
        table = DEFINITIONS[kind_of(payload["TableName"])]
        holder = next((each for each in table.indexes if each.name == payload.get("IndexName")), table)
        names, values = payload["ExpressionAttributeNames"], payload["ExpressionAttributeValues"]
        if any("NULL" in values[name] for name in re.findall(VALUE, payload["KeyConditionExpression"])):
            raise invalid(
                "One or more parameter values were invalid: Condition parameter type does not match schema type"
            )
        for low, high in re.findall(rf"BETWEEN {VALUE} AND {VALUE}", payload["KeyConditionExpression"]):
            if plain(values[low]) > plain(values[high]):
                raise invalid("Invalid KeyConditionExpression: The BETWEEN operator requires ordered bounds")
        collection = self._collections.get((_name(table, holder), values[":v0"]["S"]))
        if not collection:
            return []
        holds = condition(payload["KeyConditionExpression"])
        found = [key for key in collection if holds(self.items[key], names, values)]
        range_key = holder.range_key
        found.sort(
            key=lambda key: (plain(self.items[key][range_key.name]) if range_key else "", key),
            reverse=not payload.get("ScanIndexForward", True),
        )
        if (start := payload.get("ExclusiveStartKey")) is not None:
            last = key_of(payload["TableName"], start)
            found = found[found.index(last) + 1 :] if last in found else found
        return found

    def scan(self, payload: Json) -> Json:
        """Return all items of a table in one page of the first segment."""
        kind = kind_of(payload["TableName"])
        return {"Items": [] if payload.get("Segment") else [item for key, item in self.items.items() if key[0] == kind]}

    # Writes

    def evaluate(self, operation: str, payload: Json) -> list[Change] | Refused:
        """Return what the request would change now, or why it is refused. A token once applied changes nothing."""
        if operation != "TransactWriteItems":
            change, holds = self._change(WRITES[operation], payload)
            return [change] if holds else Refused([change.key], ServiceError(f"{CONDITION_FAILED}Exception", 400, {}))
        if payload["ClientRequestToken"] in self._tokens:
            return []
        evaluated = [self._change(*next(iter(entry.items()))) for entry in payload["TransactItems"]]
        keys = [change.key for change, _ in evaluated]
        if len(set(keys)) < len(keys):
            raise invalid("Transaction request cannot include multiple operations on one item")
        if all(holds for _, holds in evaluated):
            return [change for change, _ in evaluated]
        reasons = [{"Code": "None"} if holds else {"Code": CONDITION_FAILED, "Message": "-"} for _, holds in evaluated]
        return Refused(keys, ServiceError("TransactionCanceledException", 400, {"CancellationReasons": reasons}))

    def commit(self, operation: str, payload: Json, evaluated: list[Change] | Refused) -> Json:
        """Store what was evaluated at this instant, and return the answer. Raises the refusal's error."""
        if isinstance(evaluated, Refused):
            raise evaluated.error
        for change in evaluated:
            self.store(change.key, change.after)
        if operation == "TransactWriteItems":
            self._tokens.add(payload["ClientRequestToken"])
        return {"Attributes": evaluated[0].after} if payload.get("ReturnValues") == "ALL_NEW" else {}

    def store(self, key: ItemKey, item: Json | None) -> None:
        """Put an item in place of the stored one, or delete it."""
        for collection in self._holders(key, self.items.get(key)):
            del self._collections[collection][key]
        if item is None:
            self.items.pop(key, None)
        else:
            self.items[key] = item
        for collection in self._holders(key, item):
            self._collections[collection][key] = None

    def put(self, table: str, item: Json) -> None:
        """Store an item without a condition."""
        self.store(key_of(table, item), item)

    def of_table(self, table: str) -> Iterator[tuple[ItemKey, Json]]:
        return ((key, item) for key, item in list(self.items.items()) if key.table == table)

    def _holders(self, key: ItemKey, item: Json | None) -> Iterator[tuple[str, str]]:
        """Return the collections that the item is in: that of its hash key, and those of the indexes that have it."""
        if item is None:
            return
        yield key.table, key.hash
        for index in DEFINITIONS[key.table].indexes:
            if is_indexed(index, item):
                yield f"{key.table}/{index.name}", item[index.hash_key.name]["S"]

    def _change(self, kind: str, write: Json) -> tuple[Change, bool]:
        """Return the change of one write, and whether its condition holds."""
        key = key_of(write["TableName"], write.get("Key") or write["Item"])
        before = self.items.get(key)
        names, values = write.get("ExpressionAttributeNames", {}), write.get("ExpressionAttributeValues", {})
        expression = write.get("ConditionExpression")
        if expression is not None and not condition(expression)(before or {}, names, values):
            return Change(key, before, before), False
        if kind == "Update":
            after: Json | None = updated(before or dict(write["Key"]), write["UpdateExpression"], names, values)
        else:
            after = {"Put": write.get("Item"), "Delete": None, "ConditionCheck": before}[kind]
        return Change(key, before, after), True


READS: Mapping[str, Callable[[MemoryDynamo, Json], Json]] = {
    "GetItem": MemoryDynamo.get,
    "BatchGetItem": MemoryDynamo.batch_get,
    "TransactGetItems": MemoryDynamo.transact_get,
    "Query": MemoryDynamo.query,
    "Scan": MemoryDynamo.scan,
}
WRITES = {"UpdateItem": "Update", "PutItem": "Put", "DeleteItem": "Delete", "TransactWriteItems": ""}
"""Kind of write by operation."""


class MemoryTransport:
    """Requests without a network."""

    name = "dynamodb"

    def __init__(self, tables: MemoryDynamo) -> None:
        self._tables = tables

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        return Answer(self._tables.request(operation, dict(payload)), None)


def kind_of(table: str) -> str:
    """Return the name of a table without the environment's prefix."""
    return table.rpartition("-")[2]


def key_of(table: str, holder: Json) -> ItemKey:
    kind = kind_of(table)
    definition = DEFINITIONS[kind]
    range_key = definition.range_key
    return ItemKey(kind, holder[definition.hash_key.name]["S"], _text(holder[range_key.name]) if range_key else "")


def is_indexed(index: Index, item: Json) -> bool:
    return index.hash_key.name in item and (index.range_key is None or index.range_key.name in item)


def page(payload: Json, items: list[Json]) -> Json:
    """Return the page of a query that reads these items. One that ends at its limit has looked no further."""
    limit, table = payload["Limit"], DEFINITIONS[kind_of(payload["TableName"])]
    index = next((each for each in table.indexes if each.name == payload.get("IndexName")), None)
    found = items[:limit]
    keys = [*_keys(table), *(_keys(index) if index else ())]
    answer: Json = {}
    if len(found) == limit:
        answer["LastEvaluatedKey"] = {name: found[-1][name] for name in keys}
    if index is not None:
        projected = frozenset((*keys, *index.include))
        found = [{name: value for name, value in item.items() if name in projected} for item in found]
    return {"Items": found, **answer}


def updated(item: Json, expression: str, names: Mapping[str, str], values: Mapping[str, Json]) -> Json:
    """Return the item after an update. Every operand is read from the item before it. Raises ServiceError."""
    after = dict(item)
    for placeholder, how, operand in changes(expression):
        name = names[placeholder]
        stored, value = item.get(name), values.get(operand)
        if how == "remove":
            after.pop(name, None)
        elif how == "default":
            after[name] = value if stored is None else stored
        elif how == "set":
            after[name] = value
        elif how == "add":
            after[name] = _sum(stored or {"N": "0"}, value)
        elif stored is None:
            raise invalid("The provided expression refers to an attribute that does not exist in the item")
        elif how == "append":
            after[name] = {"L": [*stored["L"], *values[operand]["L"]]}
        else:
            after[name] = _sum(stored, value, -1 if how == "minus" else 1)
    return after


@cache
def condition(expression: str) -> Condition:
    """Return a condition or a key condition as a function. Raises ValueError for an unknown form."""
    source, end = "", 0
    for found in PART.finditer(expression):
        if found.start() != end:
            break
        end = found.end()
        source += CONNECTIVES.get(found[0]) or next(
            f"({python.format(*match.groups())})"
            for term, python in TERMS.items()
            if (match := re.fullmatch(term, found[0]))
        )
    if end != len(expression):
        raise ValueError(f"the condition {expression!r} has an unknown form at {expression[end:]!r}")
    return eval(f"lambda item, n, v: {source}", {"compared": compared})  # type: ignore[no-any-return]  # noqa: S307 - built above


@cache
def changes(expression: str) -> list[tuple[str, str, str]]:
    """Return the changes of an update expression: the attribute, how it changes, and the value, as placeholders."""
    found: list[tuple[str, str, str]] = []
    for clause, content in CLAUSE.findall(expression):
        if clause == "REMOVE":
            found += [(name, "remove", "") for name in content.split(", ")]
        elif clause == "ADD":
            found += [(name, "add", value) for name, value in (each.split(" ") for each in content.split(", "))]
        else:
            if ASSIGNMENT.sub("", content):
                raise ValueError(f"the update {content!r} has an unknown form")
            for match in ASSIGNMENT.finditer(content):
                how, value = next((how, value) for how, value in match.groupdict().items() if value)
                found.append((match[1], how, value))
    if len({name for name, *_ in found}) < len(found) or not found:
        raise ValueError(f"the update {expression!r} changes an attribute twice, or nothing")
    return found


def compared(*operands: Any) -> bool:
    """Return whether the last operand holds for the values of the others, which must exist and be of one type."""
    *typed, holds = operands
    if None in typed or len({kind for value in typed for kind in value}) > 1:
        return False
    return bool(holds(*map(plain, typed)))


def _text(value: Json) -> str:
    """Return a text, or a number as text."""
    (content,) = value.values()
    return str(content)


def plain(value: Json) -> Any:
    """Return a text or a number."""
    ((kind, content),) = value.items()
    return int(content) if kind == "N" else content


def invalid(message: str) -> ServiceError:
    return ServiceError("ValidationException", 400, {"message": message})


def _sum(stored: Json, value: Json | None, sign: int = 1) -> Json:
    return {"N": str(int(stored["N"]) + sign * int((value or {})["N"]))}


def _name(table: Table, holder: Table | Index) -> str:
    return table.name if holder is table else f"{table.name}/{holder.name}"


def _keys(holder: Table | Index) -> Iterable[str]:
    keys: tuple[Key | None, ...] = (holder.hash_key, holder.range_key)
    return (key.name for key in keys if key is not None)
