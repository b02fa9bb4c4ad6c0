"""Audit trail of operators' actions: what, to what, when and why. Entries are never changed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from aiodynamo.errors import TransactionCanceled
from aiodynamo.expressions import F, HashKey
from aiodynamo.operations import Put

from order_shared.aws.dynamodb import Dynamo, failed_conditions
from order_shared.domain.clock import MICROSECOND, from_text, to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One action. `subject` is its object, such as an order id or a message id; `detail` contains no secret."""

    subject: str
    at: datetime
    actor: str
    verb: str
    reason: str
    detail: str = "-"


class AuditTrail(Protocol):
    async def record(self, operation: Operation) -> None:
        """Write an entry. Raises StorageUnavailable if it may not have been written."""

    async def of(self, subject: str, limit: int = 100) -> list[Operation]:
        """Return the actions on the subject, oldest first."""


class DynamoAuditTrail:
    def __init__(self, dynamo: Dynamo, table: str) -> None:
        self._dynamo = dynamo
        self._table = table

    async def record(self, operation: Operation) -> None:
        at = operation.at
        while True:
            item = {
                "subject": operation.subject,
                "at": to_text(at),
                "actor": operation.actor,
                "verb": operation.verb,
                "reason": operation.reason,
                "detail": operation.detail,
            }
            try:
                await self._dynamo.transact_write([Put(self._table, item, F("subject").does_not_exist())])
            except TransactionCanceled as error:
                failed_conditions(error)
                at += MICROSECOND  # another operation on the same subject in the same microsecond
            else:
                return

    async def of(self, subject: str, limit: int = 100) -> list[Operation]:
        items = await self._dynamo.query(self._table, HashKey("subject", subject), limit=limit)
        return [
            Operation(
                subject=item["subject"],
                at=from_text(item["at"]),
                actor=item["actor"],
                verb=item["verb"],
                reason=item["reason"],
                detail=item["detail"],
            )
            for item in items
        ]
