"""Images that a rollback can go back to."""

from collections.abc import Iterable

from order_operations.deployments.ecr_repository import EcrRepository
from order_operations.deployments.fleet import Fleet, Status
from order_operations.deployments.status import failed_images
from order_shared.storage.audit_trail import Operation

DEPLOYED = "deployed"
ROLLED_AWAY = "rollback to"
"""Verbs in the audit trail: an image was deployed to the end; an operator went back from one image to another."""

ARROW = " → "


def change(before: str | None, after: str) -> str:
    """Return the change of images as the audit trail records it."""
    return f"{before or 'nothing'}{ARROW}{after}"


def rejected_by_operators(entries: Iterable[Operation]) -> set[str]:
    """Return the digests that a rollback replaced and that were not deployed again. `entries` oldest first."""
    rejected: set[str] = set()
    for entry in entries:
        if entry.verb == ROLLED_AWAY:
            rejected.add(entry.detail.partition(ARROW)[0])
        elif entry.verb == DEPLOYED:
            rejected.discard(entry.detail)
    return rejected


def candidates(fleet: Fleet, repository: EcrRepository, running: str | None, rejected: Iterable[str]) -> list[str]:
    """Return the digests that ran before, newest first, without the running one and those that were rejected.

    ECS lists deployments for 90 days; the tags remain after that.
    """
    ran = [
        fleet.digest_of(deployment.target.arn)
        for deployment in fleet.history()
        if deployment.status is Status.SUCCESSFUL
    ]
    tagged = [repository.digest_of(tag) for tag in (fleet.ref.previous_tag, fleet.ref.oldest_tag)]
    excluded = {running, *rejected, *failed_images(fleet)}
    known = dict.fromkeys(digest for digest in (*ran, *tagged) if digest is not None)
    return [digest for digest in known if digest not in excluded]
