"""`orderctl local demo-deploy` and `orderctl local ecs`, run as a person runs them."""

import os
import signal
import subprocess
from pathlib import Path

from tests.commands import ORDERCTL, orderctl
from tests.waiting import eventually


def test_the_demo_of_deployments_ends_well_and_leaves_nothing_behind(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*ORDERCTL, "local", "demo-deploy", "--state", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    told = iter(ended.stdout.splitlines())
    for expected in (
        "$ orderctl status order-processor",
        "runs no task",
        "$ orderctl deploy order-processor",
        "SKIP tasks: 0 of 2 running",
        "successful",
        "$ orderctl deploy order-processor",
        "failed its health checks",
        "rollback successful",
        "live-dev points to sha256:",
        "$ orderctl deploy order-api",
        "scale up",
        "paused, waiting for approval",
        "OK   release: 5d6e7f8",
        "placed, replayed and read",
        "green 2 of 2, 5 % of the traffic",
        "bake time",
        "successful",
        "$ orderctl deploy order-api",
        "FAIL reachable",
        "live-dev points to sha256:",
        "$ orderctl deploy order-api",
        "alarms: dev-api-errors",
        "live-dev points to sha256:",
        "$ orderctl status order-processor",
        "drift         none",
        "$ orderctl status order-api",
        "drift         none",
        "Results of the deployments",
        "repair",
        "unhealthy",
        "rolled back",
        "All checks passed",
    ):
        assert any(expected in line for line in told), f"{expected} is not told, or not in its turn:\n{ended.stdout}"
    assert list(tmp_path.iterdir()) == []


async def test_the_fake_is_there_until_ctrl_c(tmp_path: Path) -> None:
    """What it prints is what another terminal needs."""
    output = tmp_path / "output"
    with output.open("w") as file:
        serving = subprocess.Popen(
            [*ORDERCTL, "local", "ecs", "--state", str(tmp_path / "state"), "--speed", "600"], stdout=file
        )
    try:
        await eventually(lambda: "Ctrl-C stops it" in output.read_text() or serving.poll() is not None, "the variables")
        lines = [line.removeprefix("export ") for line in output.read_text().splitlines() if line.startswith("export ")]
        environment = {**os.environ, **dict(line.split("=", 1) for line in lines)}
        environment["ORDER_DEPLOY_LOOK_SECONDS"] = "0.05"
        deployed = orderctl("deploy", "order-processor", "--env", "dev", "--tag", "sha-5d6e7f8", environ=environment)
        assert deployed.returncode == 0, deployed.stdout
        serving.send_signal(signal.SIGINT)
        assert serving.wait(30) == 0
        assert "everything has been shut down" in output.read_text()
    finally:
        serving.kill()
        serving.wait()
