"""ECS operations that deploy and describe a service."""

import base64
from collections.abc import Callable, Sequence
from typing import Any

from fake_ecs import configuration, machine
from fake_ecs.arns import last
from fake_ecs.engine import Engine, State, TaskDefinition
from fake_ecs.errors import ApiError, invalid
from fake_ecs.model import Deployment, HookAction, Revision, Service, Status
from fake_ecs.views import Views

Json = dict[str, Any]

DEFAULT_CLUSTER = "default"
PAGE = 20
MAX_PAGE = 100
MAX_SERVICES = 10
MAX_DESCRIBED = 20
UPDATES = frozenset(
    {"cluster", "service", "desiredCount", "taskDefinition", "deploymentConfiguration", "forceNewDeployment"}
)
STOPPABLE = (Status.PENDING, Status.IN_PROGRESS)


def _change(handler: Callable[["EcsApi", Json], Json]) -> Callable[["EcsApi", Json], Json]:
    def handle(self: "EcsApi", request: Json) -> Json:
        changed = self._engine.faults.before_change(self._engine.state)
        answer = handler(self, request)
        changed()
        return answer

    return handle


def _read(handler: Callable[["EcsApi", State, Json], Json]) -> Callable[["EcsApi", Json], Json]:
    operation = "".join(word.title() for word in handler.__name__.split("_"))
    return lambda self, request: handler(self, self._engine.faults.state_for(operation, self._engine.state), request)


class EcsApi:
    name = "ecs"

    def __init__(self, engine: Engine) -> None:
        self.lock = engine.lock
        self._engine = engine
        self._views = Views(engine.arns)

    @_change
    def update_service(self, request: Json) -> Json:
        if unknown := request.keys() - UPDATES:
            raise ApiError("UnsupportedFeatureException", f"The fake does not change {', '.join(sorted(unknown))}.")
        engine, service = self._engine, _service(self._engine.state, request)
        definition = last(request.get("taskDefinition", service.task_definition))
        if definition not in engine.state.task_definitions:
            raise ApiError("ClientException", "TaskDefinition not found.")
        wanted = configuration.read(request.get("deploymentConfiguration", {}), service.configuration)
        if request.get("desiredCount", 0) < 0:
            raise invalid("desiredCount cannot be negative.")
        service.configuration = wanted
        if "desiredCount" in request:
            engine.scale(service, request["desiredCount"])
        if request.get("forceNewDeployment") or definition != service.task_definition:
            service.task_definition = definition
            engine.deploy(service, wanted)
        return {"service": self._views.service(service)}

    @_change
    def stop_service_deployment(self, request: Json) -> Json:
        """Roll back a deployment. ABORT, the other stop type in botocore's model, is not valid according to AWS."""
        if request.get("stopType", "ROLLBACK") != "ROLLBACK":
            raise invalid("The valid values of stopType are ROLLBACK.")
        engine = self._engine
        _, deployment = self._deployment(engine.state, request["serviceDeploymentArn"])
        if deployment.status.is_finished:
            raise ApiError("ConflictException", f"The service deployment is {deployment.status} already.")
        if deployment.status in STOPPABLE:
            machine.request_rollback(deployment, machine.BY_USER, engine.clock(), engine.timing)
        return {"serviceDeploymentArn": request["serviceDeploymentArn"]}

    @_change
    def continue_service_deployment(self, request: Json) -> Json:
        engine = self._engine
        _, deployment = self._deployment(engine.state, request["serviceDeploymentArn"])
        hook = deployment.awaiting
        if hook is None or hook.id != request["hookId"] or deployment.status is not Status.IN_PROGRESS:
            raise invalid("The service deployment has no hook of this id that awaits an action.")
        action = HookAction(request.get("action", HookAction.CONTINUE))
        machine.resolve(deployment, hook, action, engine.clock(), engine.timing)
        return {"serviceDeploymentArn": request["serviceDeploymentArn"]}

    @_read
    def describe_services(self, state: State, request: Json) -> Json:
        cluster, names = _cluster(state, request), [last(name) for name in request["services"]]
        if len(names) > MAX_SERVICES:
            raise invalid(f"Services cannot be more than {MAX_SERVICES}.")
        found = [state.services[cluster, name] for name in names if (cluster, name) in state.services]
        missing = [name for name in names if (cluster, name) not in state.services]
        return {
            "services": [self._views.service(service) for service in found],
            "failures": [_missing(self._engine.arns.service(cluster, name)) for name in missing],
        }

    @_read
    def list_service_deployments(self, state: State, request: Json) -> Json:
        service = _service(state, request)
        statuses, created = request.get("status"), request.get("createdAt", {})
        before, after = created.get("before"), created.get("after")
        deployments = [
            deployment
            for deployment in reversed(service.deployments)
            if (not statuses or deployment.status in statuses)
            and (before is None or deployment.created_at.timestamp() < before)
            and (after is None or deployment.created_at.timestamp() > after)
        ]
        page, token = self._page(deployments, request, PAGE)
        return {"serviceDeployments": [self._views.brief(service, each) for each in page], **token}

    @_read
    def describe_service_deployments(self, state: State, request: Json) -> Json:
        views, failures = [], []
        for arn in _few(request["serviceDeploymentArns"]):
            try:
                views.append(self._views.deployment(*self._deployment(state, arn)))
            except ApiError:
                failures.append(_missing(arn))
        return {"serviceDeployments": views, "failures": failures}

    @_read
    def describe_service_revisions(self, state: State, request: Json) -> Json:
        known: dict[str, tuple[Service, Revision]] = {
            self._engine.arns.revision(service.cluster, service.name, revision.id): (service, revision)
            for service in state.services.values()
            for revision in service.revisions
        }
        arns = _few(request["serviceRevisionArns"])
        return {
            "serviceRevisions": [self._views.revision(*known[arn]) for arn in arns if arn in known],
            "failures": [_missing(arn) for arn in arns if arn not in known],
        }

    def register_task_definition(self, request: Json) -> Json:
        definitions = self._engine.state.task_definitions
        family = request["family"]
        revision = 1 + max((each.revision for each in definitions.values() if each.family == family), default=0)
        content = {key: value for key, value in request.items() if key != "family"}
        new = TaskDefinition(family=family, revision=revision, content=content)
        definitions[new.name] = new
        return {"taskDefinition": self._views.task_definition(new)}

    @_read
    def describe_task_definition(self, state: State, request: Json) -> Json:
        name = last(request["taskDefinition"])
        definitions = state.task_definitions
        newest = max(
            (each for each in definitions.values() if name in (each.family, each.name)),
            key=lambda each: each.revision,
            default=None,
        )
        if newest is None:
            raise ApiError("ClientException", "Unable to describe task definition.")
        return {"taskDefinition": self._views.task_definition(newest)}

    def _page(self, items: Sequence[Any], request: Json, default: int) -> tuple[Sequence[Any], Json]:
        """Return a page, and the token of the next page if there is one. A page may be empty and have a token."""
        size = request.get("maxResults", default)
        if not 1 <= size <= MAX_PAGE:
            raise invalid(f"maxResults must be between 1 and {MAX_PAGE}.")
        start = 0
        if "nextToken" in request:
            try:
                start = int(base64.urlsafe_b64decode(request["nextToken"]))
            except ValueError as error:
                raise invalid("Invalid token.") from error
        elif self._engine.faults.page_is_empty():
            return [], {"nextToken": _token(0)}
        end = start + size
        return items[start:end], {"nextToken": _token(end)} if end < len(items) else {}

    def _deployment(self, state: State, arn: str) -> tuple[Service, Deployment]:
        for service in state.services.values():
            for deployment in service.deployments:
                if self._views.deployment_arn(service, deployment) == arn:
                    return service, deployment
        raise ApiError("ServiceDeploymentNotFoundException", "The service deployment was not found.")


def _cluster(state: State, request: Json) -> str:
    name = last(request.get("cluster", DEFAULT_CLUSTER))
    if name not in state.clusters:
        raise ApiError("ClusterNotFoundException", "Cluster not found.")
    return name


def _service(state: State, request: Json) -> Service:
    service = state.services.get((_cluster(state, request), last(request["service"])))
    if service is None:
        raise ApiError("ServiceNotFoundException", "Service not found.")
    return service


def _missing(arn: str) -> Json:
    return {"arn": arn, "reason": "MISSING"}


def _few(arns: list[str]) -> list[str]:
    if len(arns) > MAX_DESCRIBED:
        raise invalid(f"No more than {MAX_DESCRIBED} ARNs can be given.")
    return arns


def _token(position: int) -> str:
    return base64.urlsafe_b64encode(str(position).encode()).decode()
