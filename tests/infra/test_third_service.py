"""A third service is its folder, one row in the table of services, and its stack. Everything else follows from the row.

The test adds a trivial worker to a copy of the sources.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.infra.synthesis import PYTHON, ROOT

ROW = """
ORDER_PING = Service(name="order-ping", module="order_ping", kind=ServiceKind.WORKER, port=8082)
SERVICES = (ORDER_API, ORDER_PROCESSOR, ORDER_PING)
"""

STACK = '''
"""The workspace of order-ping."""

from cdktn import App
from cdktn_provider_aws.ecs_service import EcsServiceDeploymentConfiguration

from infra.constructs.service_groups import service_security_group
from infra.constructs.task import Container, Task
from infra.environments import Environment
from infra.services.service import run_service
from infra.services.workspace import ServiceWorkspace
from order_shared.naming import ORDER_PING


class OrderPing(ServiceWorkspace):
    def __init__(self, app: App, environment: Environment, region: str) -> None:
        super().__init__(app, ORDER_PING, environment, region)
        container = Container(
            service=ORDER_PING.name,
            image=self.image,
            port=ORDER_PING.port,
            size=environment.processor,
            settings=self.settings(),
            secrets={},
            stop_timeout=30,
            log_group_name=self.data.log_group_names[ORDER_PING.name],
            log_group_arn=self.data.log_group_arns[ORDER_PING.name],
            repository_arn=self.images.repository_arns[ORDER_PING.name],
        )
        run_service(
            self,
            Task(self, environment, container, self.platform.data_key_arn),
            group=service_security_group(self, environment, self.platform, service=ORDER_PING.name, port=None),
            minimum=1,
            maximum=2,
            deployment=EcsServiceDeploymentConfiguration(strategy="ROLLING", bake_time_in_minutes="5"),
            alarm_names=[self.data.dead_letters_alarm_name],
        )
'''

WORKER = "from order_shared.naming import ORDER_PING\n\nprint(ORDER_PING.name)\n"

Resources = Mapping[str, Mapping[str, Any]]


class Copy:
    """A copy of the sources with the third service, and what they make of it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        for folder in ("infra", "shared/src"):
            shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
        table = root / "shared/src/order_shared/naming.py"
        text = table.read_text(encoding="utf-8")
        row = "SERVICES = (ORDER_API, ORDER_PROCESSOR)\n"
        assert row in text
        table.write_text(text.replace(row, ROW), encoding="utf-8")
        (root / "infra/services/order_ping.py").write_text(STACK, encoding="utf-8")
        worker = root / "services/order-ping/src/order_ping"
        worker.mkdir(parents=True)
        (worker / "__main__.py").write_text(WORKER, encoding="utf-8")

    def run(self, python: Path, *arguments: str) -> str:
        paths = (self._root, self._root / "shared/src", self._root / "services/order-ping/src")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
        command = [str(python), *arguments]
        done = subprocess.run(command, cwd=self._root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def synthesize(self, app: str) -> dict[str, Resources]:
        """Return the resources of each stack of dev, by the stack's name."""
        out = self._root / "out" / app
        self.run(PYTHON, "-m", f"infra.{app}.main", "--env", "dev", "--out", str(out))
        return {
            path.parent.name: json.loads(path.read_text(encoding="utf-8"))["resource"]
            for path in out.glob("stacks/*/cdk.tf.json")
        }


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("third"))


@pytest.fixture(scope="module")
def supporting(copy: Copy) -> dict[str, Resources]:
    return copy.synthesize("supporting")


def test_it_has_a_repository_and_a_log_group(supporting: dict[str, Resources]) -> None:
    registry, platform = (supporting[f"{kind}-eu-central-1"] for kind in ("registry", "supporting"))
    assert registry["aws_ecr_repository"]["order_ping_repository"]["name"] == "order-ping"
    assert "order_ping_logs" in platform["aws_cloudwatch_log_group"]


def test_it_is_on_the_dashboard(supporting: dict[str, Resources]) -> None:
    (dashboard,) = supporting["supporting-eu-central-1"]["aws_cloudwatch_dashboard"].values()
    assert '"order-ping"' in dashboard["dashboard_body"]


def test_it_has_a_stack_of_its_own(copy: Copy) -> None:
    stacks = copy.synthesize("services")
    assert stacks.keys() == {f"{name}-eu-central-1" for name in ("order-api", "order-processor", "order-ping")}
    (service,) = stacks["order-ping-eu-central-1"]["aws_ecs_service"].values()
    assert service["name"] == "order-ping"
    (task,) = stacks["order-ping-eu-central-1"]["aws_ecs_task_definition"].values()
    (container,) = json.loads(task["container_definitions"])
    assert container["image"].endswith("outputs.order_ping_repository_url}:live-dev")


def test_operators_deploy_it_before_what_writes_its_messages(copy: Copy) -> None:
    python = Path(sys.executable)
    assert copy.run(python, "-m", "order_shared.naming").split() == ["order-processor", "order-ping", "order-api"]
    names = copy.run(python, "-c", "from orderctl.deploy.service_ref import SERVICES; print(*SERVICES)")
    assert names.split() == ["order-api", "order-processor", "order-ping"]


def test_it_runs(copy: Copy) -> None:
    assert copy.run(Path(sys.executable), "-m", "order_ping") == "order-ping\n"
