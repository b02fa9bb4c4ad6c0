"""The README's commands, run as they are written."""

import json
import re
from pathlib import Path
from typing import Any

from devstack.lab.start_page import commands
from devstack.stack import Stack, published
from tests.e2e.conftest import Shop
from tests.e2e.shell import run_commands

ROOT = Path(__file__).parents[2]


async def test_the_curl_commands_work_as_written(stack: Stack, shop: Shop, tmp_path: Path) -> None:
    state = tmp_path / ".local"
    state.mkdir()
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (state / "issuer.pem").symlink_to(stack.issuer_key)
    for sku in ("TEA-GREEN-100", "POT-GLASS"):
        await _on_sale_at_acme(shop, sku)
    with published(stack, state / "stack.json"):
        answers = _run(_commands(), tmp_path)
    placed, replayed, listed, stocked, put, adjusted, cancelled, rejected, latest = answers
    assert (placed["id"], placed["__typename"]) == (replayed["id"], "Order")
    assert listed["items"][0]["id"] == placed["id"]
    assert stocked["sku"] == "TEA-GREEN-100"
    assert (put["name"], adjusted["available"]) == ("Jasmine pearls, 50 g", put["available"] + 10)
    assert cancelled["status"] in {"cancelled", "reserved", "confirmed"}
    assert rejected["status"] == "pending"
    assert latest["items"][0]["id"] == rejected["id"]


async def test_the_commands_of_the_start_page_work_when_pasted(stack: Stack, shop: Shop, tmp_path: Path) -> None:
    await _on_sale_at_acme(shop, "TEA-GREEN-100")
    ended, events, product = _run(commands(stack.api, stack.issuer.token("acme", "ada")), tmp_path)
    assert ended["status"] == "confirmed"
    assert ended["payment"]["status"] == "captured"
    assert events.keys() >= {"items", "next", "has_more"}
    assert product["sku"] == "TEA-GREEN-100"


def _commands() -> str:
    section = (ROOT / "README.md").read_text().split("## Talk to it", 1)[1]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def _run(commands: str, directory: Path) -> list[dict[str, Any]]:
    """The answers, in their order."""
    marked = re.sub(r"^curl -s", "echo; echo '@@@'; curl -fs", commands, flags=re.MULTILINE)
    printed = run_commands(marked, directory)
    return [json.loads(answer) for answer in printed.split("@@@")[1:]]


async def _on_sale_at_acme(shop: Shop, sku: str) -> None:
    product = {"name": sku, "unit_price": 590, "currency": "EUR"}
    response = await shop.http.put(f"/v1/products/{sku}", json=product, headers=shop.headers(tenant="acme"))
    response.raise_for_status()
    headers = {**shop.headers(tenant="acme"), "Idempotency-Key": f"stock-{sku}"}
    response = await shop.http.post(f"/v1/products/{sku}/stock", json={"delta": 100}, headers=headers)
    response.raise_for_status()
