"""Data model of a service: revisions, tasks and deployments.

Data only: the rules of a deployment are in `machine`, `stages` and `fleet`. The values of the enumerations are those of
the ECS API.
"""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from math import ceil

FULL = 100
"""100 per cent. Also the weight of the target group that receives all traffic."""


class Strategy(StrEnum):
    ROLLING = "ROLLING"
    BLUE_GREEN = "BLUE_GREEN"
    LINEAR = "LINEAR"
    CANARY = "CANARY"


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
    """Resolved digest; None before the first task starts, and after three failed attempts to resolve it."""
    pulled: str | None = None
    """Digest of the image that tasks start with now; None if there is no such image."""


@dataclass(kw_only=True)
class Task:
    revision_id: str
    address: str
    due: datetime | None
    """Time at which the task will run, be checked or have stopped; None while it is healthy, and after it stopped."""
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    status: TaskStatus = TaskStatus.PENDING

    @property
    def is_alive(self) -> bool:
        return self.status in (TaskStatus.PENDING, TaskStatus.RUNNING)

    @property
    def is_healthy(self) -> bool:
        return self.status is TaskStatus.RUNNING and self.due is None


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
    """Tasks that failed to start, or their health checks, since a task was healthy."""
    attempts: int = 0
    """Failed attempts to resolve the tags to digests."""
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
    canary_percent: float = 5.0
    canary_bake_minutes: int = 10
    step_percent: float = 10.0
    step_bake_minutes: int = 6
    hooks: tuple[PauseHook, ...] = ()
    alarms: tuple[str, ...] = ()
    alarms_enabled: bool = False
    alarms_roll_back: bool = False
    breaker_enabled: bool = False
    breaker_rolls_back: bool = False
    minimum_healthy_percent: int = 100
    maximum_percent: int = 200

    @property
    def shifts_traffic(self) -> bool:
        return self.strategy is not Strategy.ROLLING

    @property
    def traffic_steps(self) -> list[tuple[float, int]]:
        """Percentage of the production traffic of each step, and the minutes until the next one."""
        match self.strategy:
            case Strategy.CANARY:
                return [(self.canary_percent, self.canary_bake_minutes), (FULL, 0)]
            case Strategy.LINEAR:
                count = ceil(FULL / self.step_percent)
                return [(min(FULL, n * self.step_percent), self.step_bake_minutes) for n in range(1, count)] + [
                    (FULL, 0)
                ]
            case _:
                return [(FULL, 0)]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """State of other services at one moment."""

    alarming: frozenset[str] = frozenset()
    """Names of the alarms in ALARM."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Reason why containers of an image do not start, by digest."""
    unhealthy: Mapping[str, str] = field(default_factory=dict)
    """Reason why containers of an image fail their health checks, by digest."""


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
    production: float
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
    base: Revision | None
    """Target of a rollback: the source with the production traffic; None before a deployment has succeeded."""
    configuration: Configuration
    created_at: datetime
    due: datetime | None
    """End of the current status or stage; None if it does not end by time alone."""
    id: str = field(default_factory=new_id)
    status: Status = Status.PENDING
    status_reason: str | None = None
    stage: Stage | None = None
    stage_expires: datetime | None = None
    """Time at which the stage has lasted too long; None before the first stage."""
    step: int = 0
    """Number of the traffic step in the stage PRODUCTION_TRAFFIC_SHIFT."""
    is_step_baking: bool = False
    """True after the shift of a step, until the next one."""
    started_at: datetime | None = None
    updated_at: datetime | None = None
    finished_at: datetime | None = None
    stopped_at: datetime | None = None
    hooks: list[Hook] = field(default_factory=list)
    monitors_alarms: bool = False
    """False if the alarms are not enabled, or one of them was in ALARM when the deployment started."""
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
    live: Revision | None = None
    """Revision of the last successful deployment or rollback."""
    capacity_provider: str = "FARGATE"
    balancing: Balancing | None = None
    revisions: list[Revision] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    """Deployments, oldest first."""
    tasks: list[Task] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    production_id: str = ""
    """Revision with the production traffic, or the rest of it during a shift in steps."""
    shifted: tuple[str, float] | None = None
    """Revision that has a part of the production traffic, and the percentage."""
    test_id: str = ""
    """Id of the revision that receives the test traffic."""

    @property
    def ongoing(self) -> Deployment | None:
        """The newest deployment, unless it has finished."""
        last = self.deployments[-1] if self.deployments else None
        return last if last is not None and not last.status.is_finished else None

    @property
    def unfinished(self) -> list[Deployment]:
        """Deployments that have not finished, oldest first: superseded ones are stopping, and the newest waits."""
        return [each for each in self.deployments if not each.status.is_finished]

    def revision(self, revision_id: str) -> Revision:
        return next(revision for revision in self.revisions if revision.id == revision_id)

    def tasks_of(self, revision: Revision) -> Iterator[Task]:
        return (task for task in self.tasks if task.revision_id == revision.id)

    def running(self, revision: Revision) -> int:
        return sum(task.status is TaskStatus.RUNNING for task in self.tasks_of(revision))

    def healthy(self, revision: Revision) -> int:
        return sum(task.is_healthy for task in self.tasks_of(revision))

    def production_share(self, revision_id: str) -> float:
        """Return the percentage of the production traffic that a revision has."""
        target, percent = self.shifted or ("", 0.0)
        if revision_id == target:
            return percent
        return FULL - percent if revision_id == self.production_id else 0.0

    def alive(self, revision: Revision) -> int:
        """Return the number of running and pending tasks."""
        return sum(task.is_alive for task in self.tasks_of(revision))

    def counts(self, revision: Revision) -> Counts:
        running = self.running(revision)
        return Counts(
            requested=revision.desired,
            running=running,
            pending=self.alive(revision) - running,
            production=self.production_share(revision.id),
            test=FULL if revision.id == self.test_id else 0,
        )

    def active(self) -> list[Revision]:
        """Return the revisions that have tasks, or whose desired number of tasks is above 0."""
        return [r for r in self.revisions if r.desired or any(t.status != TaskStatus.STOPPED for t in self.tasks_of(r))]

    def add_event(self, at: datetime, message: str) -> None:
        self.events.append(Event(at=at, message=f"(service {self.name}) {message}"))
