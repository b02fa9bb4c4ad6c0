"""Preflight checks, which run before anything is changed. Each results in OK, SKIP or FAIL."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orderctl.deploy.checks import Check, Verdict
from orderctl.deploy.ecr_repository import EcrRepository, Image, Scan
from orderctl.deploy.fleet import Fleet, Service
from orderctl.deploy.freeze import Freeze
from orderctl.deploy.traffic import Traffic

DEFAULT_BLOCKING = ("CRITICAL",)
"""Severities of findings that block a deployment."""

NO_SCAN = {
    "": "ECR has not scanned the image",
    "UNSUPPORTED_IMAGE": "ECR cannot scan the image",
    "SCAN_ELIGIBILITY_EXPIRED": "the image is too old for ECR to scan",
}
"""Reasons to skip the check of the scan, by ECR's scan status."""


def check_image(
    images: EcrRepository, image: Image, architecture: str, blocking: Sequence[str] = DEFAULT_BLOCKING
) -> Iterator[Check]:
    """Check that the image is built for the tasks' architecture, and check its scan for that architecture."""
    manifest = image.architectures.get(architecture)
    if manifest is None:
        built_for = ", ".join(sorted(image.architectures)) or "nothing"
        yield Check("architecture", Verdict.FAIL, f"the tasks are {architecture}; the image is built for {built_for}")
        yield Check("scan", Verdict.SKIP, f"there is no image for {architecture}")
        return
    yield Check("architecture", Verdict.OK, architecture)
    yield check_scan(images.scan_of(manifest), blocking)


def check_scan(scan: Scan, blocking: Sequence[str] = DEFAULT_BLOCKING) -> Check:
    """Check that the scan is complete and has no findings of the blocking severities."""
    found = {severity: scan.findings[severity] for severity in blocking if scan.findings.get(severity)}
    if found:
        return Check("scan", Verdict.FAIL, f"the image has findings: {_counted(found)}")
    if scan.status in NO_SCAN:
        return Check("scan", Verdict.SKIP, NO_SCAN[scan.status])
    if scan.is_in_progress:
        return Check("scan", Verdict.FAIL, f"the scan is {scan.status}: try again when it has ended")
    if not scan.is_complete:
        return Check(
            "scan", Verdict.FAIL, f"the scan failed ({scan.status}): see the reason in ECR, or push the image again"
        )
    return Check("scan", Verdict.OK, _counted(dict(sorted(scan.findings.items()))) or "no findings")


def _counted(findings: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {severity}" for severity, count in findings.items())


def check_freeze(freeze: Freeze | None) -> Check:
    """Check that deployments are not frozen."""
    if freeze is None:
        return Check("not frozen", Verdict.OK, "deployments are allowed")
    return Check("not frozen", Verdict.FAIL, f"frozen by {freeze.actor} since {freeze.since}: {freeze.reason}")


def check_service(fleet: Fleet, service: Service, cloudwatch: Any, traffic: Traffic) -> Iterator[Check]:
    """Check that a deployment can start and can be rolled back."""
    under_way = fleet.under_way()
    if under_way is None:
        yield Check("no deployment", Verdict.OK, "none is under way")
    else:
        yield Check(
            "no deployment", Verdict.FAIL, f"{under_way.id} is under way: {under_way.status} {under_way.stage or ''}"
        )
    yield _check_tasks(service)
    yield _check_alarms(service, cloudwatch)
    yield from traffic.check(service)


def _check_tasks(service: Service) -> Check:
    how_many = f"{service.running} of {service.desired} running"
    if service.desired == 0:
        return Check("tasks", Verdict.SKIP, "the service is scaled to zero")
    if service.running == 0:  # the current image may never have started: only another image can repair that
        return Check("tasks", Verdict.SKIP, f"{how_many}: a deployment can do no harm")
    if service.running < service.desired:
        return Check("tasks", Verdict.FAIL, f"{how_many}: repair the service first")
    return Check("tasks", Verdict.OK, how_many)


def _check_alarms(service: Service, cloudwatch: Any) -> Check:
    if not service.alarms:
        return Check("alarms", Verdict.SKIP, "the service has no rollback alarms")
    kinds = ["MetricAlarm", "CompositeAlarm"]
    answer = cloudwatch.describe_alarms(AlarmNames=list(service.alarms), AlarmTypes=kinds)
    found = [*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())]
    states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}
    missing = [name for name in service.alarms if name not in states]
    ringing = [name for name, state in states.items() if state == "ALARM"]
    if missing:
        return Check("alarms", Verdict.FAIL, f"missing, so they cannot roll back a deployment: {', '.join(missing)}")
    if ringing:  # ECS reacts to changes only: an alarm that is in ALARM already would not roll back
        return Check("alarms", Verdict.FAIL, f"already in ALARM, so they cannot roll back: {', '.join(ringing)}")
    return Check("alarms", Verdict.OK, ", ".join(service.alarms))
