"""State of the fake, and the engine that advances it.

A tick reads the alarms and images that a deployment needs, advances each service, and then applies the changes of
traffic weights and targets to the load balancer.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fake_ecs import fleet, machine
from fake_ecs.arns import Arns
from fake_ecs.cloud import Cloud
from fake_ecs.faults import Faults
from fake_ecs.model import (
    FULL,
    Balancing,
    Configuration,
    Deployment,
    HookAction,
    Image,
    Observation,
    Revision,
    Service,
    TaskStatus,
)
from fake_ecs.timing import Clock, Timing


@dataclass(frozen=True)
class TaskDefinition:
    family: str
    revision: int
    content: Mapping[str, Any]
    """Input of `RegisterTaskDefinition`."""

    @property
    def name(self) -> str:
        return f"{self.family}:{self.revision}"

    def images(self) -> list[Image]:
        return [Image(container=each["name"], reference=each["image"]) for each in self.content["containerDefinitions"]]


@dataclass
class State:
    clusters: set[str] = field(default_factory=set)
    services: dict[tuple[str, str], Service] = field(default_factory=dict)
    """Services by cluster and name."""
    task_definitions: dict[str, TaskDefinition] = field(default_factory=dict)
    """Task definitions by `family:revision`."""


class Engine:
    """Engine of the fake. Every public method takes `lock`. Callers may hold it to combine several calls."""

    def __init__(self, arns: Arns, cloud: Cloud, clock: Clock, timing: Timing) -> None:
        self.arns = arns
        self.clock = clock
        self.timing = timing
        self.faults = Faults()
        self.state = State()
        self.lock = threading.RLock()
        self._cloud = cloud
        self._routed: dict[str, Mapping[str, int]] = {}
        """Weights that were last set, by rule."""
        self._registered: dict[str, frozenset[str]] = {}
        """Registered addresses by target group."""

    def create_service(
        self,
        *,
        cluster: str,
        name: str,
        task_definition: TaskDefinition,
        desired: int,
        configuration: Configuration,
        balancing: Balancing | None,
        capacity_provider: str = "FARGATE",
        age: timedelta = timedelta(days=1),
    ) -> Service:
        """Create a service, whose first deployment started `age` ago; a pause in it was continued at once."""
        with self.lock:
            born = self.clock() - age
            self.state.clusters.add(cluster)
            self.state.task_definitions[task_definition.name] = task_definition
            service = Service(
                name=name,
                cluster=cluster,
                task_definition=task_definition.name,
                desired=desired,
                configuration=configuration,
                created_at=born,
                balancing=balancing,
                capacity_provider=capacity_provider,
            )
            self.state.services[cluster, name] = service
            self._start(service, configuration, born)
            self._catch_up(service, born)
            self._apply(service)
            return service

    def deploy(self, service: Service, configuration: Configuration) -> Deployment:
        """Start a deployment of the service's task definition. It supersedes a deployment in progress."""
        with self.lock:
            now = self.clock()
            for unfinished in service.unfinished:
                machine.supersede(service, unfinished, now, self.timing)
            return self._start(service, configuration, now)

    def _start(self, service: Service, configuration: Configuration, now: datetime) -> Deployment:
        definition = self.state.task_definitions[service.task_definition]
        base = service.live and service.revision(service.production_id)
        target = Revision(
            task_definition=definition.name,
            images=definition.images(),
            created_at=now,
            target_group=_other_group(service, base, configuration),
        )
        sources = [each for each in service.revisions if each.desired or service.alive(each)]
        if not sources and base is not None:
            sources = [base]
        service.revisions.append(target)
        if base is None:
            service.production_id = service.test_id = target.id
        deployment = Deployment(
            target=target,
            sources=sources,
            base=base,
            configuration=configuration,
            created_at=now,
            due=self.timing.after(now, self.timing.request),
            updated_at=now,
        )
        service.deployments.append(deployment)
        return deployment

    def _catch_up(self, service: Service, moment: datetime) -> None:
        """Advance a new service from the moment of its creation to now."""
        while (due := next_due(service, moment)) is not None and due <= self.clock():
            moment = due
            self._advance_state(service, moment)
            deployment = service.ongoing
            if deployment is not None and deployment.awaiting is not None:
                machine.resolve(deployment, deployment.awaiting, HookAction.CONTINUE, moment, self.timing)
                self._advance_state(service, moment)

    def scale(self, service: Service, desired: int) -> None:
        with self.lock:
            service.desired = desired
            ongoing = service.ongoing
            if ongoing is None or ongoing.configuration.shifts_traffic:
                for revision in service.revisions:
                    revision.desired = desired if revision.desired or revision is service.live else 0

    def tick(self) -> None:
        """Advance every service. If another AWS API fails, raises the error of botocore; the next tick retries."""
        with self.lock:
            for service in self.state.services.values():
                self._advance(service)

    def _advance(self, service: Service) -> None:
        self._advance_state(service, self.clock())
        self._apply(service)

    def _advance_state(self, service: Service, now: datetime) -> None:
        for revision in fleet.starting_revisions(service, now):
            self._pull(service, revision)
        watched = {name for each in service.unfinished for name in each.configuration.alarms}
        alarming = self._cloud.alarming(sorted(watched))
        machine.advance(
            service,
            now,
            Observation(alarming=alarming, broken=self.faults.broken, unhealthy=self.faults.unhealthy),
            self.timing,
        )

    def _pull(self, service: Service, revision: Revision) -> None:
        """Find the images that tasks start with now. The first found digest holds for all tasks of the revision."""
        for image in revision.images:
            repository = image.reference.partition("@")[0].rpartition(":")[0]
            if image.digest is not None:
                is_there = self._cloud.digest(f"{repository}@{image.digest}") is not None
                image.pulled = (image.pulled or image.digest) if is_there else None
                continue
            image.pulled = self._cloud.digest(image.reference)
            if revision.attempts < fleet.RESOLVE_ATTEMPTS and service.name not in self.faults.undigested:
                by_platform = service.name in self.faults.platform_digests
                image.digest = self._cloud.platform_digest(image.reference) if by_platform else image.pulled

    def _apply(self, service: Service) -> None:
        balancing = service.balancing
        if balancing is None:
            return
        for rule, shares in (
            (balancing.production_rule, service.production_share),
            (balancing.test_rule, lambda revision_id: FULL if revision_id == service.test_id else 0),
        ):
            if rule is not None:
                weights = dict.fromkeys(balancing.target_groups, 0)
                for revision in service.revisions:
                    share = shares(revision.id)
                    if share and revision.target_group is not None:
                        weights[revision.target_group] += round(share)
                if self._routed.get(rule) != weights:
                    self._cloud.route(rule, weights)
                    self._routed[rule] = weights
        for group in balancing.target_groups:
            self._register(service, group, balancing.port)

    def _register(self, service: Service, group: str, port: int) -> None:
        members = [revision for revision in service.revisions if revision.target_group == group]
        running = frozenset(
            task.address
            for revision in members
            for task in service.tasks_of(revision)
            if task.status is TaskStatus.RUNNING
        )
        known = self._registered.get(group, frozenset())
        if gone := known - running:
            self._cloud.deregister(group, sorted(gone), port)
        if new := running - known:
            self._cloud.register(group, sorted(new), port)
        self._registered[group] = running


def _other_group(service: Service, base: Revision | None, configuration: Configuration) -> str | None:
    """Return the target group of a new revision: if traffic is to shift, the one without production traffic."""
    groups = service.balancing.target_groups if service.balancing is not None else ()
    if base is None:
        return groups[0] if groups else None
    if configuration.shifts_traffic and len(groups) > 1:
        return next(group for group in groups if group != base.target_group)
    return base.target_group


def next_due(service: Service, after: datetime) -> datetime | None:
    """Return the next time at which the service changes without a request."""
    moments = [task.due for task in service.tasks]
    moments += [revision.launch_after for revision in service.revisions]
    for deployment in service.unfinished:
        moments += [deployment.due, deployment.stage_expires]
        if deployment.awaiting is not None:
            moments.append(deployment.awaiting.expires_at)
    return min((moment for moment in moments if moment is not None and moment > after), default=None)
