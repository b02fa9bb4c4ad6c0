"""The packages as users install them: each from its wheel, with its declared dependencies only.

`make check` installs them into `.local/alone` and runs this. devstack's environment runs the stack;
orderctl and the client reach it from their environments.
"""

import asyncio
import json
import os
import signal
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_SECONDS, eventually

ROOT = Path(__file__).parents[1]
ALONE = ROOT / ".local" / "alone"
MINISTACK = ROOT / "devtools" / "devstack" / "emulator" / ".venv" / "bin"

PLACES_AN_ORDER = """
import asyncio, sys
from order_client import OrderClient

async def main(address, token):
    async with OrderClient(address, token) as shop:
        placed = await shop.place_order({"TEA-GREEN-100": 1})
        print((await shop.wait_for_end(placed.id, timeout=60)).status)

asyncio.run(main(*sys.argv[1:]))
"""

LISTS_TABLES = """
import asyncio, sys
from aws_json_client import DYNAMODB, open_client

async def main(endpoint):
    async with open_client(DYNAMODB, region="eu-central-1", endpoint=endpoint) as dynamodb:
        print(*(await dynamodb.request("ListTables", {}))["TableNames"])

asyncio.run(main(*sys.argv[1:]))
"""

DEPLOYS = """
import time
from fake_ecs.running import running_ecs

with running_ecs(speed=1000) as ecs:
    client = ecs.client("ecs")
    client.update_service(cluster="dev", service="order-processor", forceNewDeployment=True)
    while ecs.engine.state.services["dev", "order-processor"].ongoing:
        time.sleep(0.01)
    newest = client.list_service_deployments(cluster="dev", service="order-processor")["serviceDeployments"][0]
    print(newest["status"], callable(client.continue_service_deployment))
    client.close()
"""


def environment_with(*folders: Path) -> dict[str, str]:
    path = os.pathsep.join([*map(str, folders), "/usr/bin", "/bin"])
    return {"PATH": path, "HOME": os.environ.get("HOME", "/"), "LOGNAME": "stranger"}


def run(
    package: str, *command: str, path: tuple[Path, ...] = (), variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program of a package's environment, outside of the checkout."""
    return subprocess.run(
        [ALONE / package / "bin" / command[0], *command[1:]],
        cwd="/",
        env=environment_with(*path) | dict(variables or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of a running stack."""
    state = tmp_path_factory.mktemp("stack")
    output = state / "output"
    with output.open("w") as file:
        command: list[str | Path] = [ALONE / "devstack" / "bin" / "orderctl", "local", "up", "--state", str(state)]
        process = subprocess.Popen(command, cwd="/", env=environment_with(MINISTACK), stdout=file, stderr=file)
    try:
        asyncio.run(eventually(lambda: (state / "stack.json").exists() or process.poll() is not None, "stack.json"))
        assert process.poll() is None, output.read_text()
        yield state
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0, output.read_text()
    finally:
        process.kill()
        process.wait()


def test_orderctl_has_no_verb_of_devstack() -> None:
    helped = run("orderctl", "orderctl", "--help")
    assert (helped.returncode, "deploy" in helped.stdout) == (0, True), helped.stdout
    refused = run("orderctl", "orderctl", "local", "up")
    assert (refused.returncode, "No such command 'local'" in refused.stdout) == (2, True), refused.stdout


def test_orderctl_places_an_order_and_watches_the_stack(stack: Path) -> None:
    where = ("--local", "--state", str(stack))
    who = ("--tenant", "acme", "--customer", "ada")
    posted = run(
        "orderctl",
        "orderctl",
        "orders",
        "post",
        "TEA-GREEN-100=1",
        "--key",
        "first",
        "--wait",
        "--output",
        "json",
        *where,
        *who,
    )
    assert posted.returncode == 0, posted.stdout
    assert json.loads(posted.stdout)["status"] == "confirmed"
    seen = run("orderctl", "orderctl", "top", "--once", "--output", "json", "--every", "0.5", *where)
    assert seen.returncode == 0, seen.stdout


def test_the_client_places_an_order(stack: Path) -> None:
    token = run(
        "devstack", "orderctl", "local", "token", "--tenant", "acme", "--customer", "ada", "--state", str(stack)
    ).stdout.strip()
    address = json.loads((stack / "stack.json").read_text())["api"]
    ended = run("order-client", "python", "-c", PLACES_AN_ORDER, address, token)
    assert (ended.returncode, ended.stdout) == (0, "confirmed\n"), ended.stdout


def test_the_aws_client_makes_a_signed_call(stack: Path) -> None:
    endpoint = json.loads((stack / "stack.json").read_text())["aws"]
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    listed = run("aws-json-client", "python", "-c", LISTS_TABLES, endpoint, variables=keys)
    assert listed.returncode == 0, listed.stdout
    assert "local-orders" in listed.stdout.split(), listed.stdout


def test_the_demo_of_devstack_ends_well(tmp_path: Path) -> None:
    demo = ("orderctl", "local", "demo", "--burst", "20", "--state", str(tmp_path))
    ended = run("devstack", *demo, path=(MINISTACK,))
    assert (ended.returncode, "20 of 20" in ended.stdout) == (0, True), ended.stdout


def test_without_the_embedded_aws_the_demo_says_what_to_install(tmp_path: Path) -> None:
    refused = run("devstack", "orderctl", "local", "demo", "--state", str(tmp_path))
    pinned = tomllib.loads((MINISTACK.parents[1] / "pyproject.toml").read_text())["project"]["dependencies"]
    assert refused.returncode == 1
    assert f"pipx install {pinned[0]}" in " ".join(refused.stdout.split()), refused.stdout


def test_the_fake_of_ecs_deploys() -> None:
    ended = run("fake-ecs", "python", "-c", DEPLOYS)
    assert (ended.returncode, ended.stdout.splitlines()[-1:]) == (0, ["SUCCESSFUL True"]), ended.stdout
