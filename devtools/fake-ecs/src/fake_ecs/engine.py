"""State of the fake, and the engine that advances it.

A tick reads the alarms and images that a deployment needs, advances each service, and then applies the changes of
traffic weights and targets to the load balancer.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from fake_ecs import fleet, machine
from fake_ecs.arns import Arns
from fake_ecs.cloud import Cloud
from fake_ecs.faults import Faults
from fake_ecs.machine import Observation
from fake_ecs.model import (
    FULL,
    Balancing,
    Configuration,
    Deployment,
    Image,
    Revision,
    Service,
    Status,
    Strategy,
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
    ) -> Service:
        """Create a service that has been running for a day, with its first deployment finished."""
        with self.lock:
            born = self.clock() - timedelta(days=1)
            self.state.clusters.add(cluster)
            self.state.task_definitions[task_definition.name] = task_definition
            group = balancing.target_groups[0] if balancing is not None else None
            live = Revision(
                task_definition=task_definition.name,
                images=task_definition.images(),
                created_at=born,
                target_group=group,
                desired=desired,
            )
            self._resolve_images(live)
            service = Service(
                name=name,
                cluster=cluster,
                task_definition=task_definition.name,
                desired=desired,
                configuration=configuration,
                created_at=born,
                live=live,
                balancing=balancing,
                revisions=[live],
                production_id=live.id,
                test_id=live.id,
            )
            for _ in range(desired):
                task = fleet.launch(service, live, born)
                task.status, task.due = TaskStatus.RUNNING, None
            first = Deployment(
                target=live,
                sources=[],
                base=live,
                configuration=configuration,
                created_at=born,
                due=None,
                status=Status.SUCCESSFUL,
            )
            first.started_at = first.updated_at = first.finished_at = born
            first.final = {live.id: service.counts(live)}
            service.deployments.append(first)
            self.state.services[cluster, name] = service
            self._apply(service)
            return service

    def deploy(self, service: Service, configuration: Configuration) -> Deployment:
        """Start a deployment of the service's task definition. It supersedes a deployment in progress."""
        with self.lock:
            now = self.clock()
            if service.ongoing is not None:
                machine.supersede(service, service.ongoing, now)
            definition = self.state.task_definitions[service.task_definition]
            base = service.revision(service.production_id)
            target = Revision(
                task_definition=definition.name,
                images=definition.images(),
                created_at=now,
                target_group=_other_group(service, base, configuration),
            )
            sources = [each for each in service.revisions if each.desired or service.alive(each)] or [base]
            service.revisions.append(target)
            due = self.timing.after(now, self.timing.request)
            deployment = Deployment(
                target=target,
                sources=sources,
                base=base,
                configuration=configuration,
                created_at=now,
                due=due,
                updated_at=now,
            )
            service.deployments.append(deployment)
            return deployment

    def scale(self, service: Service, desired: int) -> None:
        with self.lock:
            service.desired = desired
            ongoing = service.ongoing
            if ongoing is None or ongoing.configuration.strategy is Strategy.BLUE_GREEN:
                for revision in service.revisions:
                    revision.desired = desired if revision.desired or revision is service.live else 0

    def tick(self) -> None:
        """Advance every service. If another AWS API fails, raises the error of botocore; the next tick retries."""
        with self.lock:
            for service in self.state.services.values():
                self._advance(service)

    def _advance(self, service: Service) -> None:
        now, deployment = self.clock(), service.ongoing
        alarming: frozenset[str] = frozenset()
        if deployment is not None:
            if fleet.starts_first_task(service, deployment.target, now):
                self._resolve_images(deployment.target)
            alarming = self._cloud.alarming(deployment.configuration.alarms)
        machine.advance(service, now, Observation(alarming, self.faults.broken), self.timing)
        self._apply(service)

    def _resolve_images(self, revision: Revision) -> None:
        """Resolve the tags of the revision to digests. Later moves of the tags do not affect the revision."""
        for image in revision.images:
            image.digest = self._cloud.digest(image.reference)

    def _apply(self, service: Service) -> None:
        balancing = service.balancing
        if balancing is None:
            return
        for rule, revision_id in (
            (balancing.production_rule, service.production_id),
            (balancing.test_rule, service.test_id),
        ):
            if rule is not None:
                chosen = service.revision(revision_id).target_group
                weights = {group: FULL if group == chosen else 0 for group in balancing.target_groups}
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


def _other_group(service: Service, base: Revision, configuration: Configuration) -> str | None:
    """Return the target group of a new revision: for blue/green the one without production traffic."""
    groups = service.balancing.target_groups if service.balancing is not None else ()
    if configuration.strategy is Strategy.BLUE_GREEN and len(groups) > 1:
        return next(group for group in groups if group != base.target_group)
    return base.target_group
