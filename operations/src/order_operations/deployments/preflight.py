"""Preflight checks, before anything is changed. Each is one line: OK, SKIP or FAIL, and after FAIL the next command."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from order_operations.deployments.checks import Check, Override, Verdict
from order_operations.deployments.ecr_repository import EcrRepository, Image, Scan
from order_operations.deployments.fleet import Fleet, Service
from order_operations.deployments.freeze import Freeze
from order_operations.deployments.service_ref import ServiceRef
from order_operations.deployments.status import State, failed_images
from order_operations.deployments.traffic import Traffic

DEFAULT_BLOCKING = ("CRITICAL",)
"""Severities of findings that block a deployment."""

NO_SCAN = {
    "": "ECR has not scanned the image",
    "UNSUPPORTED_IMAGE": "ECR cannot scan the image",
    "SCAN_ELIGIBILITY_EXPIRED": "the image is too old for ECR to scan",
    "IMAGE_SIZE_EXCEEDED": "the image is too large for ECR to scan",
}
"""Reasons to skip the check of the scan, by ECR's scan status."""

FAILED_SCAN = {
    "FAILED": ("the scan failed: see the reason in ECR", "push the image again with `make push`"),
    "FINDINGS_UNAVAILABLE": (
        "ECR no longer has the findings of the scan",
        "scan it again with `aws ecr start-image-scan`",
    ),
    "LIMIT_EXCEEDED": (
        "the account's limit of scans is reached, or the image was scanned in the last 24 hours",
        "wait, then `aws ecr start-image-scan`",
    ),
    "IMAGE_ARCHIVED": ("the image is archived", "restore it with `aws ecr update-image-storage-class`"),
}
"""Reason and remedy of a scan without findings, by ECR's status. Pushing the same image again would change nothing."""


def check_image(
    images: EcrRepository, image: Image, architecture: str, blocking: Sequence[str] = DEFAULT_BLOCKING
) -> Iterator[Check]:
    """Check that the image is built for the tasks' architecture, and check its scan for that architecture."""
    manifest = image.architectures.get(architecture)
    if manifest is None:
        built_for = ", ".join(sorted(image.architectures)) or "nothing"
        yield Check(
            "architecture",
            Verdict.FAIL,
            f"the tasks are {architecture}; the image is built for {built_for}",
            remedy=f"build it for {architecture} with `make push`",
        )
        yield Check("scan", Verdict.SKIP, f"there is no image for {architecture}")
        return
    yield Check("architecture", Verdict.OK, architecture)
    yield check_scan(images.scan_of(manifest), blocking)


def check_scan(scan: Scan, blocking: Sequence[str] = DEFAULT_BLOCKING) -> Check:
    """Check that the scan is complete and has no findings of the blocking severities."""
    found = {severity: scan.findings[severity] for severity in blocking if scan.findings.get(severity)}
    if found:
        return Check(
            "scan",
            Verdict.FAIL,
            f"the image has findings: {_counted(found)}",
            remedy="list them with `aws ecr describe-image-scan-findings`, and deploy an image without them",
        )
    if scan.status in NO_SCAN:
        return Check("scan", Verdict.SKIP, NO_SCAN[scan.status])
    if scan.is_in_progress:
        return Check(
            "scan",
            Verdict.FAIL,
            f"the scan is {scan.status}",
            remedy="run the same `orderctl` command again when it has ended",
        )
    if not scan.is_complete:
        reason, remedy = FAILED_SCAN.get(
            scan.status, (f"ECR reports the scan as {scan.status}", "see `aws ecr describe-image-scan-findings`")
        )
        return Check("scan", Verdict.FAIL, reason, remedy=remedy)
    return Check("scan", Verdict.OK, _counted(dict(sorted(scan.findings.items()))) or "no findings")


def _counted(findings: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {severity}" for severity, count in findings.items())


def check_freeze(freeze: Freeze | None, ref: ServiceRef) -> Check:
    """Check that deployments are not frozen."""
    if freeze is None:
        return Check("not frozen", Verdict.OK, "deployments are allowed")
    return Check(
        "not frozen",
        Verdict.FAIL,
        f"frozen by {freeze.actor} since {freeze.since}: {freeze.reason}",
        remedy=f"`orderctl continue {ref.place}` allows deployments again",
    )


def check_not_rejected(fleet: Fleet, service: Service, digest: str) -> Check:
    """Check that the newest deployment of the image did not end rolled back or stopped."""
    failed = failed_images(fleet).get(digest)
    if failed is None:
        return Check(Override.REJECTED, Verdict.OK, "no deployment of this image was rolled back")
    detail = f"{failed.id}, the last deployment of this image, ended {failed.state}: {_why(failed)}"
    if service.running == 0:
        return Check(Override.REJECTED, Verdict.SKIP, f"{detail}; no task runs, so another attempt can do no harm")
    return Check(
        Override.REJECTED,
        Verdict.FAIL,
        detail,
        remedy=f"`orderctl finish {fleet.ref.place}` moves the tags back; to deploy the image nevertheless, add "
        f"`--despite {Override.REJECTED} --reason …`",
    )


def _why(deployment: Any) -> str:
    return str(deployment.rollback_reason or deployment.reason or "no reason is given")


def check_service(fleet: Fleet, service: Service, cloudwatch: Any, traffic: Traffic) -> Iterator[Check]:
    """Check that a deployment can start and can be rolled back."""
    yield check_none_under_way(fleet)
    yield _check_tasks(service, fleet.ref)
    yield _check_alarms(service, cloudwatch, fleet.ref)
    yield from traffic.check(service, fleet.ref)


def check_none_under_way(fleet: Fleet) -> Check:
    under_way = fleet.under_way()
    if under_way is None:
        return Check("no deployment", Verdict.OK, "none is under way")
    return Check(
        "no deployment",
        Verdict.FAIL,
        f"{under_way.id} is under way: {under_way.state} {under_way.stage or ''}".strip(),
        remedy=f"`orderctl finish {fleet.ref.place}` follows it, `orderctl abort {fleet.ref.place}` rolls it back",
    )


def check_drift(state: State) -> Check:
    """Check that the live tag points to the image that runs: another deployment ships the tag's image."""
    if state.drift:
        return Check("drift", Verdict.FAIL, state.drift)
    return Check("drift", Verdict.OK, "none")


def _check_tasks(service: Service, ref: ServiceRef) -> Check:
    how_many = f"{service.running} of {service.desired} running"
    if service.desired == 0:
        return Check(Override.TASKS, Verdict.SKIP, "the service is scaled to zero")
    if service.running == 0:  # the current image may never have started: only another image can repair that
        return Check(Override.TASKS, Verdict.SKIP, f"{how_many}: a deployment can do no harm")
    if service.running < service.desired:
        return Check(
            Override.TASKS,
            Verdict.FAIL,
            how_many,
            remedy=f"see the events with `aws ecs describe-services --cluster {ref.cluster} --services {ref.service}`; "
            f"{_override(Override.TASKS)}",
        )
    return Check(Override.TASKS, Verdict.OK, how_many)


def _check_alarms(service: Service, cloudwatch: Any, ref: ServiceRef) -> Check:
    if not service.alarms:
        return Check(Override.ALARMS, Verdict.SKIP, "the service has no rollback alarms")
    kinds = ["MetricAlarm", "CompositeAlarm"]
    answer = cloudwatch.describe_alarms(AlarmNames=list(service.alarms), AlarmTypes=kinds)
    found = [*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())]
    states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}
    missing = [name for name in service.alarms if name not in states]
    ringing = [name for name, state in states.items() if state == "ALARM"]
    if missing:
        detail = f"missing, so they cannot roll back a deployment: {', '.join(missing)}"
        remedy = f"create them with `orderctl env apply --env {ref.environment}`; {_override(Override.ALARMS)}"
        return Check(Override.ALARMS, Verdict.FAIL, detail, remedy=remedy)
    if not ringing:
        return Check(Override.ALARMS, Verdict.OK, ", ".join(service.alarms))
    # Of a deployment that starts while one alarm is on, ECS watches none.
    detail = f"already in ALARM, so ECS watches no alarm and will not roll back for any: {', '.join(ringing)}"
    if service.running == 0:
        return Check(Override.ALARMS, Verdict.SKIP, f"{detail}; no task runs, so a deployment can do no harm")
    return Check(
        Override.ALARMS, Verdict.FAIL, detail, remedy=f"wait until the alarms are off, or {_override(Override.ALARMS)}"
    )


def _override(check: Override) -> str:
    return f"add `--despite {check} --reason …` to deploy nevertheless"
