"""Write units of requests to DynamoDB, by its published rules: the embedded AWS says 1 for whatever is asked.

    a write              1 unit for each KB begun of the item, the larger of before and after; a failed condition too
    in a transaction     2 units instead of 1
    an index's entry     1 unit for each KB begun where it is put, removed or changed; 2 writes if its key changes; none
                         if it stays as it is. Indexes follow once the transaction is done, at the price of a write

Sources, in the developer guide at https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/:
CapacityUnitCalculations.html (sizes), read-write-operations.html (writes), transaction-apis.html (transactions),
GSI.html, "Write capacity units" (indexes).
"""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from math import ceil

from order_shared.tables import TABLES, Index, Table
from tests import memory_dynamo
from tests.chaos.wire import TRANSACTION, Call, Json

KB = 1024
CONTAINER_BYTES = 3
ELEMENT_BYTES = 1
TABLES_BY_NAME = {table.name: table for table in TABLES}

Item = dict[str, Json]
"""As on the wire: each value under the name of its type."""


def item_size(item: Item) -> int:
    """Bytes."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Json) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return _number_size(content)
        case "BOOL" | "NULL":
            return 1
        case "L":
            return CONTAINER_BYTES + sum(ELEMENT_BYTES + _value_size(element) for element in content)
        case "M":
            return CONTAINER_BYTES + len(content) * ELEMENT_BYTES + item_size(content)
        case _:
            raise ValueError(f"no item of ours has a value of type {kind}")


def _number_size(number: str) -> int:
    """A byte for two significant digits and one more; another, which the guide leaves open, for a minus."""
    sign, digits, _ = Decimal(number).normalize().as_tuple()
    return ceil(len(digits) / 2) + 1 + sign


def write_units(size: int) -> int:
    """Of one standard write; what is not there is paid for as if it were small."""
    return max(1, ceil(size / KB))


def index_units(table: Table, before: Item | None, after: Item | None) -> int:
    """Of all the indexes of the table, when one of its items changes."""
    return sum(entry_units(table, index, before, after) for index in table.indexes)


def entry_units(table: Table, index: Index, before: Item | None, after: Item | None) -> int:
    """Of one index."""
    old, new = _entry(table, index, before), _entry(table, index, after)
    if old == new:
        return 0
    if old is None or new is None or all(old[key] == new[key] for key in _key_names(index)):
        return write_units(max(item_size(old or {}), item_size(new or {})))
    return write_units(item_size(old)) + write_units(item_size(new))


def _entry(table: Table, index: Index, item: Item | None) -> Item | None:
    """What the index holds of the item; None unless the item has all the keys of the index."""
    keys = _key_names(index)
    if item is None or any(name not in item for name in keys):
        return None
    return {name: item[name] for name in (*_key_names(table), *keys, *index.include) if name in item}


def _key_names(owner: Table | Index) -> list[str]:
    return [key.name for key in (owner.hash_key, owner.range_key) if key is not None]


def updated(item: Item | None, update: Json) -> Item:
    """Return the item after an update. Raises ValueError for an expression that the repositories do not write."""
    names, values = update.get("ExpressionAttributeNames", {}), update.get("ExpressionAttributeValues", {})
    return memory_dynamo.updated(item or update["Key"], update["UpdateExpression"], names, values)


class Ledger:
    """The tables as the writes that it was shown have made them, and what each write has cost.

    It has to be shown every write since the tables were empty, in the order of their answers.
    """

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        """By the key of `Call.written_keys`."""
        self.units: Counter[tuple[str, str]] = Counter()
        """Write units by the name of the table or index, and by the hash key in it."""

    def enter(self, call: Call, *, applied: bool) -> int:
        """The write units that the call has consumed, indexes included. `applied` says that it was not refused."""
        factor = 2 if call.operation == TRANSACTION else 1
        return sum(
            self._enter(key, kind, write, factor=factor, applied=applied)
            for key, (kind, write) in zip(call.written_keys, _writes(call), strict=True)
        )

    def _enter(self, key: str, kind: str, write: Json, *, factor: int, applied: bool) -> int:
        before = self.items.get(key)
        after = _after(before, kind, write) if applied else before
        if after is None:
            self.items.pop(key, None)
        else:
            self.items[key] = after
        table = TABLES_BY_NAME[write["TableName"].rpartition("-")[2]]
        size = max(item_size(before or {}), item_size(after or {}))
        units: dict[Table | Index, int] = {table: factor * write_units(size)}
        units |= {index: entry_units(table, index, before, after) for index in table.indexes}
        for owner, count in units.items():
            known = {**(before or {}), **(after or {}), **write.get("Key", {})}
            if count:
                self.units[owner.name, known[owner.hash_key.name]["S"]] += count
        return sum(units.values())


def _writes(call: Call) -> Iterable[tuple[str, Json]]:
    if call.operation == TRANSACTION:
        return [(kind, write) for entry in call.content["TransactItems"] for kind, write in entry.items()]
    return [("Update", call.content)]


def _after(before: Item | None, kind: str, write: Json) -> Item | None:
    match kind:
        case "Put":
            return dict(write["Item"])
        case "Update":
            return updated(before, write)
        case "Delete":
            return None
        case _:
            return before
