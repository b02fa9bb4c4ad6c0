"""Wait before a deployment: for ECR's scan of the image, and for tasks that ECS is starting."""

from order_operations.deployments.ecr_repository import Image, Scan
from orderctl.commands.deployment import pace
from orderctl.commands.deployment.report import Report
from orderctl.deploy.context import DeployContext

MAX_POLLS = round(600 / pace.LOOK_SECONDS)
"""Maximum number of polls: ten minutes at the default interval. The preflight fails if the scan still runs then."""
MAX_POLLS_WITHOUT_SCAN = round(60 / pace.LOOK_SECONDS)
"""Maximum number of polls for the start of the scan: one minute at the default interval.

A newly pushed image has no scan yet. If none has started after this time, none will.
"""
MAX_POLLS_UNSTEADY = round(300 / pace.LOOK_SECONDS)
"""Five minutes at the default interval: longer than a task takes to start. The preflight reports missing tasks."""


def await_scan(context: DeployContext, image: Image, report: Report) -> None:
    """Wait until the scan has ended or the time is up; the preflight reports either. Raises DeploymentRefused."""
    manifest = image.architectures.get(context.fleet.architecture(context.fleet.describe()))
    if manifest is None:
        return  # no image for this architecture: the preflight reports that
    for poll in range(MAX_POLLS):
        if not _is_awaited(context.repository.scan_of(manifest), poll):
            return
        if poll == 0:
            report.noted("waiting for ECR to scan the image, ten minutes at most")
        pace.poll_sleep()


def await_steady_service(context: DeployContext, report: Report) -> None:
    """Wait while ECS starts tasks or targets, as after a scale-out or when it replaces a task."""
    for poll in range(MAX_POLLS_UNSTEADY):
        if context.fleet.under_way() is not None or not context.traffic.is_settling(context.fleet.describe()):
            return
        if poll == 0:
            report.noted("waiting for tasks that ECS is starting, five minutes at most")
        pace.poll_sleep()


def _is_awaited(scan: Scan, poll: int) -> bool:
    return scan.is_in_progress or (not scan.status and poll < MAX_POLLS_WITHOUT_SCAN)
