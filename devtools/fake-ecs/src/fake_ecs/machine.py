"""State machine of a deployment: statuses, stages, pauses, alarms, circuit breaker and rollback.

Pure: the time and the observations are arguments, and only the state of the service changes. The caller derives changes
of weights and targets from that state.

The behaviour follows the AWS documentation; `tests/unit/fake_ecs/test_conformance.py` names the page of each rule.
Comments mark assumptions where it gives no detail.
"""

from datetime import datetime, timedelta
from math import ceil

from fake_ecs import fleet, stages
from fake_ecs.model import Deployment, Hook, HookAction, HookStatus, Observation, Rollback, Service, Stage, Status
from fake_ecs.timing import Timing

FEWEST_FAILURES = 3
MOST_FAILURES = 200
"""Lower and upper limit of the circuit breaker's threshold, which is otherwise half the desired count."""

BY_USER = "Rollback was requested by a user."
ALARMED = "One or more alarms went into ALARM: {names}."
BROKEN = "The deployment circuit breaker was triggered: tasks failed to start or failed their health checks."
TIMED_OUT = "The pause hook at {stage} was not resolved in time."
TOO_LONG = "The stage {stage} did not end within 24 hours."
HOOK_REFUSED = "Rollback was requested at the pause hook of {stage}."
SUPERSEDED = "A newer service deployment was started."
NO_BASE = " No service deployment has succeeded before, so there is no revision to roll back to."


def threshold(desired: int) -> int:
    """Return the number of failed tasks that triggers the circuit breaker."""
    return min(MOST_FAILURES, max(FEWEST_FAILURES, ceil(desired / 2)))


def advance(service: Service, now: datetime, seen: Observation, timing: Timing) -> None:
    """Advance the tasks and the deployment of a service until nothing more can change at this time."""
    before = None
    while before != (place := _position(service)):
        before = place
        fleet.advance(service, now, seen, timing)
        for deployment in service.unfinished:
            _advance(service, deployment, now, seen, timing)


def _position(service: Service) -> object:
    where = [(each.status, each.stage, each.step) for each in service.deployments]
    return where, [service.counts(revision) for revision in service.revisions]


def _advance(service: Service, deployment: Deployment, now: datetime, seen: Observation, timing: Timing) -> None:
    before = (deployment.status, deployment.stage, deployment.step)
    match deployment.status:
        case Status.PENDING if _is_due(deployment, now) and service.unfinished[0] is deployment:
            _begin(service, deployment, now, seen, timing)
        case Status.IN_PROGRESS:
            _proceed(service, deployment, now, seen, timing)
        case Status.STOP_REQUESTED if _is_due(deployment, now):
            _finish(service, deployment, Status.STOPPED, now)
        case Status.ROLLBACK_REQUESTED if _is_due(deployment, now):
            _obey(service, deployment, now, timing)
        case Status.ROLLBACK_IN_PROGRESS if _is_due(deployment, now):
            _roll_back(service, deployment, now)
        case _:
            pass
    if before != (deployment.status, deployment.stage, deployment.step):
        deployment.updated_at = now


def _is_due(deployment: Deployment, now: datetime) -> bool:
    return deployment.due is None or now >= deployment.due


def _begin(service: Service, deployment: Deployment, now: datetime, seen: Observation, timing: Timing) -> None:
    configuration = deployment.configuration
    deployment.status, deployment.started_at = Status.IN_PROGRESS, now
    deployment.monitors_alarms = configuration.alarms_enabled and not seen.alarming & set(configuration.alarms)
    service.add_event(now, f"has started deployment {deployment.id} of revision {deployment.target.id}.")
    stages.enter(service, deployment, stages.plan(service, deployment)[0], now, timing)


def _proceed(service: Service, deployment: Deployment, now: datetime, seen: Observation, timing: Timing) -> None:
    if _has_failed(service, deployment, now, seen, timing):
        return
    plan = stages.plan(service, deployment)
    while stages.is_done(service, deployment, now, timing) and _pause_is_over(service, deployment, now, timing):
        position = plan.index(deployment.stage) + 1 if deployment.stage in plan else 0
        if position == len(plan):
            service.live = deployment.target
            _finish(service, deployment, Status.SUCCESSFUL, now)
            return
        stages.enter(service, deployment, plan[position], now, timing)
    is_late = deployment.stage_expires is not None and now >= deployment.stage_expires
    if deployment.status is Status.IN_PROGRESS and deployment.awaiting is None and is_late:
        _fail(service, deployment, TOO_LONG.format(stage=deployment.stage), now, timing, rolls_back=True)


def _has_failed(service: Service, deployment: Deployment, now: datetime, seen: Observation, timing: Timing) -> bool:
    configuration = deployment.configuration
    triggered = tuple(name for name in configuration.alarms if name in seen.alarming)
    if deployment.monitors_alarms and triggered:
        deployment.triggered_alarms = triggered
        reason = ALARMED.format(names=", ".join(triggered))
        _fail(service, deployment, reason, now, timing, rolls_back=configuration.alarms_roll_back)
        return True
    if configuration.breaker_enabled and deployment.target.failures >= threshold(service.desired):
        deployment.breaker_tripped = True
        _fail(service, deployment, BROKEN, now, timing, rolls_back=configuration.breaker_rolls_back)
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
            _fail(service, deployment, TIMED_OUT.format(stage=stage), now, timing, rolls_back=True)
    return deployment.status is Status.IN_PROGRESS and pause.status is not HookStatus.AWAITING_ACTION


def resolve(deployment: Deployment, hook: Hook, action: HookAction, now: datetime, timing: Timing) -> None:
    """Apply the action that an operator chose for a pause. It takes effect in a later `advance`."""
    deployment.updated_at = now
    if action is HookAction.CONTINUE:
        hook.status = HookStatus.SUCCEEDED
        return
    hook.status = HookStatus.FAILED
    request_rollback(deployment, HOOK_REFUSED.format(stage=hook.stage), now, timing)


def request_rollback(deployment: Deployment, why: str, now: datetime, timing: Timing) -> None:
    """Record a user's request to roll a deployment back."""
    _end_pause(deployment)
    deployment.status, deployment.status_reason, deployment.updated_at = Status.ROLLBACK_REQUESTED, why, now
    deployment.due = timing.after(now, timing.request)


def supersede(service: Service, deployment: Deployment, now: datetime, timing: Timing) -> None:
    """Stop a deployment because a newer one starts, which reconciles its tasks."""
    if deployment.status is not Status.STOP_REQUESTED:
        _request_stop(service, deployment, SUPERSEDED, now, timing)


def _obey(service: Service, deployment: Deployment, now: datetime, timing: Timing) -> None:
    """Begin the requested rollback. A deployment that is past its bake time succeeds instead."""
    if deployment.stage is Stage.CLEAN_UP:
        deployment.status, deployment.status_reason = Status.IN_PROGRESS, None
        return
    _fail(service, deployment, deployment.status_reason or BY_USER, now, timing, rolls_back=True)


def _fail(
    service: Service, deployment: Deployment, why: str, now: datetime, timing: Timing, *, rolls_back: bool
) -> None:
    """Roll a deployment back, or stop it. Nothing can be rolled back before a deployment has succeeded."""
    base = deployment.base
    if not rolls_back or base is None:
        _request_stop(service, deployment, why if base is not None else why + NO_BASE, now, timing)
        return
    _end_pause(deployment)
    deployment.status, deployment.status_reason, deployment.updated_at = Status.ROLLBACK_IN_PROGRESS, why, now
    deployment.due = timing.after(now, timing.request)
    deployment.rollback = Rollback(why, now, base.id)
    # Traffic shifts back first. The tasks follow, with the digest of the old revision even if its tag has moved.
    base.failures = 0
    service.production_id = service.test_id = base.id
    service.shifted = None
    service.add_event(now, f"deployment {deployment.id} is rolled back: {why}")


def _request_stop(service: Service, deployment: Deployment, why: str, now: datetime, timing: Timing) -> None:
    """Stop a deployment without changing its tasks: no further task starts and no traffic is shifted."""
    _end_pause(deployment)
    deployment.target.desired = service.alive(deployment.target)
    deployment.status, deployment.status_reason, deployment.updated_at = Status.STOP_REQUESTED, why, now
    deployment.due = timing.after(now, timing.request)


def _roll_back(service: Service, deployment: Deployment, now: datetime) -> None:
    base = deployment.base
    assert base is not None, "a rollback has a target"  # noqa: S101 - for the type checker: `_fail` ensures it
    if base.failures >= threshold(service.desired):
        deployment.status_reason = f"{deployment.status_reason} The rollback failed: {BROKEN}"
        _finish(service, deployment, Status.ROLLBACK_FAILED, now)
    elif stages.move_back(service, deployment, base):
        service.live = base
        service.task_definition = base.task_definition
        _finish(service, deployment, Status.ROLLBACK_SUCCESSFUL, now)


def _end_pause(deployment: Deployment) -> None:
    if deployment.awaiting is not None:
        deployment.awaiting.status = HookStatus.FAILED


def _finish(service: Service, deployment: Deployment, status: Status, now: datetime) -> None:
    _end_pause(deployment)
    deployment.status, deployment.finished_at, deployment.updated_at, deployment.due = status, now, now, None
    if status is Status.STOPPED:
        deployment.stopped_at = now
    deployment.final = {revision.id: service.counts(revision) for revision in (*deployment.sources, deployment.target)}
    reason = f": {deployment.status_reason}" if deployment.status_reason else "."
    service.add_event(now, f"deployment {deployment.id} ended {status}{reason}")
    if status in (Status.SUCCESSFUL, Status.ROLLBACK_SUCCESSFUL) and service.live is not None:
        service.live.desired = service.desired  # may have changed since its tasks were started
        service.add_event(now, "has reached a steady state.")
