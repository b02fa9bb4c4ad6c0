"""Stages of a deployment: their order, the effect of entering each, and the condition that ends each.

No I/O: the time is an argument.
"""

from datetime import datetime, timedelta

from fake_ecs import fleet
from fake_ecs.model import FULL, Deployment, Revision, Service, Stage
from fake_ecs.timing import Timing

ROLLING = (Stage.PRE_SCALE_UP, Stage.SCALE_UP, Stage.POST_SCALE_UP, Stage.BAKE_TIME, Stage.CLEAN_UP)
"""Stages of a rolling deployment. Assumption: those of blue/green, without the traffic shifts and their POST stages."""

SHIFTING = (
    Stage.PRE_SCALE_UP,
    Stage.SCALE_UP,
    Stage.POST_SCALE_UP,
    Stage.TEST_TRAFFIC_SHIFT,
    Stage.POST_TEST_TRAFFIC_SHIFT,
    Stage.PRODUCTION_TRAFFIC_SHIFT,
    Stage.POST_PRODUCTION_TRAFFIC_SHIFT,
    Stage.BAKE_TIME,
    Stage.CLEAN_UP,
)
"""Stages of blue/green, canary and linear. The last two remain in PRODUCTION_TRAFFIC_SHIFT during all their steps."""


def plan(service: Service, deployment: Deployment) -> tuple[Stage, ...]:
    """Return the stages in order. Reconciliation comes first if more than one revision was active at the start."""
    rest: tuple[Stage, ...] = SHIFTING if deployment.configuration.shifts_traffic else ROLLING
    if service.balancing is None or service.balancing.test_rule is None:
        rest = tuple(stage for stage in rest if "TEST" not in stage)
    return (Stage.RECONCILE_SERVICE, *rest) if len(deployment.sources) > 1 else rest


def enter(service: Service, deployment: Deployment, stage: Stage, now: datetime, timing: Timing) -> None:
    deployment.stage = stage
    deployment.due = timing.after(now, timing.stage)
    deployment.stage_expires = timing.after(now, timing.stage_limit)
    match stage:
        case Stage.RECONCILE_SERVICE:
            if deployment.base is not None:
                service.production_id = service.test_id = deployment.base.id
            service.shifted = None
            for revision in _superseded_revisions(deployment):
                revision.desired = 0
        case Stage.SCALE_UP:
            deployment.due = None
        case Stage.TEST_TRAFFIC_SHIFT:
            service.test_id = deployment.target.id
            deployment.due = timing.after(now, timing.shift)
        case Stage.PRODUCTION_TRAFFIC_SHIFT:
            _shift(service, deployment, now, timing)
        case Stage.BAKE_TIME:
            minutes = timedelta(minutes=deployment.configuration.bake_minutes)
            deployment.due = timing.after(now, minutes.total_seconds())
        case Stage.CLEAN_UP:
            for revision in deployment.sources:
                revision.desired = 0
            service.production_id = service.test_id = deployment.target.id
            deployment.due = None
        case _:
            pass


def is_done(service: Service, deployment: Deployment, now: datetime, timing: Timing) -> bool:
    """Return whether the stage has ended. A shift in steps takes the next step first."""
    match deployment.stage:
        case Stage.RECONCILE_SERVICE:
            active = service.active()
            return not any(revision in active for revision in _superseded_revisions(deployment)) and _time_is_up(
                deployment, now
            )
        case Stage.SCALE_UP:
            return _scaled_up(service, deployment)
        case Stage.PRODUCTION_TRAFFIC_SHIFT if _time_is_up(deployment, now):
            _, minutes = deployment.configuration.traffic_steps[deployment.step]
            if minutes and not deployment.is_step_baking:
                deployment.is_step_baking = True
                deployment.due = timing.after(now, timedelta(minutes=minutes).total_seconds())
                return False
            if deployment.step + 1 == len(deployment.configuration.traffic_steps):
                return True
            deployment.step += 1
            deployment.is_step_baking = False
            _shift(service, deployment, now, timing)
            return False
        case Stage.CLEAN_UP:
            active = service.active()
            return not any(revision in active for revision in deployment.sources)
        case _:
            return _time_is_up(deployment, now)


def move_back(service: Service, deployment: Deployment, base: Revision) -> bool:
    """Advance a rollback by one step. Return whether all tasks are of the base revision again."""
    if not deployment.configuration.shifts_traffic:
        moved = fleet.replace_step(service, base)
    else:
        base.desired = service.desired
        moved = service.healthy(base) >= service.desired
        if moved:
            for revision in service.active():
                if revision is not base:
                    revision.desired = 0
    return moved and service.active() in ([base], [])


def _shift(service: Service, deployment: Deployment, now: datetime, timing: Timing) -> None:
    """Shift the production traffic of the current step."""
    percent, _ = deployment.configuration.traffic_steps[deployment.step]
    if percent == FULL:
        service.production_id, service.shifted = deployment.target.id, None
    else:
        service.shifted = (deployment.target.id, percent)
    deployment.due = timing.after(now, timing.shift)


def _scaled_up(service: Service, deployment: Deployment) -> bool:
    if not deployment.configuration.shifts_traffic:
        return fleet.replace_step(service, deployment.target)
    deployment.target.desired = service.desired
    return service.healthy(deployment.target) >= service.desired


def _superseded_revisions(deployment: Deployment) -> list[Revision]:
    """Return the source revisions without production traffic, which superseded deployments had started."""
    return [revision for revision in deployment.sources if revision is not deployment.base]


def _time_is_up(deployment: Deployment, now: datetime) -> bool:
    return deployment.due is not None and now >= deployment.due
