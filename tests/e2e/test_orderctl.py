"""`orderctl local`, run as a person runs it: what it says, and that nothing is ever left running."""

import json
import os
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from order_client import OrderClientError
from order_shared.naming import SERVICE_NAMES
from orderctl.main import app
from orderctl.profile import StackProfile
from tests.commands import ORDERCTL, orderctl
from tests.waiting import PATIENCE_SECONDS, eventually

IGNORING = ["bash", "-c", 'trap "" INT HUP; exec "$@"', "bash"]
"""Starts a command as `nohup … &` in a script does."""


@contextmanager
def started_up(state: Path, *options: str, by: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """`orderctl local up` on free ports, in a process of its own; killed at the end if it still runs."""
    process = subprocess.Popen(
        [*by, *ORDERCTL, "local", "up", "--state", str(state), "--ports", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


Described = dict[str, object]
PARTS_OF_DEMO = ("emulator", "payments")
PARTS = (*PARTS_OF_DEMO, "sqs-gate", "pages")


async def running(process: subprocess.Popen[str], state: Path) -> Described:
    """The content of `stack.json` once the last process is in it."""

    def is_complete() -> bool:
        return (state / "stack.json").exists() and "pages" in pids_of(read(state))

    await eventually(lambda: is_complete() or process.poll() is not None, "stack.json")
    assert process.poll() is None, process.communicate()[0]
    return read(state)


def read(state: Path) -> Described:
    described: Described = json.loads((state / "stack.json").read_text())
    return described


def pids_of(described: Described) -> dict[str, int]:
    pids = described["pids"]
    assert isinstance(pids, dict)
    assert {*SERVICE_NAMES, *PARTS_OF_DEMO} <= set(pids) <= {*SERVICE_NAMES, *PARTS}
    return pids


def is_gone(pid: int) -> bool:
    """Ended: not there, or a zombie that nobody has collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def nothing_left(pids: dict[str, int]) -> None:
    await eventually(lambda: all(map(is_gone, pids.values())), "the end of every process")


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = orderctl("local", "up", "--state", str(tmp_path), "--ports", str(port))
    assert answer.returncode == 1
    assert str(port) in answer.stdout
    assert "PORTS=18000" in answer.stdout


async def test_ctrl_c_ends_it_and_everything_with_it(tmp_path: Path) -> None:
    with started_up(tmp_path) as process:
        described = await running(process, tmp_path)
        services = described["services"]
        assert isinstance(services, dict)
        assert tuple(services) == SERVICE_NAMES
        for address in services.values():
            assert get(f"{address}/readyz").status_code == 200
        for path in ("start", "lab"):
            assert get(f"{described['pages']}/pages/{path}").status_code == 200
        await ends_well(process, signal.SIGINT, described, tmp_path)


async def ends_well(process: subprocess.Popen[str], by: signal.Signals, described: Described, state: Path) -> str:
    """End it by the signal, check that nothing is left, and return what it printed."""
    process.send_signal(by)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, output
    assert str(described["api"]) in output
    await nothing_left(pids_of(described))
    assert not (state / "stack.json").exists()
    assert "the data is kept in" in output
    return output


async def test_killing_it_leaves_nothing_running(tmp_path: Path) -> None:
    with started_up(tmp_path) as process:
        described = await running(process, tmp_path)
        process.kill()
        process.wait()
        await nothing_left(pids_of(described))


async def test_a_killed_child_is_back_and_orders_outlive_a_stop(tmp_path: Path) -> None:
    with started_up(tmp_path) as process:
        described = await running(process, tmp_path)
        pids = pids_of(described)
        for name in ("order-processor", "payments"):
            os.kill(pids[name], signal.SIGKILL)
        await eventually(
            lambda: (
                {name: pid for name, pid in pids_of(read(tmp_path)).items() if pids[name] != pid}.keys()
                == {"order-processor", "payments"}
            ),
            "both children",
        )
        order = await paid_order(tmp_path)
        output = await ends_well(process, signal.SIGTERM, described, tmp_path)
        assert "order-processor was killed by SIGKILL; starting it again" in output
    with started_up(tmp_path) as process:
        described = await running(process, tmp_path)
        async with StackProfile.at(tmp_path).client("acme", "ada") as shop:
            assert (await shop.get_order(order)).status == "confirmed"
            events = {event.type async for page in shop.event_pages() for event in page.items}
        assert {"order.placed.v1", "order.charged.v1", "order.confirmed.v1"} <= events
        os.kill(pids_of(described)["emulator"], signal.SIGKILL)
        await eventually(lambda: pids_of(read(tmp_path)) != pids_of(described), "the emulator")
        await paid_order(tmp_path)
        output = await ends_well(process, signal.SIGTERM, described, tmp_path)
    assert "emulator was killed by SIGKILL" in output
    assert "all orders, messages and events since" in output


async def paid_order(state: Path) -> str:
    """Place an order, which is confirmed as soon as every child is there; return its id."""
    async with StackProfile.at(state).client("acme", "ada") as shop:
        key = uuid.uuid4().hex

        async def placed() -> bool:
            try:
                order = await shop.place_order({"TEA-GREEN-100": 1}, payment_token="pm_card_visa", idempotency_key=key)
            except OrderClientError:  # the tables are being made
                return False
            ids.append(order.id)
            return True

        ids: list[str] = []
        await eventually(placed, "the order", pause=0.2)
        order = await shop.wait_for_end(ids[-1], timeout=PATIENCE_SECONDS)
    assert order.status == "confirmed"
    return order.id


async def test_beside_a_running_stack_that_outlives_its_terminal(tmp_path: Path) -> None:
    """Started with SIGINT and SIGHUP ignored, it goes on when they come; SIGTERM ends it, and its children too."""
    with started_up(tmp_path, by=IGNORING) as process:
        described = await running(process, tmp_path)
        for ignored in (signal.SIGINT, signal.SIGHUP):
            process.send_signal(ignored)

        second = orderctl("local", "up", "--state", str(tmp_path))
        assert second.returncode == 1
        assert "already running" in second.stdout

        again = orderctl("local", "seed", "--state", str(tmp_path))
        assert again.returncode == 0, again.stdout
        assert "0 products loaded" in again.stdout
        for tenant, sku, stock in (("acme", "TEA-PUERH-357", 40), ("globex", "LEVEL-60", 130)):
            token = orderctl("local", "token", "--tenant", tenant, "--customer", "ada", "--state", str(tmp_path))
            headers = {"Authorization": f"Bearer {token.stdout.strip()}"}
            product = get(f"{described['api']}/v1/products/{sku}", headers).json()
            assert product["available"] == stock
        await ends_well(process, signal.SIGTERM, described, tmp_path)


def test_seeding_without_a_stack_says_what_to_do(tmp_path: Path) -> None:
    answer = orderctl("local", "seed", "--state", str(tmp_path))
    assert answer.returncode == 1
    assert "orderctl local up" in answer.stdout


def test_the_demo_ends_well_and_leaves_nothing_behind(tmp_path: Path) -> None:
    answer = orderctl("local", "demo", "--burst", "40", "--state", str(tmp_path))
    assert answer.returncode == 0, answer.stdout
    for expected in ("confirmed", "rejected", "out_of_stock", "40 of 40", "p99"):
        assert expected in answer.stdout
    assert list(tmp_path.iterdir()) == []


async def test_a_child_that_dies_during_the_demo_is_reported(tmp_path: Path) -> None:
    command = [*ORDERCTL, "local", "demo", "--state", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        await eventually(lambda: any(tmp_path.glob("demo-*/stack.json")), "the start of the demo")
        (published,) = tmp_path.glob("demo-*/stack.json")
        pids = pids_of(json.loads(published.read_text()))
        os.kill(pids["order-processor"], signal.SIGKILL)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert "order-processor ended with exit code -9" in output
    assert "Traceback" not in output
    await nothing_left(pids)


def test_help_teaches() -> None:
    answer = orderctl("--help")
    assert (answer.returncode, "Usage" in answer.stdout) == (0, True)


VERBS = (
    *("local", "local up", "local demo", "local seed", "local token"),
    *("orders", "orders post", "orders get", "orders list", "orders cancel", "orders watch"),
    *("orders show", "orders retry", "orders reject"),
)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_teaches(verb: str) -> None:
    answer = CliRunner().invoke(app, [*verb.split(), "--help"])
    assert (answer.exit_code, "Usage" in answer.output) == (0, True)


def get(url: str, headers: dict[str, str] | None = None) -> httpx2.Response:
    return httpx2.get(url, headers=headers)
