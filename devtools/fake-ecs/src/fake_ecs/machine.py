"""How a deployment goes on: statuses, stages, pauses, alarms, the circuit breaker, and the way back.

Pure: time and what is seen outside come in, and only the service's own state changes. What is to be changed outside
(weights, targets) is read from that state by the one who calls.

After AWS's documentation; where that says nothing, our reading stands beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil

from fake_ecs import fleet, stages
from fake_ecs.model import Deployment, Hook, HookAction, HookStatus, Rollback, Service, Status
from fake_ecs.timing import Timing

FEWEST_FAILURES = 3
MOST_FAILURES = 200
"""The circuit breaker's threshold is half the desired count, within these."""

BY_USER = "Rollback was requested by a user."
ALARMED = "One or more alarms went into ALARM: {names}."
BROKEN = "The deployment circuit breaker was triggered: tasks failed to start."
TIMED_OUT = "The pause hook at {stage} was not resolved in time."
HOOK_REFUSED = "Rollback was requested at the pause hook of {stage}."
SUPERSEDED = "A newer service deployment was started."


@dataclass(frozen=True)
class Seen:
    """The world outside, at this moment."""

    alarming: frozenset[str] = frozenset()
    """Names of the alarms in ALARM."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """By digest, why containers of that image do not start."""


def threshold(desired: int) -> int:
    """Failed tasks in a row that open the circuit breaker."""
    return min(MOST_FAILURES, max(FEWEST_FAILURES, ceil(desired / 2)))


def advance(service: Service, now: datetime, seen: Seen, timing: Timing) -> None:
    """All that can happen at this moment: one thing may bring about the next."""
    before = None
    while before != (place := _place(service)):
        before = place
        fleet.advance(service, now, seen.broken, timing)
        if service.ongoing is not None:
            _advance(service, service.ongoing, now, seen, timing)


def _place(service: Service) -> object:
    deployment = service.deployments[-1] if service.deployments else None
    where = (deployment.status, deployment.stage) if deployment is not None else None
    return where, [service.counts(revision) for revision in service.revisions]


def _advance(service: Service, deployment: Deployment, now: datetime, seen: Seen, timing: Timing) -> None:
    before = (deployment.status, deployment.stage)
    match deployment.status:
        case Status.PENDING if _is_due(deployment, now):
            _begin(service, deployment, now, seen, timing)
        case Status.IN_PROGRESS:
            _go_on(service, deployment, now, seen, timing)
        case Status.STOP_REQUESTED if _is_due(deployment, now):
            _finish(service, deployment, Status.STOPPED, now)
        case Status.ROLLBACK_REQUESTED if _is_due(deployment, now):
            _begin_rollback(service, deployment)
        case Status.ROLLBACK_IN_PROGRESS:
            _roll_back(service, deployment, now)
        case _:
            pass
    if before != (deployment.status, deployment.stage):
        deployment.updated_at = now


def _is_due(deployment: Deployment, now: datetime) -> bool:
    return deployment.due is not None and now >= deployment.due


def _begin(service: Service, deployment: Deployment, now: datetime, seen: Seen, timing: Timing) -> None:
    deployment.status, deployment.started_at = Status.IN_PROGRESS, now
    deployment.ignored_alarms = seen.alarming & set(deployment.configuration.alarms)
    service.tell(now, f"has started deployment {deployment.id} of revision {deployment.target.id}.")
    stages.enter(service, deployment, stages.plan(service, deployment)[0], now, timing)


def _go_on(service: Service, deployment: Deployment, now: datetime, seen: Seen, timing: Timing) -> None:
    if _has_failed(service, deployment, now, seen, timing):
        return
    plan = stages.plan(service, deployment)
    while stages.is_done(service, deployment, now) and _pause_is_over(service, deployment, now, timing):
        position = plan.index(deployment.stage) + 1 if deployment.stage in plan else 0
        if position == len(plan):
            service.live = deployment.target
            _finish(service, deployment, Status.SUCCESSFUL, now)
            return
        stages.enter(service, deployment, plan[position], now, timing)


def _has_failed(service: Service, deployment: Deployment, now: datetime, seen: Seen, timing: Timing) -> bool:
    configuration = deployment.configuration
    watched = [name for name in configuration.alarms if name not in deployment.ignored_alarms]
    triggered = tuple(name for name in watched if name in seen.alarming)
    if configuration.alarms_enabled and triggered:
        deployment.triggered_alarms = triggered
        end = request_rollback if configuration.alarms_roll_back else request_stop
        end(service, deployment, ALARMED.format(names=", ".join(triggered)), now, timing)
        return True
    if configuration.breaker_enabled and deployment.target.failures >= threshold(service.desired):
        deployment.breaker_tripped = True
        end = request_rollback if configuration.breaker_rolls_back else request_stop
        end(service, deployment, BROKEN, now, timing)
        return True
    return False


def _pause_is_over(service: Service, deployment: Deployment, now: datetime, timing: Timing) -> bool:
    """Starts the pause that is configured for the stage, if it has not been."""
    stage = deployment.stage
    configured = next((hook for hook in deployment.configuration.hooks if stage in hook.stages), None)
    if stage is None or configured is None:
        return True
    pause = next((hook for hook in deployment.hooks if hook.stage is stage), None)
    if pause is None:
        expires_at = timing.after(now, timedelta(minutes=configured.timeout_minutes).total_seconds())
        deployment.hooks.append(Hook(stage, expires_at, configured.action))
        deployment.updated_at = now
        service.tell(now, f"deployment {deployment.id} waits at {stage} for an action.")
        return False
    if pause.status is HookStatus.AWAITING_ACTION and now >= pause.expires_at:
        pause.status = HookStatus.TIMED_OUT
        if pause.timeout_action is HookAction.ROLLBACK:
            request_rollback(service, deployment, TIMED_OUT.format(stage=stage), now, timing)
    return deployment.status is Status.IN_PROGRESS and pause.status is not HookStatus.AWAITING_ACTION


def resolve(
    service: Service, deployment: Deployment, hook: Hook, action: HookAction, now: datetime, timing: Timing
) -> None:
    """What an operator says at a pause. The deployment goes on at the next advance."""
    deployment.updated_at = now
    if action is HookAction.CONTINUE:
        hook.status = HookStatus.SUCCEEDED
        return
    hook.status = HookStatus.FAILED
    request_rollback(service, deployment, HOOK_REFUSED.format(stage=hook.stage), now, timing)


def request_stop(service: Service, deployment: Deployment, why: str, now: datetime, timing: Timing) -> None:
    """Both fleets stay as they are: nothing more is started, and nobody's traffic moves."""
    _launch_no_more(service, deployment)
    deployment.status, deployment.status_reason, deployment.updated_at = Status.STOP_REQUESTED, why, now
    deployment.due = timing.after(now, timing.request)


def request_rollback(service: Service, deployment: Deployment, why: str, now: datetime, timing: Timing) -> None:
    if deployment.awaiting is not None:
        deployment.awaiting.status = HookStatus.FAILED
    deployment.status, deployment.status_reason, deployment.updated_at = Status.ROLLBACK_REQUESTED, why, now
    deployment.due = timing.after(now, timing.request)
    deployment.rollback = Rollback(why, now, deployment.base.id)
    service.tell(now, f"deployment {deployment.id} is rolled back: {why}")


def _begin_rollback(service: Service, deployment: Deployment) -> None:
    """Customers go back first; then the tasks, to the old revision's digest, wherever the tag is now."""
    deployment.status, deployment.due = Status.ROLLBACK_IN_PROGRESS, None
    base = deployment.base
    base.failures = 0
    service.production_id = service.test_id = base.id


def _roll_back(service: Service, deployment: Deployment, now: datetime) -> None:
    base = deployment.base
    if base.failures >= threshold(service.desired):
        deployment.status_reason = f"{deployment.status_reason} The rollback failed: {BROKEN}"
        _finish(service, deployment, Status.ROLLBACK_FAILED, now)
    elif stages.moved_to(service, deployment, base):
        service.live = base
        _finish(service, deployment, Status.ROLLBACK_SUCCESSFUL, now)


def supersede(service: Service, deployment: Deployment, now: datetime) -> None:
    """A newer one takes over at once; what this one has started is the newer one's to reconcile. Our reading."""
    _launch_no_more(service, deployment)
    deployment.status_reason = SUPERSEDED
    _finish(service, deployment, Status.STOPPED, now)


def _launch_no_more(service: Service, deployment: Deployment) -> None:
    deployment.target.wanted = service.alive(deployment.target)


def _finish(service: Service, deployment: Deployment, status: Status, now: datetime) -> None:
    if deployment.awaiting is not None:
        deployment.awaiting.status = HookStatus.FAILED
    deployment.status, deployment.finished_at, deployment.updated_at, deployment.due = status, now, now, None
    if status is Status.STOPPED:
        deployment.stopped_at = now
    deployment.final = {revision.id: service.counts(revision) for revision in (*deployment.sources, deployment.target)}
    reason = f": {deployment.status_reason}" if deployment.status_reason else "."
    service.tell(now, f"deployment {deployment.id} ended {status}{reason}")
    if status in (Status.SUCCESSFUL, Status.ROLLBACK_SUCCESSFUL):
        service.live.wanted = service.desired  # which may have been changed since its tasks were started
        service.tell(now, "has reached a steady state.")
