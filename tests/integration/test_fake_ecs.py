"""The fake as a process of its own, with real time; and ECS with the alarms of the embedded AWS."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from devstack.address import LOOPBACK
from devstack.emulator import start_emulator
from devstack.processes import ProcessGroup
from fake_ecs.model import Status
from fake_ecs.running import fake_session
from fake_ecs.seed import standard
from tests.ecs import open_ecs
from tests.waiting import eventually

API = "order-api"
SPEED = 300.0
READY_SECONDS = 30.0


@pytest.fixture(scope="module")
def cloudwatch_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ProcessGroup(tmp_path_factory.mktemp("emulator")) as group:
        yield start_emulator(group, services=["cloudwatch"])[1]


class Deployments:
    """One service's, by a boto3 client."""

    def __init__(self, ecs: Any) -> None:
        self._ecs = ecs

    def start(self) -> None:
        self._ecs.update_service(cluster="dev", service=API, forceNewDeployment=True)

    def newest(self) -> dict[str, Any]:
        listed = self._ecs.list_service_deployments(cluster="dev", service=API)["serviceDeployments"]
        arn = listed[0]["serviceDeploymentArn"]
        return dict(self._ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0])

    async def pause(self) -> None:
        await eventually(lambda: _waits(self.newest()), "the pause")

    def proceed(self) -> None:
        view = self.newest()
        hook = view["lifecycleHookDetails"][0]["hookId"]
        self._ecs.continue_service_deployment(serviceDeploymentArn=view["serviceDeploymentArn"], hookId=hook)

    async def end(self) -> str:
        await eventually(lambda: Status(self.newest()["status"]).is_finished, "the end of the deployment")
        return str(self.newest()["status"])


def _waits(view: Mapping[str, Any]) -> bool:
    return any(hook["status"] == "AWAITING_ACTION" for hook in view["lifecycleHookDetails"])


async def test_a_process_of_its_own_deploys_in_seconds(tmp_path: Path) -> None:
    session: Any = fake_session()
    with ProcessGroup(tmp_path) as group:
        command = [sys.executable, "-m", "fake_ecs", "--speed", str(SPEED)]
        child = group.start("ecs", command, dict(os.environ))
        child.wait_until(lambda: child.listening_port() is not None, "listening", READY_SECONDS)
        address = f"http://{LOOPBACK}:{child.listening_port()}"
        client = session.client("ecs", endpoint_url=address)
        deployments = Deployments(client)

        deployments.start()
        await deployments.pause()
        deployments.proceed()

        assert await deployments.end() == "SUCCESSFUL"
        assert httpx2.post(f"{address}/_ecs/throttle", json={"operation": "DescribeServices", "calls": 1}).is_success
        client.close()
        assert child.stop() == 0


async def test_the_alarms_may_be_elsewhere(cloudwatch_endpoint: str) -> None:
    async with open_ecs(standard(bake_minutes=1440), speed=SPEED, elsewhere={"cloudwatch": cloudwatch_endpoint}) as ecs:
        client = ecs.client("ecs")
        deployments = Deployments(client)
        deployments.start()
        await deployments.pause()
        deployments.proceed()
        await eventually(lambda: deployments.newest()["lifecycleStage"] == "BAKE_TIME", "the bake")

        ecs.set_alarm("dev-api-errors", "ALARM")

        assert await deployments.end() == "ROLLBACK_SUCCESSFUL"
        assert deployments.newest()["alarms"]["triggeredAlarmNames"] == ["dev-api-errors"]
        client.close()


async def test_it_ends_with_its_block_whatever_happens() -> None:
    addresses: list[str] = []

    async def fail() -> None:
        async with open_ecs() as ecs:
            addresses.append(ecs.address)
            raise RuntimeError("of the test")

    with pytest.raises(RuntimeError, match="of the test"):
        await fail()

    with pytest.raises(httpx2.ConnectError):
        httpx2.get(addresses[0])
