"""Waiting for ECR's scan of an image. The scan starts when the image is pushed, and takes minutes."""

from orderctl.commands.deployment import pace
from orderctl.commands.deployment.report import Report
from orderctl.deploy.context import DeployContext
from orderctl.deploy.ecr_repository import Image, Scan

MAX_POLLS = round(600 / pace.LOOK_SECONDS)
"""Maximum number of polls: ten minutes at the default interval. The preflight fails if the scan still runs then."""
MAX_POLLS_WITHOUT_SCAN = round(60 / pace.LOOK_SECONDS)
"""Maximum number of polls for the start of the scan: one minute at the default interval.

A newly pushed image has no scan yet. If none has started after this time, none will.
"""


def await_scan(context: DeployContext, image: Image, report: Report) -> None:
    """Wait until the image's scan has ended, for a limited time; the preflight checks the result.

    Raises:
        Refused: if the service does not exist.
    """
    manifest = image.architectures.get(context.fleet.architecture(context.fleet.describe()))
    if manifest is None:
        return  # no image for this architecture: the preflight reports that
    for poll in range(MAX_POLLS):
        if not _is_awaited(context.repository.scan_of(manifest), poll):
            return
        if poll == 0:
            report.noted("waiting for ECR to scan the image, ten minutes at most")
        pace.poll_sleep()


def _is_awaited(scan: Scan, poll: int) -> bool:
    return scan.is_in_progress or (not scan.status and poll < MAX_POLLS_WITHOUT_SCAN)
