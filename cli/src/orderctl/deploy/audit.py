"""What was done to a service, in the trail that `order_shared.storage.audit_trail` reads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from order_shared.domain.clock import MICROSECOND, from_text, to_text
from orderctl.deploy.place import Place


@dataclass(frozen=True, kw_only=True)
class Entry:
    at: datetime
    actor: str
    verb: str
    detail: str


class AuditLog:
    """`dynamodb` is a boto3 client: a deployment must not need the platform's own storage settings."""

    def __init__(self, dynamodb: Any, table: str, place: Place, actor: str, now: Callable[[], datetime]) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._place = place
        self._actor = actor
        self._now = now

    def record(self, verb: str, detail: str) -> None:
        at = self._now()
        while not self._put(at, verb, detail):
            at += MICROSECOND  # something else on the same service in the same microsecond

    def latest(self, limit: int) -> Iterator[Entry]:
        """The newest first."""
        answer = self._dynamodb.query(
            TableName=self._table,
            KeyConditionExpression="subject = :subject",
            ExpressionAttributeValues={":subject": {"S": self._place.subject}},
            ScanIndexForward=False,
            Limit=limit,
        )
        for item in answer["Items"]:
            yield Entry(
                at=from_text(item["at"]["S"]),
                actor=item["actor"]["S"],
                verb=item["verb"]["S"],
                detail=item["detail"]["S"],
            )

    def _put(self, at: datetime, verb: str, detail: str) -> bool:
        item = {
            "subject": self._place.subject,
            "at": to_text(at),
            "actor": self._actor,
            "verb": verb,
            "reason": "-",
            "detail": detail,
        }
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item={name: {"S": value} for name, value in item.items()},
                ConditionExpression="attribute_not_exists(subject)",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True
