"""State machine of a deployment: statuses, stages, pauses, alarms, circuit breaker and rollback.

No I/O: the time and the observations are arguments, and only the state of the service changes. The
caller derives the changes of weights and targets from that state.

The behaviour follows the AWS documentation. Comments mark assumptions where it gives no detail.
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
"""Lower and upper limit of the circuit breaker's threshold, which is otherwise half the desired count."""

BY_USER = "Rollback was requested by a user."
ALARMED = "One or more alarms went into ALARM: {names}."
BROKEN = "The deployment circuit breaker was triggered: tasks failed to start."
TIMED_OUT = "The pause hook at {stage} was not resolved in time."
HOOK_REFUSED = "Rollback was requested at the pause hook of {stage}."
SUPERSEDED = "A newer service deployment was started."


@dataclass(frozen=True)
class Observation:
    """State of other services at one moment."""

    alarming: frozenset[str] = frozenset()
    """Names of the alarms in ALARM."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Images whose containers do not start: the reason by image digest."""


def threshold(desired: int) -> int:
    """Return the number of consecutive failed tasks that triggers the circuit breaker."""
    return min(MOST_FAILURES, max(FEWEST_FAILURES, ceil(desired / 2)))


def advance(service: Service, now: datetime, seen: Observation, timing: Timing) -> None:
    """Advance the tasks and the deployment of a service until nothing more can change at this time."""
    before = None
    while before != (place := _position(service)):
        before = place
        fleet.advance(service, now, seen.broken, timing)
        if service.ongoing is not None:
            _advance(service, service.ongoing, now, seen, timing)


def _position(service: Service) -> object:
    deployment = service.deployments[-1] if service.deployments else None
    where = (deployment.status, deployment.stage) if deployment is not None else None
    return where, [service.counts(revision) for revision in service.revisions]


def _advance(service: Service, deployment: Deployment, now: datetime, seen: Observation, timing: Timing) -> None:
    before = (deployment.status, deployment.stage)
    match deployment.status:
        case Status.PENDING if _is_due(deployment, now):
            _begin(service, deployment, now, seen, timing)
        case Status.IN_PROGRESS:
            _proceed(service, deployment, now, seen, timing)
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


def _begin(service: Service, deployment: Deployment, now: datetime, seen: Observation, timing: Timing) -> None:
    deployment.status, deployment.started_at = Status.IN_PROGRESS, now
    deployment.ignored_alarms = seen.alarming & set(deployment.configuration.alarms)
    service.add_event(now, f"has started deployment {deployment.id} of revision {deployment.target.id}.")
    stages.enter(service, deployment, stages.plan(service, deployment)[0], now, timing)


def _proceed(service: Service, deployment: Deployment, now: datetime, seen: Observation, timing: Timing) -> None:
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


def _has_failed(service: Service, deployment: Deployment, now: datetime, seen: Observation, timing: Timing) -> bool:
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
    """Return whether the pause of the stage is over. Start the pause if one is configured and has not started."""
    stage = deployment.stage
    configured = next((hook for hook in deployment.configuration.hooks if stage in hook.stages), None)
    if stage is None or configured is None:
        return True
    pause = next((hook for hook in deployment.hooks if hook.stage is stage), None)
    if pause is None:
        expires_at = timing.after(now, timedelta(minutes=configured.timeout_minutes).total_seconds())
        deployment.hooks.append(Hook(stage, expires_at, configured.action))
        deployment.updated_at = now
        service.add_event(now, f"deployment {deployment.id} waits at {stage} for an action.")
        return False
    if pause.status is HookStatus.AWAITING_ACTION and now >= pause.expires_at:
        pause.status = HookStatus.TIMED_OUT
        if pause.timeout_action is HookAction.ROLLBACK:
            request_rollback(service, deployment, TIMED_OUT.format(stage=stage), now, timing)
    return deployment.status is Status.IN_PROGRESS and pause.status is not HookStatus.AWAITING_ACTION


def resolve(
    service: Service, deployment: Deployment, hook: Hook, action: HookAction, now: datetime, timing: Timing
) -> None:
    """Apply the action that an operator chose for a pause. It takes effect in a later `advance`."""
    deployment.updated_at = now
    if action is HookAction.CONTINUE:
        hook.status = HookStatus.SUCCEEDED
        return
    hook.status = HookStatus.FAILED
    request_rollback(service, deployment, HOOK_REFUSED.format(stage=hook.stage), now, timing)


def request_stop(service: Service, deployment: Deployment, why: str, now: datetime, timing: Timing) -> None:
    """Stop a deployment as it is: its tasks remain, no further task is launched, and no more traffic is shifted."""
    _stop_launching(service, deployment)
    deployment.status, deployment.status_reason, deployment.updated_at = Status.STOP_REQUESTED, why, now
    deployment.due = timing.after(now, timing.request)


def request_rollback(service: Service, deployment: Deployment, why: str, now: datetime, timing: Timing) -> None:
    if deployment.awaiting is not None:
        deployment.awaiting.status = HookStatus.FAILED
    deployment.status, deployment.status_reason, deployment.updated_at = Status.ROLLBACK_REQUESTED, why, now
    deployment.due = timing.after(now, timing.request)
    deployment.rollback = Rollback(why, now, deployment.base.id)
    service.add_event(now, f"deployment {deployment.id} is rolled back: {why}")


def _begin_rollback(service: Service, deployment: Deployment) -> None:
    """Shift all traffic back to the base revision.

    Its tasks are scaled up afterwards. They run the digest that the base revision has, even if its tag has moved.
    """
    deployment.status, deployment.due = Status.ROLLBACK_IN_PROGRESS, None
    base = deployment.base
    base.failures = 0
    service.production_id = service.test_id = base.id


def _roll_back(service: Service, deployment: Deployment, now: datetime) -> None:
    base = deployment.base
    if base.failures >= threshold(service.desired):
        deployment.status_reason = f"{deployment.status_reason} The rollback failed: {BROKEN}"
        _finish(service, deployment, Status.ROLLBACK_FAILED, now)
    elif stages.move_back(service, deployment, base):
        service.live = base
        _finish(service, deployment, Status.ROLLBACK_SUCCESSFUL, now)


def supersede(service: Service, deployment: Deployment, now: datetime) -> None:
    """End a deployment because a newer one starts. The newer one removes its tasks. Both are assumptions."""
    _stop_launching(service, deployment)
    deployment.status_reason = SUPERSEDED
    _finish(service, deployment, Status.STOPPED, now)


def _stop_launching(service: Service, deployment: Deployment) -> None:
    deployment.target.desired = service.alive(deployment.target)


def _finish(service: Service, deployment: Deployment, status: Status, now: datetime) -> None:
    if deployment.awaiting is not None:
        deployment.awaiting.status = HookStatus.FAILED
    deployment.status, deployment.finished_at, deployment.updated_at, deployment.due = status, now, now, None
    if status is Status.STOPPED:
        deployment.stopped_at = now
    deployment.final = {revision.id: service.counts(revision) for revision in (*deployment.sources, deployment.target)}
    reason = f": {deployment.status_reason}" if deployment.status_reason else "."
    service.add_event(now, f"deployment {deployment.id} ended {status}{reason}")
    if status in (Status.SUCCESSFUL, Status.ROLLBACK_SUCCESSFUL):
        service.live.desired = service.desired  # may have changed since its tasks were started
        service.add_event(now, "has reached a steady state.")
