"""Service in ECS: its deployments with their stages and tasks, and the calls that start, continue or roll back one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

from orderctl.deploy.service_ref import ServiceRef
from orderctl.exceptions import Refused, TooLate

MAX_DESCRIBED = 20  # ECS's limit for DescribeServiceDeployments

LATE = frozenset({"ConflictException", "InvalidParameterException"})
"""Error codes that ECS returns for a call on a deployment or a hook that has already ended."""


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

    @property
    def is_over(self) -> bool:
        return self in {Status.SUCCESSFUL, Status.STOPPED, Status.ROLLBACK_SUCCESSFUL, Status.ROLLBACK_FAILED}


UNDER_WAY = tuple(status for status in Status if not status.is_over)


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
    stage: Stage | None
    reason: str
    created_at: datetime
    finished_at: datetime | None
    target: Revision
    sources: tuple[Revision, ...]
    hook: Hook | None
    triggered_alarms: tuple[str, ...]
    bake_minutes: int
    rollback_reason: str
    rollback_revision: str | None

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]


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

    @property
    def current_revision(self) -> str | None:
        """ARN of the revision if there is exactly one, otherwise None."""
        return self.revisions[0] if len(self.revisions) == 1 else None


class Fleet:
    """Client of ECS for one service. `ecs` is a boto3 client."""

    def __init__(self, ecs: Any, ref: ServiceRef) -> None:
        self._ecs = ecs
        self.ref = ref

    def describe(self) -> Service:
        """Return the service. Raises Refused if the service or its cluster does not exist."""
        try:
            answer = self._ecs.describe_services(cluster=self.ref.cluster, services=[self.ref.service])
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ClusterNotFoundException":
                raise Refused(f"there is no cluster {self.ref.cluster}: was {self.ref.environment} created?") from None
            raise
        active = [service for service in answer["services"] if service["status"] == "ACTIVE"]
        if not active:
            raise Refused(f"there is no service {self.ref.service} in the cluster {self.ref.cluster}")
        return _service(active[0])

    def architecture(self, service: Service) -> str:
        """Return the architecture of the tasks in the notation of image indexes: `arm64` or `amd64`."""
        answer = self._ecs.describe_task_definition(taskDefinition=service.task_definition)
        platform = answer["taskDefinition"].get("runtimePlatform", {}).get("cpuArchitecture", "X86_64")
        return {"X86_64": "amd64", "ARM64": "arm64"}[platform]

    def digest_of(self, revision_arn: str) -> str | None:
        """Return the image digest of a revision's tasks; None until its first task has resolved the tag to a digest."""
        answer = self._ecs.describe_service_revisions(serviceRevisionArns=[revision_arn])
        for revision in answer["serviceRevisions"]:
            for image in revision.get("containerImages", ()):
                if image["containerName"] == self.ref.kind:
                    digest: str | None = image.get("imageDigest")
                    return digest
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
        """Return the deployment that has not ended, or None."""
        return next((each for each in self._listed(statuses=UNDER_WAY) if not each.status.is_over), None)

    def deployment(self, arn: str) -> Deployment | None:
        """Return the deployment with this ARN; None while ECS does not list it yet."""
        found = self._described([arn])
        return found[0] if found else None

    def start(self) -> None:
        """Begin a deployment of the image that the live tag points to now."""
        self._ecs.update_service(cluster=self.ref.cluster, service=self.ref.service, forceNewDeployment=True)

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

    def _listed(self, *, limit: int = MAX_DESCRIBED, statuses: Sequence[Status] = ()) -> list[Deployment]:
        answer = self._ecs.list_service_deployments(
            cluster=self.ref.cluster,
            service=self.ref.service,
            maxResults=limit,
            **({"status": [str(status) for status in statuses]} if statuses else {}),
        )
        arns = [brief["serviceDeploymentArn"] for brief in answer["serviceDeployments"]]
        return sorted(self._described(arns), key=lambda deployment: deployment.created_at, reverse=True)

    def _described(self, arns: Sequence[str]) -> list[Deployment]:
        if not arns:
            return []
        answer = self._ecs.describe_service_deployments(serviceDeploymentArns=list(arns))
        return [_deployment(each) for each in answer["serviceDeployments"]]


@contextmanager
def _in_time(deployment: Deployment) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in LATE:
            raise
        message = error.response.get("Error", {}).get("Message")
        raise TooLate(f"{deployment.id}: too late, ECS refused the call: {message}") from None


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
        alarms=tuple(configuration.get("alarms", {}).get("alarmNames", ())),
        production_rule=advanced.get("productionListenerRule"),
        test_rule=advanced.get("testListenerRule"),
        target_groups=tuple(group for group in groups if group),
        revisions=tuple(revision["arn"] for revision in response.get("currentServiceRevisions", ())),
        events=tuple(Event(id=event["id"], message=event["message"]) for event in response.get("events", ())),
    )


def _deployment(response: Mapping[str, Any]) -> Deployment:
    waiting = [hook for hook in response.get("lifecycleHookDetails", ()) if hook["status"] == "AWAITING_ACTION"]
    stage, rollback = response.get("lifecycleStage"), response.get("rollback", {})
    return Deployment(
        arn=response["serviceDeploymentArn"],
        status=Status(response["status"]),
        stage=Stage(stage) if stage in set(Stage) else None,  # a stage that is new in ECS must not stop the command
        reason=response.get("statusReason", ""),
        created_at=response["createdAt"],
        finished_at=response.get("finishedAt"),
        target=_revision(response["targetServiceRevision"]),
        sources=tuple(_revision(source) for source in response.get("sourceServiceRevisions", ())),
        hook=_hook(waiting[0]) if waiting else None,
        triggered_alarms=tuple(response.get("alarms", {}).get("triggeredAlarmNames", ())),
        bake_minutes=response.get("deploymentConfiguration", {}).get("bakeTimeInMinutes", 0),
        rollback_reason=rollback.get("reason", ""),
        rollback_revision=rollback.get("serviceRevisionArn"),
    )


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
