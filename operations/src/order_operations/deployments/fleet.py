"""Service in ECS: its deployments with their stages and tasks, and the calls that start, continue or roll back one."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from order_operations.deployments.errors import DeploymentFailed, ServiceNotFound, TooLate
from order_operations.deployments.service_ref import ServiceRef

MAX_DESCRIBED = 20  # service deployments in one DescribeServiceDeployments, ECS

LATE = frozenset(
    {"ClientException", "ConflictException", "InvalidParameterException", "ServiceDeploymentNotFoundException"}
)
"""Error codes of ECS for a call about a deployment, or a hook, that has ended. AWS does not document which it is."""

MISSING_SERVICE = frozenset({"ClusterNotFoundException", "ServiceNotFoundException", "ServiceNotActiveException"})
THROTTLED = frozenset({"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"})
SERVER_ERROR = 500
"""HTTP status from which a call may have taken effect."""

APPEAR_SECONDS = 60.0
"""Seconds within which ECS must list a deployment after its start."""

MISSING = "MISSING"
"""Reason of a failure in an answer: ECS lists the deployment or revision, but does not describe it yet."""
DESCRIBE_ATTEMPTS = 10
DESCRIBE_SECONDS = 2.0


Clock = Callable[[], float]
"""Source of monotonic time in seconds."""


def wait_until_described() -> None:
    """Sleep between two attempts to describe what ECS has listed."""
    time.sleep(DESCRIBE_SECONDS)


class Status(StrEnum):
    """Status of a deployment."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESSFUL = "SUCCESSFUL"
    STOP_REQUESTED = "STOP_REQUESTED"
    STOPPED = "STOPPED"
    ROLLBACK_REQUESTED = "ROLLBACK_REQUESTED"
    ROLLBACK_IN_PROGRESS = "ROLLBACK_IN_PROGRESS"
    ROLLBACK_SUCCESSFUL = "ROLLBACK_SUCCESSFUL"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    UNKNOWN = "UNKNOWN"
    """A status that is new in ECS: it is shown under its own name, and the deployment counts as under way."""

    @classmethod
    def _missing_(cls, value: object) -> "Status":  # noqa: ARG003 - name in the base class
        return cls.UNKNOWN

    @property
    def is_over(self) -> bool:
        return self in {Status.SUCCESSFUL, Status.STOPPED, Status.ROLLBACK_SUCCESSFUL, Status.ROLLBACK_FAILED}

    @property
    def can_be_rolled_back(self) -> bool:
        return self in {Status.PENDING, Status.IN_PROGRESS}


FAILED = frozenset({Status.STOPPED, Status.ROLLBACK_SUCCESSFUL, Status.ROLLBACK_FAILED})
"""Statuses of a deployment that did not ship its image."""

WATCHED = frozenset({"MONITORING", "MONITORING_COMPLETE", "TRIGGERED"})
"""Statuses of a deployment's alarms that ECS watches, or has watched."""


class Stage(StrEnum):
    """Lifecycle stages of a deployment, in the order in which they occur."""

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


@dataclass(frozen=True, kw_only=True)
class Revision:
    """Service revision in a deployment: its numbers of tasks, and its percentages of test and production traffic."""

    arn: str
    requested: int = 0
    running: int = 0
    pending: int = 0
    test_weight: float = 0.0
    production_weight: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Hook:
    """A lifecycle hook at which a deployment is paused, waiting for approval."""

    id: str
    expires_at: datetime | None
    timeout_action: str


@dataclass(frozen=True, kw_only=True)
class Deployment:
    arn: str
    status: Status
    state: str
    """The status under ECS's own name."""
    stage: Stage | None
    reason: str
    created_at: datetime
    finished_at: datetime | None
    target: Revision
    sources: tuple[Revision, ...]
    hook: Hook | None
    alarms: tuple[str, ...]
    """Names of the alarms that the deployment is configured to watch."""
    alarms_status: str
    """ECS's status of the watch: MONITORING, DISABLED, …; "" if ECS names none."""
    triggered_alarms: tuple[str, ...]
    bake_minutes: int
    rollback_reason: str
    rollback_revision: str | None

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]

    @property
    def is_unwatched(self) -> bool:
        """True if ECS has started the deployment and watches none of its alarms."""
        has_started = self.status not in {Status.PENDING, Status.UNKNOWN}
        return bool(self.alarms) and has_started and self.alarms_status not in WATCHED

    @property
    def replaces_tasks(self) -> bool:
        """True if tasks of an earlier revision run."""
        return any(source.running for source in self.sources)


class StartFailed(Exception):
    """ECS did not start a deployment, or did not confirm it.

    `took_effect` is None if it is unknown, because the answer was lost. `is_throttled` calls can be repeated.
    """

    def __init__(self, message: str, *, took_effect: bool | None, is_throttled: bool = False) -> None:
        super().__init__(message)
        self.took_effect = took_effect
        self.is_throttled = is_throttled


@dataclass(frozen=True, kw_only=True)
class Event:
    id: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Service:
    arn: str
    strategy: str
    task_definition: str
    desired: int
    running: int
    alarms: tuple[str, ...]
    """Names of the alarms that roll a deployment back."""
    production_rule: str | None
    test_rule: str | None
    target_groups: tuple[str, ...]
    revisions: tuple[str, ...]
    """ARNs of the revisions that have or should have tasks: several during a deployment, or after a stopped one."""
    events: tuple[Event, ...]
    """Newest first."""
    deployment: str | None
    """ARN of the current service deployment, if ECS names one."""

    @property
    def current_revision(self) -> str | None:
        """ARN of the revision if there is exactly one, otherwise None."""
        return self.revisions[0] if len(self.revisions) == 1 else None


class Fleet:
    """Calls to ECS about one service.

    `ecs` is a boto3 client. `ecs_once` is one that repeats no call: each repeat of UpdateService would start another
    deployment. `index_of` returns the digest of the index of an image, for the digest of either that ECS reports.
    """

    def __init__(
        self,
        ecs: Any,
        ref: ServiceRef,
        *,
        ecs_once: Any = None,
        index_of: Callable[[str], str] = lambda digest: digest,
    ) -> None:
        self._ecs = ecs
        self._ecs_once = ecs if ecs_once is None else ecs_once
        self._index_of = index_of
        self.ref = ref

    def describe(self) -> Service:
        """Return the service. Raises ServiceNotFound if there is none."""
        with self._existing():
            answer = self._ecs.describe_services(cluster=self.ref.cluster, services=[self.ref.service])
        active = [service for service in answer["services"] if service["status"] == "ACTIVE"]
        if not active:
            raise self._not_found("ServiceNotFoundException")
        return _service(active[0])

    def exists(self) -> bool:
        """Return whether the cluster has the service."""
        try:
            self.describe()
        except ServiceNotFound:
            return False
        return True

    def architecture(self, service: Service) -> str:
        """Return the architecture of the tasks in the notation of image indexes: `arm64` or `amd64`."""
        answer = self._ecs.describe_task_definition(taskDefinition=service.task_definition)
        platform = answer["taskDefinition"].get("runtimePlatform", {}).get("cpuArchitecture", "X86_64")
        return {"X86_64": "amd64", "ARM64": "arm64"}[platform]

    def digest_of(self, revision_arn: str) -> str | None:
        """Return the digest of a revision's tasks, which the first task resolved from the tag.

        It is None before that, and stays None if ECS could not resolve the tag in three attempts.
        """
        for revision in self._complete(
            "serviceRevisions",
            lambda: self._ecs.describe_service_revisions(serviceRevisionArns=[revision_arn]),
        ):
            for image in revision.get("containerImages", ()):
                if image["containerName"] == self.ref.kind and "imageDigest" in image:
                    return self._index_of(image["imageDigest"])
        return None

    def digest_deployed(self, deployment: Deployment, live: str | None) -> str | None:
        """Return the image digest that a deployment ships.

        Until its first task has started, return `live`, the digest of the live tag.
        """
        return self.digest_of(deployment.target.arn) or live

    def digest_before(self, deployment: Deployment) -> str | None:
        """Return the image digest that a deployment replaces, or None if it is unknown.

        Source revisions with more production traffic come first.
        """
        sources = sorted(deployment.sources, key=lambda source: source.production_weight, reverse=True)
        digests = (self.digest_of(source.arn) for source in sources)
        return next((digest for digest in digests if digest is not None), None)

    def replaced_by(self, digest: str) -> str | None:
        """Return the latest digest, other than `digest`, that a successful deployment replaced.

        Return None if there is none among the MAX_DESCRIBED newest deployments.
        """
        for deployment in self.history():
            if deployment.status is Status.SUCCESSFUL:
                before = self.digest_before(deployment)
                if before not in {None, digest}:
                    return before
        return None

    def history(self, limit: int = MAX_DESCRIBED) -> list[Deployment]:
        """Return the `limit` newest deployments, newest first. `limit` is at most MAX_DESCRIBED."""
        return self._listed(limit=limit)

    def under_way(self) -> Deployment | None:
        """Return the newest deployment that has not ended, or None.

        The service's own answer names it, and so does the list: either may be late.
        """
        current = self.describe().deployment
        named = self.deployment(current) if current else None
        if named is not None and not named.status.is_over:
            return named
        return next((each for each in self._listed() if not each.status.is_over), None)

    def appeared(
        self, known: Collection[str], arn: str | None = None, *, poll_sleep: Callable[[], None], clock: Clock
    ) -> Deployment | None:
        """Return the deployment with this ARN; without one, a deployment that ECS lists and whose ARN is not `known`.

        Returns:
            None if ECS lists none within APPEAR_SECONDS.
        """
        deadline = clock() + APPEAR_SECONDS
        while True:
            found = None
            with suppress(ServiceNotFound):  # it has just been created
                if arn is not None:
                    found = self.deployment(arn)
                else:
                    found = next((each for each in self.history() if each.arn not in known), None)
            if found is not None or clock() > deadline:
                return found
            poll_sleep()

    def newest_task_definition(self, service: Service) -> str:
        """Return the ARN of the newest task definition of the service's family, which Terraform registered."""
        family = service.task_definition.rpartition("/")[2].partition(":")[0]
        answer = self._ecs.describe_task_definition(taskDefinition=family)
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def deployment(self, arn: str) -> Deployment | None:
        """Return a deployment; None until ECS describes it, which takes a moment."""
        found = self._describe([arn])["serviceDeployments"]
        return _deployment(found[0]) if found else None

    def start(self) -> str | None:
        """Start a deployment of the image that the live tag points to now, by one call that is not repeated.

        Returns:
            The ARN of the deployment; None if ECS does not name it yet.

        Raises:
            StartFailed: if ECS refused the call, or its answer was lost.
        """
        call = self._ecs_once.update_service
        try:
            answer = call(cluster=self.ref.cluster, service=self.ref.service, forceNewDeployment=True)
        except ClientError as error:
            is_lost = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= SERVER_ERROR
            raise StartFailed(
                f"ECS refused the deployment: {error}",
                took_effect=None if is_lost else False,
                is_throttled=_code(error) in THROTTLED,
            ) from error
        except BotoCoreError as error:
            raise StartFailed(f"ECS did not answer the start of the deployment: {error}", took_effect=None) from error
        arn: str | None = answer["service"].get("currentServiceDeployment")
        return arn

    def proceed(self, deployment: Deployment, hook: Hook) -> None:
        """Continue a deployment that is paused at a hook: production traffic shifts to green.

        Raises:
            TooLate: if the deployment is no longer paused at this hook.
        """
        self._answer(deployment, hook, "CONTINUE")

    def roll_back(self, deployment: Deployment) -> None:
        """Roll a deployment back at any stage. Raises TooLate if it has ended."""
        if deployment.hook is not None:
            self._answer(deployment, deployment.hook, "ROLLBACK")
            return
        with _in_time(deployment):
            self._ecs.stop_service_deployment(serviceDeploymentArn=deployment.arn, stopType="ROLLBACK")

    def _answer(self, deployment: Deployment, hook: Hook, action: str) -> None:
        with _in_time(deployment):
            self._ecs.continue_service_deployment(serviceDeploymentArn=deployment.arn, hookId=hook.id, action=action)

    def _listed(self, *, limit: int = MAX_DESCRIBED) -> list[Deployment]:
        arns: list[str] = []
        request: dict[str, Any] = {"maxResults": limit}
        while True:  # a page may be empty and have a token
            with self._existing():
                answer = self._ecs.list_service_deployments(
                    cluster=self.ref.cluster, service=self.ref.service, **request
                )
            arns += [brief["serviceDeploymentArn"] for brief in answer["serviceDeployments"]]
            if len(arns) >= limit or not answer.get("nextToken"):
                break
            request["nextToken"] = answer["nextToken"]
        if not arns:
            return []
        found = self._complete("serviceDeployments", lambda: self._describe(arns[:limit]))
        return sorted(map(_deployment, found), key=lambda deployment: deployment.created_at, reverse=True)

    def _describe(self, arns: Sequence[str]) -> Any:
        return self._ecs.describe_service_deployments(serviceDeploymentArns=list(arns))

    def _complete(self, member: str, describe: Callable[[], Any]) -> list[dict[str, Any]]:
        """Return everything that is described. Repeat the call while ECS does not know yet what it has listed.

        Raises:
            DeploymentFailed: if the answer has other failures, or still lacks something.
        """
        answer = describe()
        for _ in range(DESCRIBE_ATTEMPTS):
            if not answer.get("failures") or any(each.get("reason") != MISSING for each in answer["failures"]):
                break
            wait_until_described()
            answer = describe()
        if failures := answer.get("failures"):
            named = ", ".join(f"{each.get('arn')}: {each.get('reason')}" for each in failures)
            raise DeploymentFailed(
                f"ECS does not describe {named}: try again, and see "
                f"`aws ecs list-service-deployments --cluster {self.ref.cluster} --service {self.ref.service}`"
            )
        described: list[dict[str, Any]] = answer[member]
        return described

    @contextmanager
    def _existing(self) -> Iterator[None]:
        """Raise ServiceNotFound if a call of the block finds no service, or no cluster."""
        try:
            yield
        except ClientError as error:
            if _code(error) in MISSING_SERVICE:
                raise self._not_found(_code(error)) from None
            raise

    def _not_found(self, code: str) -> ServiceNotFound:
        cluster = f"cluster {self.ref.cluster}"
        what = cluster if code == "ClusterNotFoundException" else f"service {self.ref.service} in the {cluster}"
        return ServiceNotFound(
            f"there is no {what}: create the environment with `orderctl env apply --env {self.ref.environment}`"
        )


@contextmanager
def _in_time(deployment: Deployment) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if _code(error) not in LATE:
            raise
        message = error.response.get("Error", {}).get("Message")
        raise TooLate(f"{deployment.id}: too late, ECS refused the call: {message}; see `orderctl status`") from None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))


def _service(response: Mapping[str, Any]) -> Service:
    configuration = response.get("deploymentConfiguration", {})
    balancer: Mapping[str, Any] = next(iter(response.get("loadBalancers", ())), {})
    advanced = balancer.get("advancedConfiguration", {})
    groups = (balancer.get("targetGroupArn"), advanced.get("alternateTargetGroupArn"))
    return Service(
        arn=response["serviceArn"],
        strategy=configuration.get("strategy", "ROLLING"),
        task_definition=response["taskDefinition"],
        desired=response["desiredCount"],
        running=response["runningCount"],
        alarms=_enabled_alarms(configuration.get("alarms", {})),
        production_rule=advanced.get("productionListenerRule"),
        test_rule=advanced.get("testListenerRule"),
        target_groups=tuple(group for group in groups if group),
        revisions=tuple(revision["arn"] for revision in response.get("currentServiceRevisions", ())),
        events=tuple(Event(id=event["id"], message=event["message"]) for event in response.get("events", ())),
        deployment=response.get("currentServiceDeployment"),
    )


def _deployment(response: Mapping[str, Any]) -> Deployment:
    waiting = [hook for hook in response.get("lifecycleHookDetails", ()) if hook["status"] == "AWAITING_ACTION"]
    stage, rollback = response.get("lifecycleStage"), response.get("rollback", {})
    return Deployment(
        arn=response["serviceDeploymentArn"],
        status=Status(response["status"]),
        state=response["status"],
        stage=Stage(stage) if stage in set(Stage) else None,  # a stage that is new in ECS must not stop the command
        reason=response.get("statusReason", ""),
        created_at=response["createdAt"],
        finished_at=response.get("finishedAt"),
        target=_revision(response["targetServiceRevision"]),
        sources=tuple(_revision(source) for source in response.get("sourceServiceRevisions", ())),
        hook=_hook(waiting[0]) if waiting else None,
        alarms=_enabled_alarms(response.get("deploymentConfiguration", {}).get("alarms", {})),
        alarms_status=response.get("alarms", {}).get("status", ""),
        triggered_alarms=tuple(response.get("alarms", {}).get("triggeredAlarmNames", ())),
        bake_minutes=response.get("deploymentConfiguration", {}).get("bakeTimeInMinutes", 0),
        rollback_reason=rollback.get("reason", ""),
        rollback_revision=rollback.get("serviceRevisionArn"),
    )


def _enabled_alarms(response: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(response.get("alarmNames", ())) if response.get("enable") else ()


def _revision(response: Mapping[str, Any]) -> Revision:
    return Revision(
        arn=response["arn"],
        requested=response.get("requestedTaskCount", 0),
        running=response.get("runningTaskCount", 0),
        pending=response.get("pendingTaskCount", 0),
        test_weight=response.get("requestedTestTrafficWeight", 0.0),
        production_weight=response.get("requestedProductionTrafficWeight", 0.0),
    )


def _hook(response: Mapping[str, Any]) -> Hook:
    return Hook(
        id=response["hookId"],
        expires_at=response.get("expiresAt"),
        timeout_action=response.get("timeoutAction", "ROLLBACK"),
    )
