"""`orderctl orders`: what customers and operators see and do, on a running stack."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devstack.stack import Stack, published, running_infrastructure
from order_shared.domain.order.models import Customer
from order_shared.naming import ORDER_API, ORDER_PROCESSOR
from order_shared.runtime.adapters import open_adapters
from order_shared.runtime.metrics import Metrics
from orderctl.main import app
from tests.commands import orderctl
from tests.e2e.conftest import Shop, open_shop
from tests.waiting import eventually


async def test_an_operator_retries_a_parked_order(tmp_path: Path) -> None:
    with running_infrastructure(tmp_path) as stack:
        stack.start_payments()
        stack.start(ORDER_API)
        async with open_shop(stack) as shop:
            await shop.stock("TEA", 5)
            order_id = (await shop.post(metadata={"cart": "c-1"})).json()["id"]
            await park(stack, Customer(tenant=shop.tenant, id="ada"), order_id)
            with published(stack, tmp_path / "stack.json"):
                where = ("--local", "--state", str(tmp_path))
                listed = json.loads(orderctl("orders", "list", "--parked", "--output", "json", *where).stdout)
                assert [(each["order"], each["parked_for"], each["last_error"]) for each in listed] == [
                    (order_id, "overdue", "ZeroDivisionError")
                ]
                assert order_id in orderctl("orders", "list", "--parked", *where).stdout
                decided = ("--tenant", shop.tenant, "--reason", "the bug is fixed", "--yes")
                retried = orderctl("orders", "retry", order_id, *decided, *where)
                assert retried.returncode == 0, retried.stdout
                shown = orderctl("orders", "show", order_id, "--tenant", shop.tenant, *where).stdout
                for text in ("the bug is fixed", "ZeroDivisionError: a bug", "cart=c-1", " placed"):
                    assert text in " ".join(shown.split())
                again = orderctl("orders", "retry", order_id, *decided, *where)
                assert (again.returncode, "is not parked" in again.stdout) == (1, True)
            stack.start(ORDER_PROCESSOR)
            assert (await shop.ended(order_id))["status"] == "confirmed"


async def park(stack: Stack, customer: Customer, order_id: str) -> None:
    async with open_adapters(stack.settings, Metrics(), deadline=10.0, credentials=stack.credentials) as adapters:
        order = await adapters.orders.get(customer, order_id)
        failed = order.failed(order.created_at, ZeroDivisionError("a bug"))
        await adapters.orders.move(order, failed.park(order.created_at, "overdue"))


@pytest.fixture
def as_ada(stack: Stack, shop: Shop, tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """The options by which orderctl speaks to the running stack as a customer of the shop."""
    with published(stack, tmp_path / "stack.json"):
        yield ("--local", "--state", str(tmp_path), "--tenant", shop.tenant, "--customer", "ada")


async def test_a_customer_posts_follows_lists_and_cancels(shop: Shop, as_ada: tuple[str, ...]) -> None:
    await shop.stock("TEA", 5)
    posted = orderctl(
        "orders",
        "post",
        "TEA=1",
        "TEA=1",
        "--key",
        "first",
        "--reference",
        "PO-1",
        "--wait",
        "--output",
        "json",
        *as_ada,
    )
    assert posted.returncode == 0, posted.stdout
    order = json.loads(posted.stdout)
    assert (order["status"], order["lines"][0]["quantity"]) == ("confirmed", 2)

    watched = orderctl("orders", "watch", order["id"], *as_ada)
    assert [line.split()[-1] for line in watched.stdout.splitlines()] == ["pending", "confirmed"]

    listed = orderctl("orders", "list", "--q", "po-1", "--status", "confirmed", "--since", "1h", *as_ada)
    assert order["id"] in listed.stdout
    assert json.loads(orderctl("orders", "list", "--until", "2026-01-31", "--output", "json", *as_ada).stdout) == []

    stale = orderctl("orders", "cancel", order["id"], "--version", "1", *as_ada)
    assert (stale.returncode, "version_mismatch" in stale.stdout) == (1, True)
    assert orderctl("orders", "cancel", order["id"], "--version", "2", *as_ada).returncode == 0
    await eventually(lambda: "cancelled" in orderctl("orders", "get", order["id"], *as_ada).stdout)
    assert await shop.available("TEA") == 5


async def test_a_customer_sees_their_metadata_and_payment(shop: Shop, as_ada: tuple[str, ...]) -> None:
    await shop.stock("TEA", 5)
    own_data = ("--metadata", "cart=c-4711", "--metadata", "note=a=b")
    pay = ("--pay", "pm_card_visa", "--wait")
    posted = " ".join(orderctl("orders", "post", "TEA=1", *own_data, *pay, *as_ada).stdout.split())
    for text in (
        "metadata cart=c-4711",
        "metadata note=a=b",
        "payment captured (captured 5.90 EUR, refunded 0.00 EUR)",
    ):
        assert text in posted
    (order,) = json.loads(orderctl("orders", "list", "--output", "json", *as_ada).stdout)
    assert order["metadata"] == {"cart": "c-4711", "note": "a=b"}
    assert order["payment"]["status"] == "captured"
    refused = orderctl("orders", "post", "TEA=1", "--metadata", "the cart=c-1", *as_ada)
    assert (refused.returncode, "a key of metadata has 1 to 40 letters" in refused.stdout) == (1, True)


async def test_an_operator_lists_the_orders_of_all_customers(shop: Shop, as_ada: tuple[str, ...]) -> None:
    await shop.stock("TEA", 5)
    posted: dict[str, str] = {}
    for customer, reference in (("ada", "PO-1"), ("b ro/\x1b[31m", "PO-2")):
        token = shop.headers(customer)
        body = {"lines": [{"sku": "TEA", "quantity": 1}], "reference": reference}
        answer = await shop.http.post("/v1/orders", json=body, headers={**token, "Idempotency-Key": reference})
        posted[reference] = answer.json()["id"]
    where = as_ada[:-2]
    by_reference: dict[str, str] = {}

    def listed(*options: str) -> list[str]:
        answer = orderctl("orders", "list", "--output", "json", *options, *where)
        assert answer.returncode == 0, answer.stdout
        found = json.loads(answer.stdout.partition("\nthere may be")[0])
        by_reference.update({each["reference"]: each["customer"] for each in found})
        return [each["order"] for each in found]

    await eventually(lambda: len(listed("--status", "confirmed")) == 2)
    assert listed() == listed("--since", "1h") == [posted["PO-2"], posted["PO-1"]]
    assert listed("--sort", "created_at") == [posted["PO-1"], posted["PO-2"]]
    assert by_reference["PO-2"] == "b ro/\x1b[31m"
    assert listed("--reference", "PO-1") == listed("--customer", "ada", "--reference", "PO-1") == [posted["PO-1"]]
    assert listed("--customer", "ada", "--reference", "PO-2") == listed("--until", "1h") == []
    assert listed("--limit", "1") == [posted["PO-2"]]
    for width in ("80", "200"):
        told = orderctl("orders", "list", "--limit", "1", *where, environ={**os.environ, "COLUMNS": width}).stdout
        shown, _, note = told.partition("there may be")
        assert "more than these 1" in " ".join(note.split())
        assert "\x1b" not in shown
        head, *lines = shown.splitlines()
        start, end = head.index("order"), head.index("customer")
        assert posted["PO-2"] + "PO-2" == "".join(line[start:end].strip() for line in lines), "no id is cut"


async def test_a_customer_may_repeat_an_order_under_its_key(shop: Shop, as_ada: tuple[str, ...]) -> None:
    await shop.stock("TEA", 5)
    answers = [orderctl("orders", "post", "TEA=1", "--key", "mine", *as_ada).stdout for _ in range(2)]
    assert ["was placed before" in answer for answer in answers] == [False, True]
    assert len((await shop.http.get("/v1/orders", headers=shop.headers())).json()["items"]) == 1


async def test_a_backend_acts_for_a_customer(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.stock("TEA", 5)
    token = shop.issuer.token(shop.tenant, "shop/backend", "orders:write orders:read orders:act")
    monkeypatch.setenv("ORDER_API_URL", str(shop.http.base_url))
    monkeypatch.setenv("ORDER_TOKEN", token)
    acting = ("--customer", "user+tag@example.com")
    posted = orderctl("orders", "post", "TEA=1", "--key", "k", "--wait", "--output", "json", *acting)
    order = json.loads(posted.stdout)
    assert (order["status"], order["placed_by"]) == ("confirmed", "shop/backend")
    assert "shop/backend" in orderctl("orders", "get", order["id"], *acting).stdout
    assert "order_not_found" in orderctl("orders", "get", order["id"]).stdout
    assert (await shop.get(order["id"], customer="user+tag@example.com")).json()["placed_by"] == "shop/backend"
    monkeypatch.setenv("ORDER_TOKEN", shop.issuer.token(shop.tenant, "shop/backend"))
    assert "the token lacks the scope orders:act" in orderctl("orders", "get", order["id"], *acting).stdout


async def test_an_order_that_is_rejected_is_told(shop: Shop, as_ada: tuple[str, ...]) -> None:
    await shop.stock("TEA", 5)
    answer = orderctl("orders", "post", "TEA=6", "--wait", *as_ada)
    assert (answer.returncode, "out_of_stock" in answer.stdout) == (1, True)


async def test_what_the_api_refuses_is_told(as_ada: tuple[str, ...]) -> None:
    answer = orderctl("orders", "post", "NO-SUCH-TEA=1", *as_ada)
    assert answer.returncode == 1
    assert "\nunknown_sku: " in answer.stdout
    assert "request id" in answer.stdout
    assert "Traceback" not in answer.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["post", "TEA"], 2, "SKU=QUANTITY"),
        (["post", "TEA=two"], 2, "SKU=QUANTITY"),
        (["post", "TEA=1", "--metadata", "cart"], 2, "KEY=VALUE"),
        (["post", "TEA=1", "--metadata", "=c-1"], 2, "KEY=VALUE"),
        (["post", "TEA=1", "--metadata", "cart=c-1", "--metadata", "cart=c-2"], 2, "given twice"),
        (["list", "--since", "yesterday"], 2, "24h"),
        (["list", "--parked", "--q", "TEA"], 2, "--limit"),
        (["list", "--parked", "--reference", "PO-7"], 2, "--limit"),
        (["list", "--reference", "PO-7"], 2, "--tenant"),
        (["list", "--tenant", "acme", "--q", "TEA"], 2, "--reference"),
        (["list", "--tenant", "acme", "--sort", "total"], 2, "created_at"),
        (["get", "ord_1", "--local"], 2, "--tenant"),
        (["get", "ord_1", "--tenant", "acme"], 2, "--local"),
        (["get", "ord_1"], 2, "ORDER_API_URL"),
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
