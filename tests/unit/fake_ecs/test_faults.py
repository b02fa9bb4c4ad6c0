"""Rejected requests and injected faults, through the Python object and `/_ecs/…`."""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import pytest
from botocore.exceptions import ClientError

from fake_ecs.model import TaskStatus
from tests.ecs import SteppedEcs, stepped_ecs

SERVICE = {"cluster": "dev", "service": "order-api"}
TARGET = "AmazonEC2ContainerServiceV20141113"
LAMBDA = {"hookTargetArn": "arn:aws:lambda:eu-central-1:000000000000:function:f", "roleArn": "r"}


@pytest.fixture(scope="module")
def ecs() -> Iterator[SteppedEcs]:
    with stepped_ecs() as running:
        yield running


@pytest.fixture
def client(ecs: SteppedEcs) -> Iterator[Any]:
    opened = ecs.client("ecs")
    yield opened
    opened.close()


def _deployments(client: Any) -> int:
    return len(client.list_service_deployments(**SERVICE)["serviceDeployments"])


def _post(ecs: SteppedEcs, action: str, **body: object) -> int:
    return httpx2.post(f"{ecs.address}/_ecs/{action}", json=body).status_code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cluster": "prod"}, "ClusterNotFoundException"),
        ({"service": "nope"}, "ServiceNotFoundException"),
        ({"taskDefinition": "other:9"}, "ClientException"),
        ({"desiredCount": -1}, "InvalidParameterException"),
        ({"enableExecuteCommand": True}, "UnsupportedFeatureException"),
        ({"deploymentConfiguration": {"canaryConfiguration": {"canaryPercent": 0.0}}}, "InvalidParameterException"),
        ({"deploymentConfiguration": {"linearConfiguration": {"stepPercent": 2.0}}}, "InvalidParameterException"),
        ({"deploymentConfiguration": {"bakeTimeInMinutes": 9999}}, "InvalidParameterException"),
        (
            {"deploymentConfiguration": {"lifecycleHooks": [{**LAMBDA, "lifecycleStages": ["PRE_SCALE_UP"]}]}},
            "UnsupportedFeatureException",
        ),
        (
            {
                "deploymentConfiguration": {
                    "lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"]}]
                }
            },
            "UnsupportedFeatureException",
        ),
    ],
)
def test_an_invalid_request_is_refused_and_changes_nothing(client: Any, changes: Mapping[str, Any], code: str) -> None:
    before = client.describe_services(cluster="dev", services=["order-api"])["services"]

    with pytest.raises(ClientError) as caught:
        client.update_service(**{**SERVICE, "forceNewDeployment": True, **changes})

    assert caught.value.response["Error"]["Code"] == code
    assert client.describe_services(cluster="dev", services=["order-api"])["services"] == before


def test_without_a_cluster_it_is_the_one_named_default(client: Any) -> None:
    with pytest.raises(client.exceptions.ClusterNotFoundException):
        client.list_service_deployments(service="order-api")


def test_an_unsupported_feature_is_an_error(ecs: SteppedEcs, client: Any) -> None:
    with pytest.raises(ClientError, match="UnknownOperation"):
        client.list_clusters()
    assert (
        httpx2.post(ecs.address, headers={"X-Amz-Target": "Other.List"}).json()["__type"] == "UnknownOperationException"
    )
    assert httpx2.post(ecs.address, content="Action=List").status_code == 404
    assert _post(ecs, "nope") == 404
    assert _post(ecs, "lag", calls=1, operations=["UpdateService"]) == 400
    assert _post(ecs, "throttle", operations=1) == 400


def test_a_request_that_does_not_fit_is_refused(ecs: SteppedEcs) -> None:
    headers = {"X-Amz-Target": f"{TARGET}.ListServiceDeployments"}
    for body in ({}, {"service": 1}, {"service": "order-api", "status": ["GREAT"]}):
        assert httpx2.post(ecs.address, headers=headers, json=body).json()["__type"] == "InvalidParameterException"
    assert httpx2.post(ecs.address, headers=headers, content="{").json()["__type"] == "SerializationException"


def test_throttled_calls_are_refused_as_often_as_asked(ecs: SteppedEcs) -> None:
    assert _post(ecs, "throttle", operation="DescribeServices", calls=2) == 200
    headers = {"X-Amz-Target": f"{TARGET}.DescribeServices"}
    answers = [
        httpx2.post(ecs.address, headers=headers, json={"cluster": "dev", "services": ["order-api"]}) for _ in range(3)
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 200]
    assert answers[0].json()["__type"] == "ThrottlingException"


def test_a_client_that_repeats_sees_no_throttling(ecs: SteppedEcs, client: Any) -> None:
    ecs.engine.faults.throttle("DescribeServices", 1)

    assert client.describe_services(cluster="dev", services=["order-api"])["services"][0]["status"] == "ACTIVE"


def test_each_reading_operation_lags_behind_a_change(ecs: SteppedEcs, client: Any) -> None:
    before = _deployments(client)
    ecs.lag(2)
    client.update_service(**SERVICE, forceNewDeployment=True)

    services = [client.describe_services(cluster="dev", services=["order-api"])["services"][0] for _ in range(3)]

    assert [_deployments(client) - before for _ in range(3)] == [0, 0, 1]
    assert ["currentServiceDeployment" in service for service in services] == [False, False, True]
    ecs.lag(0)


def test_one_operation_may_lag_alone(ecs: SteppedEcs, client: Any) -> None:
    assert _post(ecs, "lag", calls=1, operations=["ListServiceDeployments"]) == 200
    before = _deployments(client)
    client.update_service(**SERVICE, forceNewDeployment=True)

    assert "currentServiceDeployment" in client.describe_services(cluster="dev", services=["order-api"])["services"][0]
    assert [_deployments(client) - before for _ in range(2)] == [0, 1]
    ecs.lag(0)


def test_an_image_breaks_and_is_mended(ecs: SteppedEcs, client: Any) -> None:
    service = ecs.engine.state.services["dev", "order-processor"]
    live = service.live
    assert live is not None
    digest = live.digests[0]
    assert _post(ecs, "break-image", digest=digest, reason="exit code 1") == 200
    client.update_service(cluster="dev", service="order-processor", desiredCount=3)
    ecs.step(20)
    assert [task.status for task in service.tasks].count(TaskStatus.STOPPED) == 1
    assert service.events[-1].message.endswith(": exit code 1")

    assert _post(ecs, "mend-image", digest=digest) == 200
    ecs.step(60)

    assert service.running(live) == 3


def test_alarms_and_findings_are_set(ecs: SteppedEcs) -> None:
    alarm = "dev-queue-age"
    assert _post(ecs, "alarm", name=alarm, state="ALARM") == 200
    assert ecs.cloud.alarming([alarm]) == {alarm}

    assert _post(ecs, "findings", repository="order-api", digest="sha256:0", findings={}) == 400
