"""`orderctl local`, run as a person runs it: what it says, and that nothing is ever left running."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from order_shared.adapters import open_adapters
from order_shared.order.models import Customer
from order_shared.telemetry import Metrics
from orderctl.local.stack import Stack, published, running_infrastructure
from orderctl.main import app
from tests.e2e.conftest import Shop, open_shop
from tests.waiting import eventually

ORDERCTL = [sys.executable, "-m", "orderctl.main"]


@contextmanager
def started_up(state: Path) -> Iterator[subprocess.Popen[str]]:
    """`orderctl local up` in a process of its own; killed at the end if it still runs."""
    process = subprocess.Popen(
        [*ORDERCTL, "local", "up", "--state", str(state)],
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


async def running(process: subprocess.Popen[str], state: Path) -> dict[str, object]:
    """The content of `stack.json` once it is there."""
    await eventually(lambda: (state / "stack.json").exists() or process.poll() is not None, "stack.json")
    assert process.poll() is None, process.communicate()[0]
    described: dict[str, object] = json.loads((state / "stack.json").read_text())
    return described


def pids_of(described: dict[str, object]) -> dict[str, int]:
    pids = described["pids"]
    assert isinstance(pids, dict)
    assert set(pids) == {"order-api", "order-processor", "emulator", "payments"}
    return pids


def is_gone(pid: int) -> bool:
    """Ended: not there, or a zombie that nobody has collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def nothing_left(pids: dict[str, int]) -> None:
    await eventually(lambda: all(map(is_gone, pids.values())), "the end of every process")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_and_everything_with_it(tmp_path: Path, sign: signal.Signals) -> None:
    with started_up(tmp_path) as process:
        described = await running(process, tmp_path)
        for name in ("api", "processor"):
            assert get(f"{described[name]}/readyz").status_code == 200
        process.send_signal(sign)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0, output
        assert str(described["api"]) in output
        await nothing_left(pids_of(described))
        assert not (tmp_path / "stack.json").exists()


async def test_a_port_that_is_taken_gives_way_to_a_free_one(tmp_path: Path) -> None:
    with contextlib.ExitStack() as taken:
        with contextlib.suppress(OSError):  # then somebody else has it, which is as good
            taken.enter_context(socket.create_server(("127.0.0.1", 8000)))
        process = taken.enter_context(started_up(tmp_path))
        described = await running(process, tmp_path)
        assert not str(described["api"]).endswith(":8000")
        assert get(f"{described['api']}/readyz").status_code == 200


async def test_killing_it_leaves_nothing_running(tmp_path: Path) -> None:
    with started_up(tmp_path) as process:
        described = await running(process, tmp_path)
        process.kill()
        process.wait()
        await nothing_left(pids_of(described))


@pytest.mark.parametrize("name", ["order-api", "emulator"])
async def test_a_child_that_dies_is_reported_and_ends_everything(tmp_path: Path, name: str) -> None:
    with started_up(tmp_path) as process:
        pids = pids_of(await running(process, tmp_path))
        os.kill(pids[name], signal.SIGKILL)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 1
        assert f"{name} ended with exit code -9" in output
        await nothing_left(pids)


async def test_beside_a_running_stack(tmp_path: Path) -> None:
    with started_up(tmp_path) as process:
        described = await running(process, tmp_path)

        second = orderctl("local", "up", "--state", str(tmp_path))
        assert second.returncode == 1
        assert "running already" in second.stdout

        again = orderctl("local", "seed", "--state", str(tmp_path))
        assert again.returncode == 0, again.stdout
        assert "0 products loaded" in again.stdout
        for tenant, sku, stock in (("acme", "TEA-PUERH-357", 40), ("globex", "LEVEL-60", 130)):
            token = orderctl("local", "token", "--tenant", tenant, "--customer", "ada", "--state", str(tmp_path))
            headers = {"Authorization": f"Bearer {token.stdout.strip()}"}
            product = get(f"{described['api']}/v1/products/{sku}", headers).json()
            assert product["available"] == stock


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
        output, _ = process.communicate(timeout=30)
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


def get(url: str, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.get(url, headers=headers)


def orderctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ORDERCTL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120
    )


async def test_an_operator_retries_a_parked_order(tmp_path: Path) -> None:
    with running_infrastructure(tmp_path) as stack:
        stack.start_payments()
        stack.start_api()
        async with open_shop(stack) as shop:
            await shop.stock("TEA", 5)
            order_id = (await shop.post()).json()["id"]
            await park(stack, Customer(shop.tenant, "ada"), order_id)
            with published(stack, tmp_path / "stack.json"):
                where = ("--local", "--state", str(tmp_path))
                listed = json.loads(orderctl("orders", "list", "--parked", "--json", *where).stdout)
                assert [(each["order"], each["parked_for"]) for each in listed] == [(order_id, "overdue")]
                decided = ("--tenant", shop.tenant, "--reason", "the bug is fixed", "--yes")
                retried = orderctl("orders", "retry", order_id, *decided, *where)
                assert retried.returncode == 0, retried.stdout
                shown = orderctl("orders", "show", order_id, "--tenant", shop.tenant, *where).stdout
                assert "the bug is fixed" in " ".join(shown.split())
                again = orderctl("orders", "retry", order_id, *decided, *where)
                assert (again.returncode, "is not parked" in again.stdout) == (1, True)
            stack.start_processor()
            assert (await shop.ended(order_id))["status"] == "confirmed"


async def park(stack: Stack, customer: Customer, order_id: str) -> None:
    async with open_adapters(stack.settings, Metrics(), deadline=10.0, session=stack.aio_session) as adapters:
        order = await adapters.orders.get(customer, order_id)
        await adapters.orders.move(order, order.park(order.created_at, "overdue"))


@pytest.fixture
def as_ada(stack: Stack, shop: Shop, tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """The options by which orderctl speaks to the running stack as a customer of the shop."""
    (tmp_path / "issuer.pem").symlink_to(stack.issuer_key)
    with published(stack, tmp_path / "stack.json"):
        yield ("--local", "--state", str(tmp_path), "--tenant", shop.tenant, "--customer", "ada")


async def test_a_customer_posts_follows_lists_and_cancels(shop: Shop, as_ada: tuple[str, ...]) -> None:
    await shop.stock("TEA", 5)
    posted = orderctl("orders", "post", "TEA=1", "TEA=1", "--reference", "PO-1", "--wait", "--json", *as_ada)
    assert posted.returncode == 0, posted.stdout
    order = json.loads(posted.stdout)
    assert (order["status"], order["lines"][0]["quantity"]) == ("confirmed", 2)

    watched = orderctl("orders", "watch", order["id"], *as_ada)
    assert [line.split()[-1] for line in watched.stdout.splitlines()] == ["pending", "confirmed"]

    listed = orderctl("orders", "list", "--q", "po-1", "--status", "confirmed", "--since", "1h", *as_ada)
    assert order["id"] in listed.stdout
    assert json.loads(orderctl("orders", "list", "--until", "2026-01-31", "--json", *as_ada).stdout) == []

    stale = orderctl("orders", "cancel", order["id"], "--version", "1", *as_ada)
    assert (stale.returncode, "version_mismatch" in stale.stdout) == (1, True)
    assert orderctl("orders", "cancel", order["id"], "--version", "2", *as_ada).returncode == 0
    await eventually(lambda: "cancelled" in orderctl("orders", "get", order["id"], *as_ada).stdout, pause=0.5)
    assert await shop.available("TEA") == 5


async def test_a_customer_may_repeat_an_order_under_its_key(shop: Shop, as_ada: tuple[str, ...]) -> None:
    await shop.stock("TEA", 5)
    answers = [orderctl("orders", "post", "TEA=1", "--key", "mine", *as_ada).stdout for _ in range(2)]
    assert ["placed before" in answer for answer in answers] == [False, True]
    assert len((await shop.http.get("/v1/orders", headers=shop.headers())).json()["items"]) == 1


async def test_an_order_that_is_rejected_is_told(shop: Shop, as_ada: tuple[str, ...]) -> None:
    await shop.stock("TEA", 5)
    answer = orderctl("orders", "post", "TEA=6", "--wait", *as_ada)
    assert (answer.returncode, "out_of_stock" in answer.stdout) == (1, True)


async def test_what_the_api_refuses_is_told(as_ada: tuple[str, ...]) -> None:
    answer = orderctl("orders", "post", "NO-SUCH-TEA=1", *as_ada)
    assert answer.returncode == 1
    assert answer.stdout.startswith("unknown_sku: ")
    assert "request id" in answer.stdout
    assert "Traceback" not in answer.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["post", "TEA"], 2, "SKU=QUANTITY"),
        (["post", "TEA=two"], 2, "SKU=QUANTITY"),
        (["list", "--since", "yesterday"], 2, "24h"),
        (["list", "--parked", "--q", "TEA"], 2, "--limit"),
        (["get", "ord_1", "--local"], 2, "--tenant"),
        (["get", "ord_1", "--tenant", "acme"], 2, "--local"),
        (["get", "ord_1"], 1, "ORDER_API_URL"),
    ],
)
def test_what_was_asked_for_wrongly_is_told(
    arguments: list[str], code: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORDER_API_URL", raising=False)
    answer = CliRunner().invoke(app, ["orders", *arguments])
    assert (answer.exit_code, told in answer.output) == (code, True), answer.output


def test_the_key_is_handed_over_when_the_outcome_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as stranger:  # 501 to whatever it is asked
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        monkeypatch.setenv("ORDER_API_URL", f"http://127.0.0.1:{stranger.server_port}")
        monkeypatch.setenv("ORDER_TOKEN", "token")
        answer = CliRunner().invoke(app, ["orders", "post", "TEA=1", "--key", "mine"])
        stranger.shutdown()
    assert answer.exit_code == 1
    assert "--key mine" in answer.output
