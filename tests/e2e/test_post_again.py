"""Output that fails while an order is posted: repeating the command with the key that it told places no second one."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.stack import Stack, published
from tests.commands import ORDERCTL
from tests.e2e.conftest import Shop
from tests.surroundings import cleaned
from tests.unit.cli.test_output import ASCII

KEY = re.compile(r"--key ([0-9a-f-]{36})")
NAME = "緑茶"
LINE = "RYOKUCHA=1"


@pytest.fixture
def where(stack: Stack, shop: Shop, tmp_path: Path) -> Iterator[tuple[str, ...]]:
    with published(stack, tmp_path / "stack.json"):
        yield ("--local", "--state", str(tmp_path), "--tenant", shop.tenant, "--customer", "ada")


def post(where: tuple[str, ...], *words: str, redirect: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-c", f'exec "$@" {redirect}', "bash", *ORDERCTL, "orders", "post", LINE, *words, *where]
    return subprocess.run(command, env=cleaned(os.environ) | environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("redirect", "environ", "code", "times"),
    [
        ("", ASCII, 0, 1),
        ("", {"COLUMNS": "0"}, 0, 1),
        (">/dev/full", {}, 1, 3),
        (">&-", {}, 0, 1),
        ("> >(exec true)", {}, None, 1),
    ],
    ids=["ASCII", "no width", "a full disk", "closed", "nobody reads"],
)
async def test_repetitions_with_the_key_that_was_told_are_one_order(
    shop: Shop, where: tuple[str, ...], redirect: str, environ: dict[str, str], code: int | None, times: int
) -> None:
    product = {"name": NAME, "unit_price": 0, "currency": "JPY", "stock_shards": 1}
    (await shop.http.put("/v1/products/RYOKUCHA", json=product, headers=shop.headers("keeper"))).raise_for_status()
    first = post(where, redirect=redirect, **environ)
    assert code is None or first.returncode == code, first.stderr
    assert "Traceback" not in first.stderr
    (key,) = KEY.findall(first.stderr)
    for _ in range(times):
        again = post(where, "--key", key, redirect=redirect, **environ)
        assert "Traceback" not in again.stderr
        assert "placed before" in again.stderr
    listed = (await shop.http.get("/v1/orders", headers=shop.headers())).json()
    assert len(listed["items"]) == 1, json.dumps(listed)


async def test_without_a_way_to_tell_the_key_nothing_is_sent(shop: Shop, where: tuple[str, ...]) -> None:
    for redirect in ("2>/dev/full", "2>&-"):
        done = post(where, redirect=redirect)
        assert (done.returncode, done.stdout) == (1, "")
        assert post(where, "--key", "mine", redirect=redirect).returncode == 1, "there is no such product"
    assert (await shop.http.get("/v1/orders", headers=shop.headers())).json()["items"] == []
