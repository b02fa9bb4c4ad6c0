"""What ECS knows of a service: revisions, their tasks, and the deployments that lead from one to the next.

Values and plain state only; `machine` and `fleet` change them. Names are those of ECS's API.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

FULL = 100
"""Per cent: all the traffic, and the weight of a target group that has it."""


class Strategy(StrEnum):
    ROLLING = "ROLLING"
    BLUE_GREEN = "BLUE_GREEN"


class Stage(StrEnum):
    RECONCILE_SERVICE = "RECONCILE_SERVICE"
    PRE_SCALE_UP = "PRE_SCALE_UP"
    SCALE_UP = "SCALE_UP"
    POST_SCALE_UP = "POST_SCALE_UP"
    TEST_TRAFFIC_SHIFT = "TEST_TRAFFIC_SHIFT"
    POST_TEST_TRAFFIC_SHIFT = "POST_TEST_TRAFFIC_SHIFT"
    PRODUCTION_TRAFFIC_SHIFT = "PRODUCTION_TRAFFIC_SHIFT"
    POST_PRODUCTION_TRAFFIC_SHIFT = "POST_PRODUCTION_TRAFFIC_SHIFT"
    BAKE_TIME = "BAKE_TIME"
    CLEAN_UP = "CLEAN_UP"


class Status(StrEnum):
    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESSFUL = "SUCCESSFUL"
    STOP_REQUESTED = "STOP_REQUESTED"
    STOPPED = "STOPPED"
    ROLLBACK_REQUESTED = "ROLLBACK_REQUESTED"
    ROLLBACK_IN_PROGRESS = "ROLLBACK_IN_PROGRESS"
    ROLLBACK_SUCCESSFUL = "ROLLBACK_SUCCESSFUL"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"

    @property
    def is_finished(self) -> bool:
        return self in FINISHED


FINISHED = frozenset({Status.SUCCESSFUL, Status.STOPPED, Status.ROLLBACK_SUCCESSFUL, Status.ROLLBACK_FAILED})


class HookStatus(StrEnum):
    AWAITING_ACTION = "AWAITING_ACTION"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"


class HookAction(StrEnum):
    CONTINUE = "CONTINUE"
    ROLLBACK = "ROLLBACK"


class TaskStatus(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    DEACTIVATING = "DEACTIVATING"
    """Its target drains."""
    STOPPED = "STOPPED"


def new_id() -> str:
    """Of a deployment or a hook, in the form of ECS's own."""
    return secrets.token_urlsafe(16)


def new_revision_id() -> str:
    """Sixteen digits or more, as ECS's."""
    return str(10**18 + secrets.randbelow(8 * 10**18))


@dataclass(kw_only=True)
class Image:
    container: str
    reference: str
    """As the task definition has it: `registry/repository:tag`, or with `@sha256:…`."""
    digest: str | None = None
    """None until a deployment has started, or if there is no such image."""


@dataclass(kw_only=True)
class Task:
    revision_id: str
    address: str
    due: datetime | None
    """When it will run, or have stopped; None while it runs, and once it has stopped."""
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    status: TaskStatus = TaskStatus.PENDING

    @property
    def is_wanted(self) -> bool:
        return self.status in (TaskStatus.PENDING, TaskStatus.RUNNING)


@dataclass(kw_only=True)
class Revision:
    task_definition: str
    images: list[Image]
    created_at: datetime
    target_group: str | None
    id: str = field(default_factory=new_revision_id)
    wanted: int = 0
    """Tasks."""
    failures: int = 0
    """Tasks that did not start, since the last that did."""
    launch_after: datetime | None = None
    """After a failure the next launch waits."""

    @property
    def digests(self) -> list[str | None]:
        return [image.digest for image in self.images]


@dataclass(frozen=True)
class PauseHook:
    stages: frozenset[Stage]
    timeout_minutes: int = 1440
    action: HookAction = HookAction.ROLLBACK


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Of a service's deployments. Counts are per cent of the desired count."""

    strategy: Strategy
    bake_minutes: int = 0
    hooks: tuple[PauseHook, ...] = ()
    alarms: tuple[str, ...] = ()
    alarms_enabled: bool = False
    alarms_roll_back: bool = False
    breaker_enabled: bool = False
    breaker_rolls_back: bool = False
    minimum_healthy_percent: int = 100
    maximum_percent: int = 200


@dataclass(frozen=True, kw_only=True)
class Balancing:
    """The service's place behind a load balancer. ARNs."""

    container: str
    port: int
    target_groups: tuple[str, ...]
    """One; or two, which take turns in having the production traffic."""
    production_rule: str | None = None
    test_rule: str | None = None
    role: str | None = None


@dataclass
class Hook:
    """A pause that a deployment has come to."""

    stage: Stage
    expires_at: datetime
    timeout_action: HookAction
    id: str = field(default_factory=lambda: f"ecs-pause-{new_id()}")
    status: HookStatus = HookStatus.AWAITING_ACTION


@dataclass(frozen=True, kw_only=True)
class Counts:
    requested: int
    running: int
    pending: int
    production: int
    """Per cent of the traffic."""
    test: int


@dataclass
class Rollback:
    reason: str
    started_at: datetime
    revision_id: str


@dataclass(kw_only=True)
class Deployment:
    target: Revision
    sources: list[Revision]
    base: Revision
    """What a rollback goes back to: the source that customers are on. Of a service's first deployment, its target."""
    configuration: Configuration
    created_at: datetime
    due: datetime | None
    """When the present status or stage is over; None if it does not end by time alone."""
    id: str = field(default_factory=new_id)
    status: Status = Status.PENDING
    status_reason: str | None = None
    stage: Stage | None = None
    started_at: datetime | None = None
    updated_at: datetime | None = None
    finished_at: datetime | None = None
    stopped_at: datetime | None = None
    hooks: list[Hook] = field(default_factory=list)
    ignored_alarms: frozenset[str] = frozenset()
    """In ALARM already when the deployment started."""
    triggered_alarms: tuple[str, ...] = ()
    breaker_tripped: bool = False
    rollback: Rollback | None = None
    final: dict[str, Counts] = field(default_factory=dict)
    """By revision, once finished."""

    @property
    def awaiting(self) -> Hook | None:
        return next((hook for hook in self.hooks if hook.status is HookStatus.AWAITING_ACTION), None)


@dataclass(frozen=True, kw_only=True)
class Event:
    at: datetime
    message: str
    id: str = field(default_factory=lambda: secrets.token_hex(16))


@dataclass(kw_only=True)
class Service:
    name: str
    cluster: str
    task_definition: str
    desired: int
    configuration: Configuration
    created_at: datetime
    live: Revision
    """The revision of the last deployment that ended well."""
    balancing: Balancing | None = None
    revisions: list[Revision] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    """Oldest first."""
    tasks: list[Task] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    production_id: str = ""
    """The revision that customers are on."""
    test_id: str = ""
    """The revision behind the test rule."""

    @property
    def ongoing(self) -> Deployment | None:
        last = self.deployments[-1] if self.deployments else None
        return last if last is not None and not last.status.is_finished else None

    def revision(self, revision_id: str) -> Revision:
        return next(revision for revision in self.revisions if revision.id == revision_id)

    def tasks_of(self, revision: Revision) -> Iterator[Task]:
        return (task for task in self.tasks if task.revision_id == revision.id)

    def running(self, revision: Revision) -> int:
        return sum(task.status is TaskStatus.RUNNING for task in self.tasks_of(revision))

    def alive(self, revision: Revision) -> int:
        """Running, or about to."""
        return sum(task.is_wanted for task in self.tasks_of(revision))

    def counts(self, revision: Revision) -> Counts:
        running = self.running(revision)
        return Counts(
            requested=revision.wanted,
            running=running,
            pending=self.alive(revision) - running,
            production=FULL if revision.id == self.production_id else 0,
            test=FULL if revision.id == self.test_id else 0,
        )

    def active(self) -> list[Revision]:
        """Those that have tasks, or should have."""
        return [r for r in self.revisions if r.wanted or any(t.status != TaskStatus.STOPPED for t in self.tasks_of(r))]

    def tell(self, at: datetime, message: str) -> None:
        self.events.append(Event(at=at, message=f"(service {self.name}) {message}"))
