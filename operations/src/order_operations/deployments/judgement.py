"""Judgement of a service's newest deployment: did what was started last end well, and does it run?"""

from dataclasses import dataclass

from order_operations.deployments.fleet import FAILED, Deployment, Fleet


@dataclass(frozen=True, kw_only=True)
class Judgement:
    is_good: bool
    sentence: str
    """Result for an operator, with the next command if it is bad."""
    deployment: Deployment | None = None


def judge(fleet: Fleet, last: Deployment | None = None) -> Judgement:
    """Judge the newest deployment, also one that another tool started. `last` is one that the list may lack yet.

    A comparison of images alone cannot find that a deployment of the same image with a new task definition was rolled
    back, and Terraform reports success then.

    Raises:
        DeploymentError, and botocore's errors.
    """
    place = fleet.ref.place
    known = [*([last] if last is not None else []), *fleet.history()]
    newest = max(known, key=lambda deployment: deployment.created_at, default=None)
    if newest is None:
        return Judgement(is_good=False, sentence=f"ECS lists no deployment: see `orderctl history {place}`")
    if not newest.status.is_over:
        return Judgement(
            is_good=False,
            sentence=f"{newest.id} is under way: `orderctl finish {place}` follows it to its end",
            deployment=newest,
        )
    if newest.status in FAILED:
        why = newest.rollback_reason or newest.reason or "no reason is given"
        return Judgement(
            is_good=False,
            sentence=f"{newest.id} ended {newest.state}: {why}. See `orderctl history {place}`",
            deployment=newest,
        )
    service = fleet.describe()
    latest = fleet.newest_task_definition(service)
    if service.task_definition != latest:
        return Judgement(
            is_good=False,
            sentence=f"the service has the task definition {_name(service.task_definition)}, but {_name(latest)} is "
            "the newest: its deployment was rolled back. "
            f"`orderctl env apply --env {fleet.ref.environment}` deploys it again",
            deployment=newest,
        )
    return Judgement(is_good=True, sentence=f"{newest.id} ended {newest.state}", deployment=newest)


def _name(task_definition: str) -> str:
    return task_definition.rpartition("/")[2]
