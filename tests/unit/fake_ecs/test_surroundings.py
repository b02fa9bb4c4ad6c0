"""Services that ECS uses: images and tags, rules and targets, alarms; and the check of each response."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import botocore.session
import httpx2
import pytest
from botocore.exceptions import ClientError
from botocore.model import ServiceModel

from fake_ecs.gateway import Gateway
from fake_ecs.images import INDEX, REVISION_LABEL, push_image, tag_image
from fake_ecs.shapes import InvalidResponse, ensure_valid
from tests.ecs import SteppedEcs, stepped_ecs

API = "order-api"


@pytest.fixture(scope="module")
def ecs() -> Iterator[SteppedEcs]:
    with stepped_ecs() as running:
        yield running


@pytest.fixture
def ecr(ecs: SteppedEcs) -> Any:
    return ecs.cloud.ecr


def _put(ecr: Any, tag: str, source: str) -> None:
    found = ecr.batch_get_image(repositoryName=API, imageIds=[{"imageTag": source}])["images"][0]
    ecr.put_image(repositoryName=API, imageManifest=found["imageManifest"], imageTag=tag)


def _code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_a_movable_tag_moves_and_no_other(ecr: Any) -> None:
    _put(ecr, "live-uat", "sha-1a2b3c4")
    _put(ecr, "live-uat", "sha-5d6e7f8")

    assert _tags(ecr, "live-uat") == {"sha-5d6e7f8", "live-uat"}
    with pytest.raises(ecr.exceptions.ImageTagAlreadyExistsException):
        _put(ecr, "sha-1a2b3c4", "sha-5d6e7f8")


def test_a_tag_that_is_there_already_is_told(ecr: Any) -> None:
    _put(ecr, "live-prod", "sha-1a2b3c4")

    with pytest.raises(ecr.exceptions.ImageAlreadyExistsException):
        _put(ecr, "live-prod", "sha-1a2b3c4")
    tag_image(ecr, API, "live-prod", _digest(ecr, "sha-1a2b3c4"))


def test_an_index_names_its_platforms_and_their_labels(ecr: Any) -> None:
    image = ecr.batch_get_image(repositoryName=API, imageIds=[{"imageTag": "sha-1a2b3c4"}])["images"][0]
    index = json.loads(image["imageManifest"])
    arm = next(each for each in index["manifests"] if each["platform"]["architecture"] == "arm64")
    manifest = ecr.batch_get_image(repositoryName=API, imageIds=[{"imageDigest": arm["digest"]}])["images"][0]
    config = json.loads(manifest["imageManifest"])["config"]["digest"]
    url = ecr.get_download_url_for_layer(repositoryName=API, layerDigest=config)["downloadUrl"]

    assert image["imageManifestMediaType"] == INDEX
    assert len(index["manifests"]) == 2
    assert httpx2.get(url).json()["config"]["Labels"] == {REVISION_LABEL: "1a2b3c4"}
    assert httpx2.get(f"{url}0").status_code == 404


def test_an_image_may_lack_a_platform(ecr: Any) -> None:
    digest = push_image(ecr, API, "sha-amd", labels={}, platforms=("amd64",))

    found = ecr.batch_get_image(repositoryName=API, imageIds=[{"imageDigest": digest}])["images"][0]
    platforms = [each["platform"]["architecture"] for each in json.loads(found["imageManifest"])["manifests"]]
    assert platforms == ["amd64"]


def test_platforms_are_scanned_and_the_index_is_not(ecs: SteppedEcs, ecr: Any) -> None:
    index = ecr.batch_get_image(repositoryName=API, imageIds=[{"imageTag": "sha-5d6e7f8"}])["images"][0]
    platform = json.loads(index["imageManifest"])["manifests"][0]["digest"]
    scan = ecr.describe_image_scan_findings

    ecs.registry.set_findings(API, platform, {"CRITICAL": 1, "LOW": 4})

    found = scan(repositoryName=API, imageId={"imageDigest": platform})
    assert found["imageScanStatus"]["status"] == "COMPLETE"
    assert found["imageScanFindings"]["findingSeverityCounts"] == {"CRITICAL": 1, "LOW": 4}
    with pytest.raises(ecr.exceptions.ScanNotFoundException):
        scan(repositoryName=API, imageId={"imageTag": "sha-5d6e7f8"})


def test_a_missing_resource_is_an_error(ecr: Any) -> None:
    described = {"repositoryName": API, "imageIds": [{"imageTag": "nope"}]}

    assert _code(ecr.describe_images, **described) == "ImageNotFoundException"
    assert ecr.batch_get_image(**described)["failures"][0]["failureCode"] == "ImageNotFound"
    assert _code(ecr.describe_images, repositoryName="nope") == "RepositoryNotFoundException"
    dangling = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"digest": "sha256:0"}]})
    missing = {"repositoryName": API, "imageManifest": dangling}
    assert _code(ecr.put_image, **missing) == "ReferencedImagesNotFoundException"
    assert _code(ecr.put_image, **missing, imageDigest=f"sha256:{'0' * 64}") == "ImageDigestDoesNotMatchException"
    assert _code(ecr.put_image, repositoryName=API, imageManifest="{") == "InvalidParameterException"
    assert _code(ecr.create_repository, repositoryName=API) == "RepositoryAlreadyExistsException"


def test_rules_groups_and_listeners_are_found(ecs: SteppedEcs) -> None:
    elbv2 = ecs.cloud.elbv2
    listeners = elbv2.describe_listeners(LoadBalancerArn=next(iter(ecs.routing._balancer._balancers)))["Listeners"]
    rules = elbv2.describe_rules(ListenerArn=listeners[0]["ListenerArn"])["Rules"]
    group = rules[0]["Actions"][0]["ForwardConfig"]["TargetGroups"][0]["TargetGroupArn"]

    assert [listener["Port"] for listener in listeners] == [443, 8443]
    assert rules[0]["Conditions"][0]["HostHeaderConfig"]["Values"] == ["api.dev.example.com"]
    assert rules[0]["IsDefault"] is False
    assert rules[0]["Conditions"][1]["PathPatternConfig"]["Values"] == ["/v1/*", "/pages/*"]
    assert ":targetgroup/dev-order-api-blue/" in group
    assert _code(elbv2.describe_rules, RuleArns=["nope"]) == "RuleNotFound"


def test_a_rule_forwards_to_groups_that_are_there(ecs: SteppedEcs) -> None:
    elbv2 = ecs.cloud.elbv2
    service = ecs.engine.state.services["dev", API]
    assert service.balancing is not None
    forward = {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "nope", "Weight": 1}]}}

    assert _code(elbv2.modify_rule, RuleArn=service.balancing.production_rule, Actions=[forward]) == (
        "TargetGroupNotFound"
    )


def test_an_alarm_keeps_its_state_when_it_is_put_again(ecs: SteppedEcs) -> None:
    cloudwatch = ecs.cloud.cloudwatch
    ecs.set_alarm("dev-api-latency", "ALARM")
    cloudwatch.put_metric_alarm(
        AlarmName="dev-api-latency", EvaluationPeriods=2, ComparisonOperator="GreaterThanThreshold"
    )

    alarms = cloudwatch.describe_alarms(AlarmNamePrefix="dev-api", StateValue="ALARM")["MetricAlarms"]
    assert [(alarm["AlarmName"], alarm["EvaluationPeriods"]) for alarm in alarms] == [("dev-api-latency", 2)]
    assert _code(cloudwatch.set_alarm_state, AlarmName="nope", StateValue="OK", StateReason="x") == "ResourceNotFound"


def _model() -> ServiceModel:
    return botocore.session.Session().get_service_model("ecs")


def _deployment_shape() -> Any:
    return _model().operation_model("DescribeServiceDeployments").output_shape


@pytest.mark.parametrize(
    ("deployment", "complaint"),
    [
        ({"status": "GREAT"}, "not one of"),
        ({"colour": "blue"}, "colour"),
        ({"createdAt": "yesterday"}, "createdAt"),
        ({"alarms": {"alarmNames": "one"}}, "alarmNames"),
        ({"lifecycleHookDetails": [{"status": "WAITING"}]}, "not one of"),
    ],
)
def test_an_answer_that_aws_could_not_give_is_an_error_of_the_fake(deployment: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidResponse, match=complaint):
        ensure_valid("DescribeServiceDeployments", {"serviceDeployments": [deployment]}, _deployment_shape())


def test_an_answer_that_aws_could_give_passes() -> None:
    deployment = {"status": "PENDING", "createdAt": datetime(2026, 1, 1, tzinfo=UTC), "alarms": {"alarmNames": []}}

    ensure_valid("DescribeServiceDeployments", {"serviceDeployments": [deployment]}, _deployment_shape())


def test_every_answer_is_checked(ecs: SteppedEcs) -> None:
    class Wrong:
        name = "ecs"
        lock = ecs.engine.lock

        def describe_services(self, _: dict[str, Any]) -> dict[str, Any]:
            return {"services": [{"status": 1}]}

    gateway = Gateway([Wrong()], {"ecs": _model()}, ecs.engine.faults)

    with pytest.raises(InvalidResponse):
        gateway.answer({"X-Amz-Target": "AmazonEC2ContainerServiceV20141113.DescribeServices"}, b'{"services": []}')


def _digest(ecr: Any, tag: str) -> str:
    return str(ecr.describe_images(repositoryName=API, imageIds=[{"imageTag": tag}])["imageDetails"][0]["imageDigest"])


def _tags(ecr: Any, tag: str) -> set[str]:
    return set(ecr.describe_images(repositoryName=API, imageIds=[{"imageTag": tag}])["imageDetails"][0]["imageTags"])
