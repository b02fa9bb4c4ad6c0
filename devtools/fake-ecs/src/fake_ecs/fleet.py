"""Tasks: started, failed, drained and stopped, so that each revision has as many as it wants. Pure: time comes in."""

from collections.abc import Mapping
from datetime import datetime
from math import ceil, floor

from fake_ecs.model import FULL, Revision, Service, Task, TaskStatus
from fake_ecs.timing import Timing

KEPT_STOPPED = 50
"""Stopped tasks that are remembered; ECS keeps them for an hour."""

NO_IMAGE = "CannotPullContainerError: failed to resolve ref: not found"
ADDRESSES = 250  # in the one /24 that tasks are in


def advance(service: Service, now: datetime, broken: Mapping[str, str], timing: Timing) -> None:
    """`broken`: by digest, why containers of that image do not start."""
    for task in service.tasks:
        if task.due is None or task.due > now:
            continue
        if task.status is TaskStatus.PENDING:
            _start(service, task, now, broken, timing)
        else:
            task.status, task.due = TaskStatus.STOPPED, None
    for revision in service.revisions:
        _reach_wanted(service, revision, now, timing)
    stopped = [task for task in service.tasks if task.status is TaskStatus.STOPPED]
    for task in stopped[:-KEPT_STOPPED]:
        service.tasks.remove(task)


def starts_first(service: Service, revision: Revision, now: datetime) -> bool:
    """Is the first of a revision's tasks about to start? It is the one that finds out what the tag means."""
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
    service.tell(now, f"was unable to start task {task.id}: {reason}")


def _reach_wanted(service: Service, revision: Revision, now: datetime, timing: Timing) -> None:
    alive = [task for task in service.tasks_of(revision) if task.is_wanted]
    missing = revision.wanted - len(alive)
    if missing > 0 and (revision.launch_after is None or now >= revision.launch_after):
        revision.launch_after = None
        for _ in range(missing):
            launch(service, revision, timing.after(now, timing.start))
        service.tell(now, f"has started {missing} tasks of revision {revision.id}.")
    if missing < 0:
        # Those that do not run yet go first: no request is with them.
        alive.sort(key=lambda task: task.status is TaskStatus.RUNNING)
        for task in alive[:-missing]:
            task.status, task.due = TaskStatus.DEACTIVATING, timing.after(now, timing.drain)
        service.tell(now, f"has begun draining {-missing} tasks of revision {revision.id}.")


def launch(service: Service, revision: Revision, due: datetime) -> Task:
    taken = {task.address for task in service.tasks if task.status is not TaskStatus.STOPPED}
    address = next(f"10.0.0.{n}" for n in range(4, ADDRESSES) if f"10.0.0.{n}" not in taken)
    task = Task(revision_id=revision.id, address=address, due=due)
    service.tasks.append(task)
    return task


def replace_step(service: Service, into: Revision) -> bool:
    """Moves tasks to one revision as far as the limits of a rolling deployment allow now; whether all have moved.

    Never more than the maximum alive, never fewer than the minimum running.
    """
    configuration, desired = service.configuration, service.desired
    others = [revision for revision in service.active() if revision is not into]
    maximum = floor(desired * configuration.maximum_percent / FULL)
    minimum = ceil(desired * configuration.minimum_healthy_percent / FULL)
    alive = sum(service.alive(revision) for revision in (into, *others))
    into.wanted = min(desired, service.alive(into) + max(0, maximum - alive))
    spare = service.running(into) + sum(service.running(revision) for revision in others) - minimum
    for revision in others:
        # What does not run yet can go at once; of what runs, what is above the minimum.
        running = service.running(revision)
        leaving = min(running, max(0, spare))
        revision.wanted = running - leaving
        spare -= leaving
    return service.running(into) >= desired and not any(service.alive(revision) for revision in others)
