"""Data model of a service: revisions, tasks and deployments.

Data only: the rules of a deployment are in `machine`, `stages` and `fleet`. The values of the enumerations are those of
the ECS API.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

FULL = 100
"""100 per cent. Also the weight of the target group that receives all traffic."""


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
    """Task whose target is draining."""
    STOPPED = "STOPPED"


def new_id() -> str:
    """Return an id of a deployment or hook, in the form of ECS."""
    return secrets.token_urlsafe(16)


def new_revision_id() -> str:
    """Return a revision id of at least sixteen digits, in the form of ECS."""
    return str(10**18 + secrets.randbelow(8 * 10**18))


@dataclass(kw_only=True)
class Image:
    container: str
    reference: str
    """Reference in the task definition: `registry/repository:tag`, or with `@sha256:…`."""
    digest: str | None = None
    """Resolved digest; None before the first task starts, or if the image does not exist."""


@dataclass(kw_only=True)
class Task:
    revision_id: str
    address: str
    due: datetime | None
    """Time at which a pending task starts or a draining task stops; None for a running or stopped task."""
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    status: TaskStatus = TaskStatus.PENDING

    @property
    def is_alive(self) -> bool:
        return self.status in (TaskStatus.PENDING, TaskStatus.RUNNING)


@dataclass(kw_only=True)
class Revision:
    task_definition: str
    images: list[Image]
    created_at: datetime
    target_group: str | None
    id: str = field(default_factory=new_revision_id)
    desired: int = 0
    """Desired number of tasks."""
    failures: int = 0
    """Tasks that failed to start since the last successful start."""
    launch_after: datetime | None = None
    """Earliest time of the next launch after a failure."""

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
    """Deployment configuration of a service. The members `*_percent` are relative to the desired count."""

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
    """Load balancer configuration of a service. Groups and rules are ARNs."""

    container: str
    port: int
    target_groups: tuple[str, ...]
    """One target group, or two of which one at a time receives the production traffic."""
    production_rule: str | None = None
    test_rule: str | None = None
    role: str | None = None


@dataclass
class Hook:
    """Pause hook that a deployment has reached."""

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
    """Per cent of the production traffic."""
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
    """Target of a rollback: the source with the production traffic. For a first deployment, its own target."""
    configuration: Configuration
    created_at: datetime
    due: datetime | None
    """End of the current status or stage; None if it does not end by time alone."""
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
    """Alarms that were in ALARM when the deployment started."""
    triggered_alarms: tuple[str, ...] = ()
    breaker_tripped: bool = False
    rollback: Rollback | None = None
    final: dict[str, Counts] = field(default_factory=dict)
    """Counts by revision at the end of the deployment."""

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
    """Revision of the last successful deployment or rollback."""
    balancing: Balancing | None = None
    revisions: list[Revision] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    """Deployments, oldest first."""
    tasks: list[Task] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    production_id: str = ""
    """Id of the revision that receives the production traffic."""
    test_id: str = ""
    """Id of the revision that receives the test traffic."""

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
        """Return the number of running and pending tasks."""
        return sum(task.is_alive for task in self.tasks_of(revision))

    def counts(self, revision: Revision) -> Counts:
        running = self.running(revision)
        return Counts(
            requested=revision.desired,
            running=running,
            pending=self.alive(revision) - running,
            production=FULL if revision.id == self.production_id else 0,
            test=FULL if revision.id == self.test_id else 0,
        )

    def active(self) -> list[Revision]:
        """Return the revisions that have tasks, or whose desired number of tasks is above 0."""
        return [r for r in self.revisions if r.desired or any(t.status != TaskStatus.STOPPED for t in self.tasks_of(r))]

    def add_event(self, at: datetime, message: str) -> None:
        self.events.append(Event(at=at, message=f"(service {self.name}) {message}"))
