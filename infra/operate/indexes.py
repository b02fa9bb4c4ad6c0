"""Billing, indexes and replicas of the live tables, compared with the code."""

from dataclasses import dataclass
from typing import Any

from infra.environments import Environment, Provisioned
from infra.operate.request import Verb, command
from order_shared.tables import TABLES, Table
from orderctl.exceptions import Refused

Definition = tuple[str, str | None, frozenset[str]]
"""Hash key, range key and included attributes of an index."""


@dataclass(frozen=True)
class LiveTable:
    """Billing mode and indexes of a live table, as described by DynamoDB."""

    billing: str
    indexes: dict[str, Definition]


def indexes_change(dynamodb: Any, environment: Environment) -> bool:
    """Return whether the code changes the billing or the set of indexes of a live table.

    Raises:
        Refused: if an index changed but kept its name, or if one index is removed and another added at once.
    """
    found = False
    for table in TABLES:
        existing = _live_table(dynamodb, environment.table_prefix + table.name)
        if existing is not None:
            _require_readable(table, existing.indexes)
            found |= existing.billing != _billing(environment) or existing.indexes.keys() != _wanted(table).keys()
    return found


def require_no_replica(dynamodb: Any, environment: Environment, region: str) -> None:
    """Raise Refused if a table still has a replica in `region`, whose key encrypts it and is about to be destroyed."""
    for table in TABLES:
        name = environment.table_prefix + table.name
        try:
            replicas = dynamodb.describe_table(TableName=name)["Table"].get("Replicas", ())
        except dynamodb.exceptions.ResourceNotFoundException:
            continue
        if any(replica["RegionName"] == region for replica in replicas):
            line = command(Verb.APPLY, environment.name, "supporting")
            raise Refused(f"{name} still has a replica in {region}; first run: {line}")


def _billing(environment: Environment) -> str:
    return "PROVISIONED" if isinstance(environment.billing, Provisioned) else "PAY_PER_REQUEST"


def _require_readable(table: Table, existing: dict[str, Definition]) -> None:
    wanted = _wanted(table)
    for name in sorted(existing.keys() & wanted.keys()):
        if existing[name] != wanted[name]:
            raise Refused(
                f"the index {name} of {table.name} changed but kept its name: DynamoDB would delete and rebuild it, "
                "and its readers would fail meanwhile. Give it a new name: docs/evolution.md, Indexes"
            )
    gone, new = sorted(existing.keys() - wanted.keys()), sorted(wanted.keys() - existing.keys())
    if gone and new:
        raise Refused(
            f"{table.name} would lose the index {gone[0]} and get {new[0]} in one step: first deploy both, "
            "then the services that read the new one, and then remove the old one: docs/evolution.md, Indexes"
        )


def _wanted(table: Table) -> dict[str, Definition]:
    return {
        index.name: (
            index.hash_key.name,
            index.range_key.name if index.range_key else None,
            frozenset(index.include),
        )
        for index in table.indexes
    }


def _live_table(dynamodb: Any, name: str) -> LiveTable | None:
    try:
        table = dynamodb.describe_table(TableName=name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        return None
    return LiveTable(
        table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        {index["IndexName"]: _definition(index) for index in table.get("GlobalSecondaryIndexes", ())},
    )


def _definition(index: dict[str, Any]) -> Definition:
    keys = {key["KeyType"]: key["AttributeName"] for key in index["KeySchema"]}
    return keys["HASH"], keys.get("RANGE"), frozenset(index["Projection"].get("NonKeyAttributes", ()))
