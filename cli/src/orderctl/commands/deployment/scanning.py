"""Wait for ECR's scan of an image, which begins when the image is pushed and takes minutes."""

from orderctl.commands.deployment import pace
from orderctl.commands.deployment.report import Report
from orderctl.deploy.context import DeployContext
from orderctl.deploy.ecr_repository import Image, Scan

MAX_LOOKS = round(600 / pace.LOOK_SECONDS)
"""Ten minutes, at the usual pace. A scan that still goes on then is refused by the preflight."""
MAX_LOOKS_FOR_NONE = round(60 / pace.LOOK_SECONDS)
"""A minute. An image that was just pushed has no scan yet; one that has none by then gets none."""


def await_scan(context: DeployContext, image: Image, report: Report) -> None:
    """Return once the scan has ended, or the time is up, which the preflight then reports. Raises Refused."""
    manifest = image.architectures.get(context.fleet.architecture(context.fleet.describe()))
    if manifest is None:
        return  # there is nothing that could run here
    for look in range(MAX_LOOKS):
        if not _is_awaited(context.repository.scan_of(manifest), look):
            return
        if look == 0:
            report.said("ECR has not scanned it yet: that is waited for, ten minutes at most")
        pace.poll_sleep()


def _is_awaited(scan: Scan, look: int) -> bool:
    return scan.is_going_on or (not scan.status and look < MAX_LOOKS_FOR_NONE)
