"""One service in one account: the clients of AWS, who is asking, and everything that a verb works with."""

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self

import boto3
from botocore.config import Config

from order_shared.tables import OPERATIONS, order_queue
from orderctl.deploy.alarms import Alarms
from orderctl.deploy.audit import AuditLog
from orderctl.deploy.dead_letter_watch import DeadLetterWatch
from orderctl.deploy.errors import Refused
from orderctl.deploy.fleet import Deployment, Fleet
from orderctl.deploy.freeze import Freeze, Pause
from orderctl.deploy.images import Images
from orderctl.deploy.lock import Holder, Lock
from orderctl.deploy.place import API, SERVICES, Place
from orderctl.deploy.traffic import Traffic

EXPECTED_ACCOUNT = "ORDER_ACCOUNT_ID"

CALLS = Config(
    retries={"mode": "standard", "max_attempts": 10},  # throttled calls are made again, ever more slowly
    connect_timeout=5,
    read_timeout=20,
)


def make_session() -> boto3.Session:
    """Return a session in the region of `AWS_REGION`, which botocore does not read."""
    return boto3.Session(region_name=os.environ.get("AWS_REGION") or None)


@dataclass(frozen=True, kw_only=True)
class Site:
    place: Place
    session: boto3.Session
    account: str
    actor: str
    """The caller's ARN, as AWS knows it: who the audit trail names."""

    @classmethod
    def open(cls, environment: str, kind: str) -> Self:
        """With the credentials and the region that AWS's own variables say.

        Raises:
            Refused: without a region, for an unknown service, or if ORDER_ACCOUNT_ID names another account.
        """
        if kind not in SERVICES:
            raise Refused(f"{kind} is no service: {', '.join(SERVICES)}")
        session = make_session()
        if not session.region_name:
            raise Refused("no region is set: AWS_REGION")
        caller = session.client("sts", config=CALLS).get_caller_identity()
        expected = os.environ.get(EXPECTED_ACCOUNT)
        if expected and expected != caller["Account"]:
            raise Refused(
                f"these credentials are of account {caller['Account']}, and {EXPECTED_ACCOUNT} says {expected}"
            )
        return cls(
            place=Place(environment=environment, kind=kind),
            session=session,
            account=caller["Account"],
            actor=caller["Arn"],
        )

    @property
    def region(self) -> str:
        return str(self.session.region_name)

    @cached_property
    def images(self) -> Images:
        return Images(self._client("ecr"), self.place.repository)

    @cached_property
    def fleet(self) -> Fleet:
        return Fleet(self._client("ecs"), self.place)

    @cached_property
    def alarms(self) -> Alarms:
        return Alarms(self._client("cloudwatch"))

    @cached_property
    def traffic(self) -> Traffic:
        return Traffic(self._client("elbv2"))

    @cached_property
    def audit(self) -> AuditLog:
        return AuditLog(self._client("dynamodb"), self._operations, self.place, self.actor, _utc_now)

    @cached_property
    def freeze(self) -> Freeze:
        return Freeze(self._client("dynamodb"), self._operations, self.place)

    def pause(self, reason: str) -> Pause:
        """Keeps everybody from deploying the service."""
        paused = Pause(actor=self.actor, reason=reason, since=_utc_now().isoformat(timespec="seconds"))
        self.freeze.set(paused)
        return paused

    def lock(self, what: str, now: Callable[[], float] = time.time) -> Lock:
        holder = Holder(id=uuid.uuid4().hex, actor=self.actor, what=what)
        return Lock(self._client("dynamodb"), self._operations, self.place, holder, now)

    def watch(self) -> Callable[[Deployment], str | None]:
        """What turns a deployment down besides ECS: a processor's that leaves letters which it cannot read."""
        if self.place.kind == API:
            return lambda _: None
        return DeadLetterWatch(self._client("sqs"), order_queue(self.place.table_prefix).dead_letter_name)

    @property
    def _operations(self) -> str:
        return self.place.table_prefix + OPERATIONS.name

    def _client(self, service: str) -> Any:
        session: Any = self.session  # whose stubs take literal names only
        return session.client(service, config=CALLS)


def _utc_now() -> datetime:
    return datetime.now(UTC)
