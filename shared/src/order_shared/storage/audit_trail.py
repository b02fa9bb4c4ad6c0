"""Audit trail of operators' actions: action, subject, time, actor and reason. Entries are never changed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from botocore.exceptions import ClientError

from order_shared.domain.clock import MICROSECOND, from_text, to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operator's action on `subject`, such as an order id or a service. `detail` contains no secret."""

    subject: str
    at: datetime
    actor: str
    verb: str
    reason: str = "-"
    detail: str = "-"


class AuditTrail(Protocol):
    def record(self, operation: Operation) -> None:
        """Write an entry. Raises ClientError or BotoCoreError; the entry may then be missing."""

    def of(self, subject: str, limit: int = 100, *, newest_first: bool = False) -> list[Operation]:
        """Return up to `limit` actions on the subject, oldest first unless `newest_first`.

        Raises ClientError or BotoCoreError.
        """
        ...


class DynamoAuditTrail:
    """Audit trail in DynamoDB. `dynamodb` is a boto3 client, which blocks: only operators' commands use it."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def record(self, operation: Operation) -> None:
        at = operation.at
        while not self._put(operation, at):
            at += MICROSECOND  # another action on the same subject in the same microsecond

    def of(self, subject: str, limit: int = 100, *, newest_first: bool = False) -> list[Operation]:
        answer = self._dynamodb.query(
            TableName=self._table,
            KeyConditionExpression="subject = :subject",
            ExpressionAttributeValues={":subject": {"S": subject}},
            ScanIndexForward=not newest_first,
            Limit=limit,
        )
        return [
            _operation({name: value["S"] for name, value in item.items() if "S" in value}) for item in answer["Items"]
        ]

    def _put(self, operation: Operation, at: datetime) -> bool:
        item = {
            "subject": operation.subject,
            "at": to_text(at),
            "actor": operation.actor,
            "verb": operation.verb,
            "reason": operation.reason,
            "detail": operation.detail,
        }
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item={name: {"S": value} for name, value in item.items()},
                ConditionExpression="attribute_not_exists(subject)",
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise
            return False
        return True


def _operation(item: dict[str, str]) -> Operation:
    """Convert an item. Attributes that a newer release leaves out are `-`, so that they do not hide other entries."""
    return Operation(
        subject=item["subject"],
        at=from_text(item["at"]),
        actor=item.get("actor", "-"),
        verb=item.get("verb", "-"),
        reason=item.get("reason", "-"),
        detail=item.get("detail", "-"),
    )
