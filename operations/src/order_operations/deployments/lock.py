"""Lock in the operations table that lets only one operator at a time deploy a service."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from order_operations.deployments.errors import DeploymentFailed, Locked
from order_operations.deployments.service_ref import ServiceRef

AT = "lock"
"""Range key of a lock. Entries of the audit trail, in the same table, have a time as their range key."""

HELD_SECONDS = 120
"""Seconds until a lock expires unless it is extended, so that a crashed command does not block others for longer.

The clocks of two operators must differ by less. Otherwise one can take the lock of the other's running command, which
then fails.
"""

EXTENDED_SECONDS = HELD_SECONDS / 4


@dataclass(frozen=True, kw_only=True)
class Holder:
    id: str
    """Unique id of this run."""
    actor: str
    what: str
    """Description of the action, for operators who find the lock taken."""


class Lock:
    """Lock on one service. `dynamodb` is a boto3 client; `now` returns epoch seconds."""

    def __init__(
        self, dynamodb: Any, table: str, ref: ServiceRef, holder: Holder, now: Callable[[], float] = time.time
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._ref = ref
        self._holder = holder
        self._now = now

    def take(self) -> None:
        """Take the lock. Raises Locked if another run holds it; the message names its operator and remaining time."""
        now = int(self._now())
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item={
                    **self._key,
                    "holder": {"S": self._holder.id},
                    "actor": {"S": self._holder.actor},
                    "what": {"S": self._holder.what},
                    "taken_at": {"N": str(now)},
                    "until": {"N": str(now + HELD_SECONDS)},
                },
                # This run holds the lock already if the response to its first attempt was lost.
                ConditionExpression="attribute_not_exists(subject) OR #until < :now OR holder = :holder",
                ExpressionAttributeNames={"#until": "until"},
                ExpressionAttributeValues={":now": {"N": str(now)}, ":holder": {"S": self._holder.id}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if not _is_condition_failure(error):
                raise
            raise Locked(self._explain(_item_of(error), now)) from None

    def extend(self) -> None:
        """Extend the lock to HELD_SECONDS from now. Call this method again before that time has passed.

        Raises:
            DeploymentFailed: if the lock was lost, so another operator may be deploying.
        """
        until = int(self._now()) + HELD_SECONDS
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression="SET #until = :until",
                ConditionExpression="holder = :holder",
                ExpressionAttributeNames={"#until": "until"},
                ExpressionAttributeValues={":until": {"N": str(until)}, ":holder": {"S": self._holder.id}},
            )
        except ClientError as error:
            if not _is_condition_failure(error):
                raise
            raise DeploymentFailed(
                f"the lock on {self._ref} was lost, and another operator may be deploying it: "
                f"check with `orderctl status {self._ref.place}`"
            ) from None

    def try_extend(self) -> None:
        """Extend the lock. Errors are ignored: the caller's next `extend` raises DeploymentFailed if it was lost."""
        with suppress(BotoCoreError, ClientError, DeploymentFailed):
            self.extend()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Extend the lock in the background while the block waits for an operator."""
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(EXTENDED_SECONDS):
                self.try_extend()

        thread = threading.Thread(target=keep, name="lock", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def release(self) -> None:
        """Release the lock if this run still holds it. Errors are ignored, since the lock expires by itself."""
        with suppress(BotoCoreError, ClientError):
            self._dynamodb.delete_item(
                TableName=self._table,
                Key=self._key,
                ConditionExpression="holder = :holder",
                ExpressionAttributeValues={":holder": {"S": self._holder.id}},
            )

    @property
    def _key(self) -> dict[str, dict[str, str]]:
        return {"subject": {"S": f"lock#{self._ref.subject}"}, "at": {"S": AT}}

    def _explain(self, found: dict[str, dict[str, str]], now: int) -> str:
        if not found:
            return f"another operator is deploying {self._ref}: see `orderctl history {self._ref.place}`"
        seconds = now - int(found["taken_at"]["N"])
        expires = max(0, int(found["until"]["N"]) - now)
        return (
            f"{found['actor']['S']} has held the lock on {self._ref} for {seconds} s: {found['what']['S']}. "
            f"If that command no longer runs, the lock expires in {expires} s; see `orderctl status {self._ref.place}`"
        )


def _item_of(error: ClientError) -> dict[str, dict[str, str]]:
    item: Any = error.response.get("Item", {})
    return dict(item)


def _is_condition_failure(error: ClientError) -> bool:
    return bool(error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException")
