"""Preflight checks, before anything is changed. Each is one line: OK, SKIP or FAIL."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orderctl.deploy.checks import Check, Verdict
from orderctl.deploy.ecr_repository import EcrRepository, Image, Scan
from orderctl.deploy.fleet import Fleet, Service
from orderctl.deploy.freeze import Freeze
from orderctl.deploy.traffic import Traffic

DEFAULT_BLOCKING = ("CRITICAL",)
"""Severities of findings that keep an image from being deployed."""

NO_SCAN = {
    "": "it was not scanned",
    "UNSUPPORTED_IMAGE": "ECR cannot scan it",
    "SCAN_ELIGIBILITY_EXPIRED": "it is so old that it is not scanned any more",
}
"""Reasons for no scan, by ECR's status. Waiting would not change them."""


def check_image(
    images: EcrRepository, image: Image, architecture: str, blocking: Sequence[str] = DEFAULT_BLOCKING
) -> Iterator[Check]:
    """Check whether the image can run here."""
    manifest = image.architectures.get(architecture)
    if manifest is None:
        built_for = ", ".join(sorted(image.architectures)) or "nothing"
        yield Check("architecture", Verdict.FAIL, f"the tasks are {architecture}; the image is built for {built_for}")
        yield Check("scan", Verdict.SKIP, "there is no image to look at")
        return
    yield Check("architecture", Verdict.OK, architecture)
    yield check_scan(images.scan_of(manifest), blocking)


def check_scan(scan: Scan, blocking: Sequence[str] = DEFAULT_BLOCKING) -> Check:
    """Check the findings of the scan."""
    found = {severity: scan.findings[severity] for severity in blocking if scan.findings.get(severity)}
    if found:
        return Check("scan", Verdict.FAIL, f"it has findings: {_counted(found)}")
    if scan.status in NO_SCAN:
        return Check("scan", Verdict.SKIP, NO_SCAN[scan.status])
    if scan.is_in_progress:
        return Check("scan", Verdict.FAIL, f"its scan is {scan.status}: wait for it")
    if not scan.is_complete:
        return Check("scan", Verdict.FAIL, f"its scan failed ({scan.status}): push it again, or look at why in ECR")
    return Check("scan", Verdict.OK, _counted(dict(sorted(scan.findings.items()))) or "no findings")


def _counted(findings: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {severity}" for severity, count in findings.items())


def check_freeze(freeze: Freeze | None) -> Check:
    """Check that deployments are not frozen."""
    if freeze is None:
        return Check("not frozen", Verdict.OK, "deployments are allowed")
    return Check("not frozen", Verdict.FAIL, f"frozen by {freeze.actor} since {freeze.since}: {freeze.reason}")


def check_service(fleet: Fleet, service: Service, cloudwatch: Any, traffic: Traffic) -> Iterator[Check]:
    """Check that a deployment can begin, and be rolled back."""
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
    how_many = f"{service.running} of {service.desired} run"
    if service.desired == 0:
        return Check("tasks", Verdict.SKIP, "it is scaled to nothing")
    if service.running == 0:  # its first image may never have come up: another is the only way on
        return Check("tasks", Verdict.SKIP, f"{how_many}: nothing can be lost")
    if service.running < service.desired:
        return Check("tasks", Verdict.FAIL, f"{how_many}: repair that first")
    return Check("tasks", Verdict.OK, how_many)


def _check_alarms(service: Service, cloudwatch: Any) -> Check:
    if not service.alarms:
        return Check("alarms", Verdict.SKIP, "no alarm rolls it back")
    kinds = ["MetricAlarm", "CompositeAlarm"]
    answer = cloudwatch.describe_alarms(AlarmNames=list(service.alarms), AlarmTypes=kinds)
    found = [*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())]
    states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}
    missing = [name for name in service.alarms if name not in states]
    ringing = [name for name, state in states.items() if state == "ALARM"]
    if missing:
        return Check("alarms", Verdict.FAIL, f"{', '.join(missing)} does not exist, so it cannot roll anything back")
    if ringing:  # ECS looks at changes only: an alarm that is on already would roll nothing back
        return Check("alarms", Verdict.FAIL, f"{', '.join(ringing)} is on already, and would roll nothing back")
    return Check("alarms", Verdict.OK, ", ".join(service.alarms))
