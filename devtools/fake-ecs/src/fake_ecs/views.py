"""Convert services, deployments, revisions and tasks to ECS responses."""

from collections.abc import Iterable, Mapping
from typing import Any

from fake_ecs import configuration, machine
from fake_ecs.arns import Arns
from fake_ecs.engine import TaskDefinition
from fake_ecs.model import Balancing, Counts, Deployment, Revision, Service

Json = dict[str, Any]

EVENTS_SHOWN = 100  # the limit of ECS


class Views:
    def __init__(self, arns: Arns) -> None:
        self.arns = arns

    def service(self, service: Service) -> Json:
        active = service.active()
        view: Json = {
            **self._of(service),
            "serviceName": service.name,
            "status": "ACTIVE",
            "desiredCount": service.desired,
            "runningCount": sum(service.running(revision) for revision in active),
            "pendingCount": sum(service.alive(revision) - service.running(revision) for revision in active),
            "capacityProviderStrategy": _capacity(service),
            "schedulingStrategy": "REPLICA",
            "deploymentController": {"type": "ECS"},
            "taskDefinition": self.arns.task_definition(service.task_definition),
            "deploymentConfiguration": configuration.write(service.configuration),
            "events": [
                {"id": event.id, "createdAt": event.at, "message": event.message}
                for event in reversed(service.events[-EVENTS_SHOWN:])
            ],
            "createdAt": service.created_at,
            "loadBalancers": [] if service.balancing is None else [_balancing(service.balancing)],
            "currentServiceRevisions": [self._current(service, revision) for revision in active],
        }
        if service.ongoing is not None:
            view["currentServiceDeployment"] = self.deployment_arn(service, service.ongoing)
        return view

    def deployment(self, service: Service, deployment: Deployment) -> Json:
        view: Json = {
            **self._of(service),
            "serviceDeploymentArn": self.deployment_arn(service, deployment),
            "status": deployment.status.value,
            "createdAt": deployment.created_at,
            "sourceServiceRevisions": [self._summary(service, deployment, each) for each in deployment.sources],
            "targetServiceRevision": self._summary(service, deployment, deployment.target),
            "deploymentConfiguration": configuration.write(deployment.configuration),
            "alarms": _alarms(deployment),
            "deploymentCircuitBreaker": _breaker(service, deployment),
            "lifecycleHookDetails": [
                {
                    "hookId": hook.id,
                    "targetType": configuration.PAUSE,
                    "status": hook.status.value,
                    "expiresAt": hook.expires_at,
                    "timeoutAction": hook.timeout_action.value,
                }
                for hook in deployment.hooks
            ],
            **_present(
                startedAt=deployment.started_at,
                updatedAt=deployment.updated_at,
                finishedAt=deployment.finished_at,
                stoppedAt=deployment.stopped_at,
                statusReason=deployment.status_reason,
                lifecycleStage=deployment.stage.value if deployment.stage else None,
            ),
        }
        if deployment.rollback is not None:
            view["rollback"] = {
                "reason": deployment.rollback.reason,
                "startedAt": deployment.rollback.started_at,
                "serviceRevisionArn": self._revision_arn(service, deployment.rollback.revision_id),
            }
        return view

    def brief(self, service: Service, deployment: Deployment) -> Json:
        return {
            **self._of(service),
            "serviceDeploymentArn": self.deployment_arn(service, deployment),
            "targetServiceRevisionArn": self._revision_arn(service, deployment.target.id),
            "status": deployment.status.value,
            "createdAt": deployment.created_at,
            **_present(
                startedAt=deployment.started_at,
                finishedAt=deployment.finished_at,
                statusReason=deployment.status_reason,
            ),
        }

    def revision(self, service: Service, revision: Revision) -> Json:
        view: Json = {
            **self._of(service),
            "serviceRevisionArn": self._revision_arn(service, revision.id),
            "taskDefinition": self.arns.task_definition(revision.task_definition),
            "capacityProviderStrategy": _capacity(service),
            "createdAt": revision.created_at,
            "containerImages": [
                {"containerName": image.container, "image": image.reference, **_present(imageDigest=image.digest)}
                for image in revision.images
            ],
            "loadBalancers": [] if service.balancing is None else [_balancing(service.balancing)],
        }
        if service.balancing is not None and revision.target_group is not None:
            rule = _present(productionListenerRule=service.balancing.production_rule)
            view["resolvedConfiguration"] = {"loadBalancers": [{"targetGroupArn": revision.target_group, **rule}]}
        return view

    def task_definition(self, definition: TaskDefinition) -> Json:
        return {
            **definition.content,
            "taskDefinitionArn": self.arns.task_definition(definition.name),
            "family": definition.family,
            "revision": definition.revision,
            "status": "ACTIVE",
        }

    def deployment_arn(self, service: Service, deployment: Deployment) -> str:
        return self.arns.deployment(service.cluster, service.name, deployment.id)

    def _revision_arn(self, service: Service, revision_id: str) -> str:
        return self.arns.revision(service.cluster, service.name, revision_id)

    def _of(self, service: Service) -> Json:
        return {
            "serviceArn": self.arns.service(service.cluster, service.name),
            "clusterArn": self.arns.cluster(service.cluster),
        }

    def _summary(self, service: Service, deployment: Deployment, revision: Revision) -> Json:
        counts = deployment.final.get(revision.id) or service.counts(revision)
        weights: Json = {}
        if service.balancing is not None and service.balancing.production_rule is not None:
            weights["requestedProductionTrafficWeight"] = float(counts.production)
        if service.balancing is not None and service.balancing.test_rule is not None:
            weights["requestedTestTrafficWeight"] = float(counts.test)
        return {"arn": self._revision_arn(service, revision.id), **_tasks(counts), **weights}

    def _current(self, service: Service, revision: Revision) -> Json:
        return {"arn": self._revision_arn(service, revision.id), **_tasks(service.counts(revision))}


def _present(**members: Any) -> Json:
    """Return the members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def _tasks(counts: Counts) -> Mapping[str, int]:
    return {
        "requestedTaskCount": counts.requested,
        "runningTaskCount": counts.running,
        "pendingTaskCount": counts.pending,
    }


def _balancing(balancing: Balancing) -> Json:
    view: Json = {
        "targetGroupArn": balancing.target_groups[0],
        "containerName": balancing.container,
        "containerPort": balancing.port,
    }
    alternates: Iterable[str] = balancing.target_groups[1:]
    for alternate in alternates:
        view["advancedConfiguration"] = {
            "alternateTargetGroupArn": alternate,
            **_present(
                productionListenerRule=balancing.production_rule,
                testListenerRule=balancing.test_rule,
                roleArn=balancing.role,
            ),
        }
    return view


def _capacity(service: Service) -> list[Json]:
    """Return the strategy. With one, ECS returns no `launchType`."""
    return [{"capacityProvider": service.capacity_provider, "weight": 1, "base": 0}]


def _monitor(deployment: Deployment, *, enabled: bool, triggered: bool) -> str:
    if not enabled:
        return "DISABLED"
    if triggered:
        return "TRIGGERED"
    return "MONITORING_COMPLETE" if deployment.status.is_finished else "MONITORING"


def _alarms(deployment: Deployment) -> Json:
    return {
        "status": _monitor(
            deployment,
            enabled=deployment.configuration.alarms_enabled
            and (deployment.monitors_alarms or deployment.started_at is None),
            triggered=bool(deployment.triggered_alarms),
        ),
        "alarmNames": list(deployment.configuration.alarms),
        "triggeredAlarmNames": list(deployment.triggered_alarms),
    }


def _breaker(service: Service, deployment: Deployment) -> Json:
    return {
        "status": _monitor(
            deployment, enabled=deployment.configuration.breaker_enabled, triggered=deployment.breaker_tripped
        ),
        "failureCount": deployment.target.failures,
        "threshold": machine.threshold(service.desired),
    }
