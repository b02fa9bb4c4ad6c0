"""Start, check, fail, drain and stop tasks until each revision has its desired count. Pure: the time is an argument."""

from datetime import datetime
from math import ceil, floor

from fake_ecs.model import FULL, Observation, Revision, Service, Task, TaskStatus
from fake_ecs.timing import Timing

KEPT_STOPPED = 50
"""Maximum number of stopped tasks kept. ECS keeps them for an hour."""

NO_IMAGE = "CannotPullContainerError: failed to resolve ref: not found"
ADDRESSES = 250  # host addresses in the /24 of the tasks
RESOLVE_ATTEMPTS = 3
"""Failed attempts to establish a digest, after which a deployment continues without one."""


def advance(service: Service, now: datetime, seen: Observation, timing: Timing) -> None:
    """Advance all tasks."""
    for task in service.tasks:
        if task.due is None or task.due > now:
            continue
        match task.status:
            case TaskStatus.PENDING:
                _start(service, task, now, seen, timing)
            case TaskStatus.RUNNING:
                _check_health(service, task, now, seen, timing)
            case _:
                task.status, task.due = TaskStatus.STOPPED, None
    for revision in service.revisions:
        _reach_desired(service, revision, now, timing)
    stopped = [task for task in service.tasks if task.status is TaskStatus.STOPPED]
    for task in stopped[:-KEPT_STOPPED]:
        service.tasks.remove(task)


def starting_revisions(service: Service, now: datetime) -> list[Revision]:
    """Return the revisions of which a task pulls its images now."""
    due = {
        task.revision_id
        for task in service.tasks
        if task.status is TaskStatus.PENDING and task.due is not None and task.due <= now
    }
    return [revision for revision in service.revisions if revision.id in due]


def _start(service: Service, task: Task, now: datetime, seen: Observation, timing: Timing) -> None:
    revision = service.revision(task.revision_id)
    pulled = [image.pulled for image in revision.images]
    reasons = [NO_IMAGE if digest is None else seen.broken.get(digest) for digest in pulled]
    reason = next((each for each in reasons if each is not None), None)
    if reason is None:
        task.status, task.due = TaskStatus.RUNNING, timing.after(now, timing.health)
        return
    if None in pulled and None in revision.digests:
        revision.attempts += 1
    task.status, task.due = TaskStatus.STOPPED, None
    _count_failure(revision, now, timing)
    service.add_event(now, f"was unable to start task {task.id}: {reason}")


def _check_health(service: Service, task: Task, now: datetime, seen: Observation, timing: Timing) -> None:
    revision = service.revision(task.revision_id)
    reasons = (seen.unhealthy.get(image.pulled or "") for image in revision.images)
    reason = next((each for each in reasons if each is not None), None)
    if reason is None:
        task.due = None
        revision.failures = 0
        return
    task.status, task.due = TaskStatus.DEACTIVATING, timing.after(now, timing.drain)
    _count_failure(revision, now, timing)
    service.add_event(now, f"task {task.id} failed its health checks: {reason}")


def _count_failure(revision: Revision, now: datetime, timing: Timing) -> None:
    revision.failures += 1
    revision.launch_after = timing.after(now, timing.retry)


def _reach_desired(service: Service, revision: Revision, now: datetime, timing: Timing) -> None:
    alive = [task for task in service.tasks_of(revision) if task.is_alive]
    missing = revision.desired - len(alive)
    if missing > 0 and (revision.launch_after is None or now >= revision.launch_after):
        revision.launch_after = None
        for _ in range(missing):
            launch(service, revision, timing.after(now, timing.start))
        service.add_event(now, f"has started {missing} tasks of revision {revision.id}.")
    if missing < 0:
        # Stop pending and unhealthy tasks first: they have no requests.
        alive.sort(key=lambda task: task.is_healthy)
        for task in alive[:-missing]:
            task.status, task.due = TaskStatus.DEACTIVATING, timing.after(now, timing.drain)
        service.add_event(now, f"has begun draining {-missing} tasks of revision {revision.id}.")


def launch(service: Service, revision: Revision, due: datetime) -> Task:
    taken = {task.address for task in service.tasks if task.status is not TaskStatus.STOPPED}
    address = next(f"10.0.0.{n}" for n in range(4, ADDRESSES) if f"10.0.0.{n}" not in taken)
    task = Task(revision_id=revision.id, address=address, due=due)
    service.tasks.append(task)
    return task


def replace_step(service: Service, into: Revision) -> bool:
    """Move tasks to one revision within the limits of a rolling deployment. Return whether all have moved.

    At no time are more tasks alive than the maximum, or fewer healthy than the minimum.
    """
    configuration, desired = service.configuration, service.desired
    others = [revision for revision in service.active() if revision is not into]
    maximum = floor(desired * configuration.maximum_percent / FULL)
    minimum = ceil(desired * configuration.minimum_healthy_percent / FULL)
    alive = sum(service.alive(revision) for revision in (into, *others))
    into.desired = min(desired, service.alive(into) + max(0, maximum - alive))
    spare = service.healthy(into) + sum(service.healthy(revision) for revision in others) - minimum
    for revision in others:
        # Pending and unhealthy tasks can stop at once, healthy tasks only above the minimum.
        healthy = service.healthy(revision)
        leaving = min(healthy, max(0, spare))
        revision.desired = healthy - leaving
        spare -= leaving
    return service.healthy(into) >= desired and not any(service.alive(revision) for revision in others)
