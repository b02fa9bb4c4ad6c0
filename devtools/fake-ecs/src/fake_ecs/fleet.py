"""Start, fail, drain and stop tasks until each revision has its desired count.

No I/O: the time is an argument, and only the state of the service changes.
"""

from collections.abc import Mapping
from datetime import datetime
from math import ceil, floor

from fake_ecs.model import FULL, Revision, Service, Task, TaskStatus
from fake_ecs.timing import Timing

KEPT_STOPPED = 50
"""Maximum number of stopped tasks kept. ECS keeps them for an hour."""

NO_IMAGE = "CannotPullContainerError: failed to resolve ref: not found"
ADDRESSES = 250  # host addresses in the /24 of the tasks


def advance(service: Service, now: datetime, broken: Mapping[str, str], timing: Timing) -> None:
    """Advance all tasks. `broken` maps the digest of an image to the reason why its containers do not start."""
    for task in service.tasks:
        if task.due is None or task.due > now:
            continue
        if task.status is TaskStatus.PENDING:
            _start(service, task, now, broken, timing)
        else:
            task.status, task.due = TaskStatus.STOPPED, None
    for revision in service.revisions:
        _reach_desired(service, revision, now, timing)
    stopped = [task for task in service.tasks if task.status is TaskStatus.STOPPED]
    for task in stopped[:-KEPT_STOPPED]:
        service.tasks.remove(task)


def starts_first_task(service: Service, revision: Revision, now: datetime) -> bool:
    """Return whether a task of the revision is due to start before all image tags are resolved to digests."""
    due = [task for task in service.tasks_of(revision) if task.due is not None and task.due <= now]
    return None in revision.digests and any(task.status is TaskStatus.PENDING for task in due)


def _start(service: Service, task: Task, now: datetime, broken: Mapping[str, str], timing: Timing) -> None:
    revision = service.revision(task.revision_id)
    reasons = [NO_IMAGE if digest is None else broken.get(digest) for digest in revision.digests]
    reason = next((each for each in reasons if each is not None), None)
    if reason is None:
        task.status, task.due = TaskStatus.RUNNING, None
        revision.failures = 0
        return
    task.status, task.due = TaskStatus.STOPPED, None
    revision.failures += 1
    revision.launch_after = timing.after(now, timing.retry)
    service.add_event(now, f"was unable to start task {task.id}: {reason}")


def _reach_desired(service: Service, revision: Revision, now: datetime, timing: Timing) -> None:
    alive = [task for task in service.tasks_of(revision) if task.is_alive]
    missing = revision.desired - len(alive)
    if missing > 0 and (revision.launch_after is None or now >= revision.launch_after):
        revision.launch_after = None
        for _ in range(missing):
            launch(service, revision, timing.after(now, timing.start))
        service.add_event(now, f"has started {missing} tasks of revision {revision.id}.")
    if missing < 0:
        # Stop pending tasks first: they have no requests.
        alive.sort(key=lambda task: task.status is TaskStatus.RUNNING)
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
    """Replace tasks of other revisions within the limits of a rolling deployment. Return whether all are replaced.

    The number of alive tasks never exceeds the maximum. Running tasks stop only while more than the minimum run.
    """
    configuration, desired = service.configuration, service.desired
    others = [revision for revision in service.active() if revision is not into]
    maximum = floor(desired * configuration.maximum_percent / FULL)
    minimum = ceil(desired * configuration.minimum_healthy_percent / FULL)
    alive = sum(service.alive(revision) for revision in (into, *others))
    into.desired = min(desired, service.alive(into) + max(0, maximum - alive))
    spare = service.running(into) + sum(service.running(revision) for revision in others) - minimum
    for revision in others:
        # Pending tasks can stop at once, running tasks only above the minimum.
        running = service.running(revision)
        leaving = min(running, max(0, spare))
        revision.desired = running - leaving
        spare -= leaving
    return service.running(into) >= desired and not any(service.alive(revision) for revision in others)
