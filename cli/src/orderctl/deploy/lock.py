"""Lock that lets one operator at a time deploy a service, in the operations table."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from orderctl.deploy.service_ref import ServiceRef
from orderctl.exceptions import DeploymentFailed, Locked

AT = "lock"
"""Range key of a lock. The entries of the audit trail beside it have times."""

HELD_SECONDS = 120
"""After its holder's last sign of life: a machine that died does not lock others out for longer. Operators' clocks may
differ by less than this; by more, a lock is taken from who lives, which then stops and says so."""

EXTENDED_SECONDS = HELD_SECONDS / 4


@dataclass(frozen=True, kw_only=True)
class Holder:
    id: str
    """Unique id of this run."""
    actor: str
    what: str
    """Description of the action, for whoever finds the lock taken."""


class Lock:
    """`dynamodb` is a boto3 client; `now` tells epoch seconds."""

    def __init__(
        self, dynamodb: Any, table: str, ref: ServiceRef, holder: Holder, now: Callable[[], float] = time.time
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._ref = ref
        self._holder = holder
        self._now = now

    def take(self) -> None:
        """Take the lock. Raises Locked, which names the holder and the time."""
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
                # Ours already: the answer to the first attempt was lost.
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
        """Extend the lock. Call it more often than every HELD_SECONDS.

        Raises:
            DeploymentFailed: if it is not ours any more: somebody else may be at work.
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
                f"the lock on {self._ref} is lost: somebody else may be deploying it. "
                f"`orderctl status {self._ref.kind} --env {self._ref.environment}` tells how it stands"
            ) from None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Extends it while the block waits for somebody.

        What goes wrong is left to the next `extend`.
        """
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(EXTENDED_SECONDS):
                with suppress(BotoCoreError, ClientError, DeploymentFailed):
                    self.extend()

        thread = threading.Thread(target=keep, name="lock", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def release(self) -> None:
        """Nothing happens if it is not ours any more. What goes wrong changes nothing: it frees itself."""
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
            return f"somebody else deploys {self._ref}"
        seconds = now - int(found["taken_at"]["N"])
        frees = max(0, int(found["until"]["N"]) - now)
        return (
            f"{found['actor']['S']} has been at {self._ref} for {seconds} s: {found['what']['S']}. "
            f"If nobody is, the lock frees itself in {frees} s"
        )


def _item_of(error: ClientError) -> dict[str, dict[str, str]]:
    item: Any = error.response.get("Item", {})
    return dict(item)


def _is_condition_failure(error: ClientError) -> bool:
    return bool(error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException")
