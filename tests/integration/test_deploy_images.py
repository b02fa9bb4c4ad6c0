"""EcrRepository, scans and tags, against the fake's registry; what may be deployed."""

import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fake_ecs.images import push_image
from fake_ecs.running import Ecs, running_ecs
from fake_ecs.seed import Build
from order_operations.deployments.checks import Check, Verdict
from order_operations.deployments.ecr_repository import REVISION_LABEL, EcrRepository, Scan
from order_operations.deployments.errors import DeploymentRefused, ImageNotFound
from order_operations.deployments.fleet import Fleet
from order_operations.deployments.preflight import check_image, check_scan, check_service
from order_operations.deployments.service_ref import ServiceRef
from order_operations.deployments.traffic import Traffic

PLACE = ServiceRef(environment="dev", kind="order-api")


@pytest.fixture(scope="module")
def ecs() -> Iterator[Ecs]:
    with running_ecs() as running:
        yield running


@pytest.fixture
def images(ecs: Ecs) -> EcrRepository:
    return EcrRepository(ecs.client("ecr"), PLACE.repository)


@pytest.fixture
def fleet(ecs: Ecs) -> Fleet:
    return Fleet(ecs.client("ecs"), PLACE)


def verdicts(checks: Iterator[Check]) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in checks}


def test_an_index_is_known_by_tag_and_by_digest(images: EcrRepository) -> None:
    image = images.get("sha-1a2b3c4")
    assert image == images.get(image.digest)
    assert set(image.architectures) == {"amd64", "arm64"}
    assert image.commit == "1a2b3c4"
    assert images.labels_of(image)[REVISION_LABEL] == "1a2b3c4"


def test_an_image_for_one_architecture_says_which(ecs: Ecs, images: EcrRepository) -> None:
    digest = push_image(ecs.client("ecr"), PLACE.repository, "sha-0000001", labels={}, platforms=("amd64",))
    image = images.get(digest)
    assert set(image.architectures) == {"amd64"}
    assert verdicts(check_image(images, image, "arm64")) == {"architecture": Verdict.FAIL, "scan": Verdict.SKIP}


@pytest.mark.parametrize("reference", ["sha-nobody", "sha256:" + "0" * 64])
def test_one_that_is_not_there_is_named(images: EcrRepository, reference: str) -> None:
    with pytest.raises(ImageNotFound, match=f"order-api has no image {reference}"):
        images.get(reference)


def test_a_tag_moves_whole_and_may_be_there_already(images: EcrRepository) -> None:
    second = images.get("sha-5d6e7f8")
    images.move("live-elsewhere", second.digest)
    images.move("live-elsewhere", second.digest)
    assert images.get("live-elsewhere").architectures == second.architectures


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [({}, Verdict.OK), ({"HIGH": 3}, Verdict.OK), ({"CRITICAL": 1, "LOW": 9}, Verdict.FAIL), (None, Verdict.SKIP)],
)
def test_critical_findings_keep_an_image_out(
    ecs: Ecs, images: EcrRepository, findings: dict[str, int] | None, verdict: Verdict
) -> None:
    build = Build(commit=f"f{abs(hash(str(findings))):x}"[:7])
    image = images.get(push_image(ecs.client("ecr"), PLACE.repository, build.tag, labels={}, platforms=build.platforms))
    ecs.registry.set_findings(PLACE.repository, image.architectures["arm64"], findings)
    assert verdicts(check_image(images, image, "arm64")) == {"architecture": Verdict.OK, "scan": verdict}


@pytest.mark.parametrize(
    ("status", "verdict", "told"),
    [
        ("ACTIVE", Verdict.OK, "no findings"),
        ("PENDING", Verdict.FAIL, "the scan is PENDING"),
        ("IN_PROGRESS", Verdict.FAIL, "the scan is IN_PROGRESS"),
        ("FAILED", Verdict.FAIL, "the scan failed: see the reason in ECR"),
        ("LIMIT_EXCEEDED", Verdict.FAIL, "limit of scans"),
        ("FINDINGS_UNAVAILABLE", Verdict.FAIL, "no longer has the findings"),
        ("IMAGE_ARCHIVED", Verdict.FAIL, "archived"),
        ("IMAGE_SIZE_EXCEEDED", Verdict.SKIP, "too large"),
        ("NEW", Verdict.FAIL, "ECR reports the scan as NEW"),
        ("UNSUPPORTED_IMAGE", Verdict.SKIP, "ECR cannot scan the image"),
        ("SCAN_ELIGIBILITY_EXPIRED", Verdict.SKIP, "too old for ECR to scan"),
    ],
)
def test_what_became_of_a_scan_decides(status: str, verdict: Verdict, told: str) -> None:
    check = check_scan(Scan(status=status))
    assert (check.verdict, told in check.detail) == (verdict, True)
    assert bool(check.remedy) == (verdict is Verdict.FAIL)


def test_findings_count_even_of_a_scan_that_is_long_past() -> None:
    scan = Scan(status="SCAN_ELIGIBILITY_EXPIRED", findings={"CRITICAL": 1})
    assert check_scan(scan).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("{fake}/_ecs/blobs/none?Signature=key", "404"),
        ("http://127.0.0.1:1/?Signature=key", "ConnectError"),
    ],
)
def test_an_address_that_lets_anybody_read_an_image_is_not_told(
    ecs: Ecs, images: EcrRepository, address: str, told: str
) -> None:
    digest = push_image(ecs.client("ecr"), PLACE.repository, "sha-0000002", labels={}, platforms=("arm64",))
    manifest = images.get(digest).architectures["arm64"]
    elsewhere = EcrRepository(Located(ecs.client("ecr"), address.format(fake=ecs.address)), PLACE.repository)
    with pytest.raises(DeploymentRefused, match=told) as refused:
        elsewhere.get(manifest)
    assert "Signature" not in "".join(traceback.format_exception(refused.value))


class Located:
    """A client of ECR whose layers are at one address."""

    def __init__(self, ecr: Any, url: str) -> None:
        self._ecr = ecr
        self._url = url

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ecr, name)

    def get_download_url_for_layer(self, **_: Any) -> dict[str, str]:
        return {"downloadUrl": self._url}


def test_a_service_at_rest_is_ready(ecs: Ecs, fleet: Fleet) -> None:
    checks = check_service(fleet, fleet.describe(), ecs.client("cloudwatch"), Traffic(ecs.client("elbv2")))
    assert verdicts(checks) == dict.fromkeys(("no deployment", "tasks", "alarms", "traffic"), Verdict.OK)


def test_an_alarm_that_is_on_already_would_roll_nothing_back(ecs: Ecs, fleet: Fleet) -> None:
    service = fleet.describe()
    ecs.set_alarm(service.alarms[0], "ALARM")
    checks = check_service(fleet, service, ecs.client("cloudwatch"), Traffic(ecs.client("elbv2")))
    assert verdicts(checks)["alarms"] is Verdict.FAIL
    ecs.set_alarm(service.alarms[0], "OK")


def test_weights_between_two_groups_are_no_start(ecs: Ecs, fleet: Fleet) -> None:
    service = fleet.describe()
    elb = ecs.client("elbv2")
    assert service.production_rule is not None
    halves = [{"TargetGroupArn": group, "Weight": 50} for group in service.target_groups]
    whole = [{**half, "Weight": weight} for half, weight in zip(halves, (100, 0), strict=True)]
    forward = [{"Type": "forward", "ForwardConfig": {"TargetGroups": halves}}]
    elb.modify_rule(RuleArn=service.production_rule, Actions=forward)
    checks = check_service(fleet, service, ecs.client("cloudwatch"), Traffic(elb))
    assert verdicts(checks)["traffic"] is Verdict.FAIL
    forward[0]["ForwardConfig"] = {"TargetGroups": whole}
    elb.modify_rule(RuleArn=service.production_rule, Actions=forward)


@pytest.mark.parametrize(
    ("running", "verdicts_expected"),
    [(2, {"targets": Verdict.FAIL}), (0, {"traffic": Verdict.OK})],
    ids=["its tasks are elsewhere", "it has no tasks"],
)
def test_customers_sent_to_nobody_are_told_of_if_there_is_somebody(
    ecs: Ecs, fleet: Fleet, running: int, verdicts_expected: dict[str, Verdict]
) -> None:
    service = replace(fleet.describe(), running=running)
    empty = {service.target_groups[1]: 100}
    traffic = Traffic(ecs.client("elbv2"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traffic, "weights", lambda _: empty)
        assert verdicts(traffic.check(service, PLACE)) == verdicts_expected


def test_the_tasks_architecture_is_named_as_images_name_it(fleet: Fleet) -> None:
    assert fleet.architecture(fleet.describe()) == "arm64"


def test_the_green_side_answers_where_the_test_listener_is(ecs: Ecs, fleet: Fleet) -> None:
    assert Traffic(ecs.client("elbv2")).test_url(fleet.describe()) == "https://api.dev.example.com:8443"


def test_a_service_without_traffic_has_no_test_listener(ecs: Ecs) -> None:
    processor = Fleet(ecs.client("ecs"), ServiceRef(environment="dev", kind="order-processor")).describe()
    with pytest.raises(DeploymentRefused, match="--test-url"):
        Traffic(ecs.client("elbv2")).test_url(processor)
