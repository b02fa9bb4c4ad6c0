"""Freeze of a service's deployments, stored in the operations table until an operator lifts it."""

from dataclasses import dataclass
from typing import Any

from order_operations.deployments.service_ref import ServiceRef

AT = "pause"
"""Range key of a freeze. It keeps the former name `pause`, because other releases read it."""


@dataclass(frozen=True, kw_only=True)
class Freeze:
    actor: str
    reason: str
    since: str


class FreezeStore:
    """Freezes in the operations table. `dynamodb` is a boto3 client."""

    def __init__(self, dynamodb: Any, table: str, ref: ServiceRef) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._ref = ref

    def get(self) -> Freeze | None:
        """Return the freeze, or None. The read is strongly consistent: it finds a freeze that was set just before."""
        item = self._dynamodb.get_item(TableName=self._table, Key=self._key, ConsistentRead=True).get("Item")
        return Freeze(actor=item["actor"]["S"], reason=item["reason"]["S"], since=item["since"]["S"]) if item else None

    def set(self, freeze: Freeze) -> None:
        """Set a freeze, replacing an earlier one."""
        attributes = {"actor": freeze.actor, "reason": freeze.reason, "since": freeze.since}
        item = {**self._key, **{name: {"S": value} for name, value in attributes.items()}}
        self._dynamodb.put_item(TableName=self._table, Item=item)

    def lift(self) -> None:
        self._dynamodb.delete_item(TableName=self._table, Key=self._key)

    @property
    def _key(self) -> dict[str, dict[str, str]]:
        return {"subject": {"S": f"pause#{self._ref.subject}"}, "at": {"S": AT}}
