"""Context of a deployment command: the service, the account, the operator, and the AWS clients."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from botocore.config import Config

from order_operations.deployments.ecr_repository import EcrRepository
from order_operations.deployments.fleet import Deployment, Fleet
from order_operations.deployments.freeze import Freeze, FreezeStore
from order_operations.deployments.guard import ServiceAccess
from order_operations.deployments.lock import Holder, Lock
from order_operations.deployments.service_ref import API, SERVICES, ServiceRef
from order_operations.deployments.traffic import Traffic
from order_shared.domain.clock import utc_now
from order_shared.storage.audit_trail import AuditTrail, DynamoAuditTrail, Operation
from order_shared.tables import OPERATIONS
from orderctl.deploy.dead_letter_watch import DeadLetterWatch
from orderctl.exceptions import Refused
from orderctl.settings import DeploySettings, load_settings

if TYPE_CHECKING:
    import boto3

MAX_HISTORY = 200
"""Actions that a rollback reads, to find the images that were rejected."""

MIGRATED_TABLES = ("orders", "inventory")

CALLS = Config(
    retries={"mode": "standard", "max_attempts": 10},  # throttled calls are retried with backoff
    connect_timeout=5,
    read_timeout=20,
)
ONE_CALL = CALLS.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
"""For calls that are not idempotent: after a time-out their effect is checked before they are repeated."""


def make_session(settings: DeploySettings) -> "boto3.Session":
    """Return a session in the region of `AWS_REGION`, which botocore does not read."""
    import boto3  # noqa: PLC0415 - most commands need no AWS, and the import takes long

    return boto3.Session(region_name=settings.aws_region)


@dataclass(frozen=True, kw_only=True)
class DeployContext:
    ref: ServiceRef
    session: "boto3.Session"
    region: str
    account: str
    actor: str
    """ARN of the caller, for the audit trail."""
    settings: DeploySettings = field(default_factory=DeploySettings)
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Unique id of this run of a command. A run can take a lock that it holds already."""

    @classmethod
    def open(cls, environment: str, kind: str) -> Self:
        """Open the context of a service with the caller's AWS credentials and region. `kind` is the service's name.

        Raises:
            Refused: without a region, for an unknown service, or if ORDER_ACCOUNT_ID names another account.
        """
        if kind not in SERVICES:
            raise Refused(f"there is no service {kind}: choose from {', '.join(SERVICES)} (`orderctl deploy --help`)")
        settings = load_settings(DeploySettings)
        session = make_session(settings)
        if not session.region_name:
            raise Refused("no region is set: `export AWS_REGION=…`")
        caller = session.client("sts", config=CALLS).get_caller_identity()
        expected = settings.account_id
        if expected and expected != caller["Account"]:
            raise Refused(
                f"the credentials belong to account {caller['Account']}, but ORDER_ACCOUNT_ID is {expected}: "
                f"sign in to that account, or `export ORDER_ACCOUNT_ID={caller['Account']}`"
            )
        return cls(
            ref=ServiceRef(environment=environment, kind=kind),
            session=session,
            region=session.region_name,
            account=caller["Account"],
            actor=caller["Arn"],
            settings=settings,
        )

    @cached_property
    def repository(self) -> EcrRepository:
        return EcrRepository(self._client("ecr"), self.ref.repository)

    @cached_property
    def fleet(self) -> Fleet:
        return Fleet(
            self._client("ecs"),
            self.ref,
            ecs_once=self._client("ecs", ONE_CALL),
            index_of=self.repository.index_of,
        )

    @cached_property
    def cloudwatch(self) -> Any:
        return self._client("cloudwatch")

    @cached_property
    def traffic(self) -> Traffic:
        return Traffic(self._client("elbv2"))

    @property
    def access(self) -> ServiceAccess:
        return ServiceAccess(fleet=self.fleet, repository=self.repository, traffic=self.traffic, freezes=self.freezes)

    @cached_property
    def audit(self) -> AuditTrail:
        return DynamoAuditTrail(self._client("dynamodb"), self._operations)

    def record(self, verb: str, detail: str, reason: str = "-") -> None:
        """Record an operator's action on the service in the audit trail. Raises a botocore exception on failure."""
        self.audit.record(
            Operation(subject=self.ref.subject, at=utc_now(), actor=self.actor, verb=verb, reason=reason, detail=detail)
        )

    @cached_property
    def freezes(self) -> FreezeStore:
        return FreezeStore(self._client("dynamodb"), self._operations, self.ref)

    def freeze(self, reason: str) -> Freeze:
        """Freeze deployments of the service."""
        freeze = Freeze(actor=self.actor, reason=reason, since=utc_now().isoformat(timespec="seconds"))
        self.freezes.set(freeze)
        return freeze

    def lock(self, what: str, now: Callable[[], float] = time.time) -> Lock:
        holder = Holder(id=self.run, actor=self.actor, what=what)
        return Lock(self._client("dynamodb"), self._operations, self.ref, holder, now)

    def history(self) -> list[Operation]:
        """Return the latest actions on the service, oldest first."""
        return self.audit.of(self.ref.subject, MAX_HISTORY, newest_first=True)[::-1]

    def migrations_since(self, moment: datetime) -> list[Operation]:
        """Return the migrations of stored items that were started since."""
        found = (self.audit.of(f"migration#{table}", 1, newest_first=True) for table in MIGRATED_TABLES)
        return [entry for entries in found for entry in entries if entry.at > moment]

    def watch(self) -> Callable[[Deployment], str | None]:
        """Return a function that returns the reason to roll back a deployment, or None if there is none.

        For a worker, the reason is new dead letters: each poll counts them, so the rollback starts before the
        CloudWatch alarm on dead letters would start it. For the API, the function always returns None.
        """
        if self.ref.kind == API:
            return lambda _: None
        return DeadLetterWatch(self._client("sqs"), self.ref.queue.dead_letter_name)

    @property
    def _operations(self) -> str:
        return self.ref.table_prefix + OPERATIONS.name

    def _client(self, service: str, config: Config = CALLS) -> Any:
        session: Any = self.session  # the stubs of boto3 take literal names only
        return session.client(service, region_name=self.region, config=config)
