"""A further service is its folder, one row in the table of services, and three other files. Everything else follows.

The test adds a trivial worker to a copy of the sources.
"""

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from devstack.emulator import IN_CHECKOUT as EMULATOR
from devtools.services import PARTS
from order_shared.naming import SERVICES
from tests.infra.synthesis import PYTHON, ROOT
from tests.suite.test_service_table import unnamed

NAME, MODULE = "order-ping", "order_ping"
FOLDER = "services/order-ping"
TABLE = "shared/src/order_shared/naming.py"
OTHER_FILES = {"infra/services/order_ping.py", "pyproject.toml", "devtools/devstack/pyproject.toml"}
COPIED = (".github", "devtools", "infra", "observability", "shared/src", "Makefile", "compose.yaml", "pyproject.toml")
LEFT_OUT = (".venv", "__pycache__", "*.egg-info")

ROW = """
ORDER_PING = Service(name="order-ping", module="order_ping", kind=ServiceKind.WORKER, port=8083, local_port=8085)
SERVICES = (ORDER_API, ORDER_PROCESSOR, ORDER_NOTIFIER, ORDER_PING)
"""

STACK = '''
"""The workspace of order-ping."""

from cdktn import App
from cdktn_provider_aws.ecs_service import EcsServiceDeploymentConfiguration

from infra.environments import Environment
from infra.services.service import run_service
from infra.services.workspace import ServiceWorkspace
from order_shared.naming import ORDER_PING


class OrderPing(ServiceWorkspace):
    def __init__(self, app: App, environment: Environment, region: str) -> None:
        super().__init__(app, ORDER_PING, environment, region)
        run_service(
            self,
            self.task(size=environment.processor, settings={}, secrets={}, stop_timeout=30),
            minimum=1,
            maximum=2,
            deployment=EcsServiceDeploymentConfiguration(strategy="ROLLING", bake_time_in_minutes="5"),
            alarm_names=self.data.processor_rollback_alarm_names,
        )
'''

WORKER = '''
"""A worker that only answers health checks."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from order_shared.naming import ORDER_PING


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


with ThreadingHTTPServer((os.environ["ORDER_HOST"], int(os.environ["ORDER_PORT"])), Health) as server:
    print(json.dumps({"event": "listening", "service": ORDER_PING.name, "port": server.server_port}), flush=True)
    server.serve_forever()
'''

LOCAL_STACK = """
import json, sys
from pathlib import Path
from urllib.request import urlopen
from devstack.stack import running_stack
with running_stack(Path(sys.argv[1])) as stack:
    print(json.dumps({name: urlopen(f"{url}/readyz").status for name, url in stack.services.items()}))
"""

Resources = Mapping[str, Mapping[str, Any]]


class Copy:
    """A copy of the sources with the third service, and what they make of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for each in COPIED:
            if (ROOT / each).is_dir():
                shutil.copytree(ROOT / each, root / each, ignore=shutil.ignore_patterns(*LEFT_OUT))
            else:
                shutil.copy(ROOT / each, root / each)
        self._add_by_hand()
        self.run(Path(sys.executable), "-m", "devtools.services")

    def _add_by_hand(self) -> None:
        worker = self.root / FOLDER / "src" / MODULE / "__main__.py"
        worker.parent.mkdir(parents=True)
        worker.write_text(WORKER, encoding="utf-8")
        (self.root / "infra/services/order_ping.py").write_text(STACK, encoding="utf-8")
        self._replace(TABLE, r"SERVICES = \(ORDER_API, ORDER_PROCESSOR, ORDER_NOTIFIER\)\n", ROW)
        self._replace("pyproject.toml", r'(?<!containers = \[)"order_processor"', f'"order_processor", "{MODULE}"')
        self._replace("pyproject.toml", r"\| order_processor \|", f"| order_processor | {MODULE} |")
        devstack = "devtools/devstack/pyproject.toml"
        self._replace(devstack, r'    "order-processor",\n', f'    "order-processor",\n    "{NAME}",\n')
        self._replace(devstack, "(order-processor)( = .*\n)", rf"\1\2{NAME}\2")

    def _replace(self, path: str, pattern: str, replacement: str) -> None:
        text, count = re.subn(pattern, replacement, self.read(path))
        assert count, f"{path}: {pattern}"
        (self.root / path).write_text(text, encoding="utf-8")

    def read(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    def changed(self) -> Iterator[str]:
        """Yield each file that is new, or other than in the checkout, by its path."""
        for path in self.root.rglob("*"):
            name = path.relative_to(self.root).as_posix()
            if path.is_file() and "__pycache__" not in name and not name.startswith("out/"):
                original = ROOT / name
                if not original.exists() or not filecmp.cmp(original, path, shallow=False):
                    yield name

    def run(self, python: Path, *arguments: str) -> str:
        sources = ("", "shared/src", "devtools/devstack/src", f"{FOLDER}/src")
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(self.root / each) for each in sources),
            "PATH": f"{EMULATOR}{os.pathsep}{os.environ['PATH']}",
        }
        command = [str(python), *arguments]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def synthesize(self, app: str) -> dict[str, Resources]:
        """Return the resources of each stack of dev, by the stack's name."""
        out = self.root / "out" / app
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
    assert stacks.keys() == {
        f"{name}-eu-central-1" for name in ("order-api", "order-processor", "order-notifier", "order-ping")
    }
    (service,) = stacks["order-ping-eu-central-1"]["aws_ecs_service"].values()
    assert service["name"] == "order-ping"
    (task,) = stacks["order-ping-eu-central-1"]["aws_ecs_task_definition"].values()
    (container,) = json.loads(task["container_definitions"])
    assert container["image"].endswith("outputs.order_ping_repository_url}:live-dev")


def test_operators_deploy_it_before_what_writes_its_messages(copy: Copy) -> None:
    python = Path(sys.executable)
    assert copy.run(python, "-m", "order_shared.naming").split() == [
        "order-processor",
        "order-notifier",
        "order-ping",
        "order-api",
    ]
    names = copy.run(python, "-c", "from order_operations.deployments.service_ref import SERVICES; print(*SERVICES)")
    assert names.split() == ["order-api", "order-processor", "order-notifier", "order-ping"]


def test_beside_its_folder_and_its_row_three_files_are_written_by_hand(copy: Copy) -> None:
    changed = {name for name in copy.changed() if not name.startswith(f"{FOLDER}/")}
    assert changed - PARTS.keys() - {TABLE} == OTHER_FILES - PARTS.keys()
    assert changed == {TABLE, *OTHER_FILES, *PARTS}
    assert len(OTHER_FILES) <= 3
    assert unnamed(copy.root, [*(service.module for service in SERVICES), MODULE]) == []


def test_it_starts_in_the_local_stack(copy: Copy, tmp_path: Path) -> None:
    answers = json.loads(copy.run(Path(sys.executable), "-c", LOCAL_STACK, str(tmp_path)))
    assert answers == {"order-api": 200, "order-processor": 200, "order-notifier": 200, NAME: 200}


def test_it_starts_in_containers(copy: Copy) -> None:
    services = yaml.safe_load(copy.read("compose.yaml"))["services"]
    assert services[NAME]["command"][-3:] == [NAME, "shared/src", f"{FOLDER}/src"]
    assert services[NAME]["ports"] == ["127.0.0.1:8085:8083"]
    assert services[NAME]["depends_on"] == services["order-processor"]["depends_on"]
    assert services["prometheus"]["depends_on"][NAME] == {"condition": "service_healthy"}
    assert f"./{FOLDER}/src:/src/{FOLDER}/src:ro" in services[NAME]["volumes"]
    assert f"COPY {FOLDER}/pyproject.toml {FOLDER}/\n" in copy.read("devtools/devstack/Dockerfile")


def test_prometheus_asks_it_and_the_dashboard_of_deployments_shows_every_job(copy: Copy) -> None:
    jobs = yaml.safe_load(copy.read("observability/prometheus/prometheus.yml"))["scrape_configs"]
    assert {"job_name": NAME, "static_configs": [{"targets": [f"{NAME}:8083"]}]} in jobs
    panels = json.loads(copy.read("observability/grafana/dashboards/deployment.json"))["panels"]
    shown = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    assert "sum by (job) (up)" in shown


def test_ci_scans_its_image_and_ships_it_before_the_api(copy: Copy) -> None:
    check = yaml.safe_load(copy.read(".github/workflows/check.yml"))
    assert NAME in check["jobs"]["images"]["strategy"]["matrix"]["service"]
    steps = yaml.safe_load(copy.read(".github/workflows/environment.yml"))["jobs"]["images"]["steps"]
    ships = [step["env"]["SERVICES"] for step in steps if step.get("run") == "make ship"]
    assert ships == ["order-processor", "order-notifier", NAME, "order-api"]


def test_make_builds_it(copy: Copy) -> None:
    command = ["make", "--just-print", "images", f"PYTHON={sys.executable}"]
    printed = subprocess.run(command, cwd=copy.root, capture_output=True, text=True, check=True).stdout
    assert re.search(rf"for service in order-processor order-notifier {NAME} order-api;", printed)
