"""The examples of docs/events.md, run as they are written: what their comments say is what comes out."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from devstack.stack import Stack, published
from order_shared.domain.order.events import EventType
from tests.e2e.conftest import Shop
from tests.e2e.shell import run_commands
from tests.e2e.test_api_docs import MARK, PYTHON, ROOT, TYPESCRIPT, examples, run_node
from tests.factories import make_tenant

PAGE = ROOT / "docs" / "events.md"


async def test_every_example_does_what_it_says(stack: Stack, shop: Shop, tmp_path: Path) -> None:
    state = tmp_path / ".local"
    state.mkdir()
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (state / "issuer.pem").symlink_to(stack.issuer_key)
    await replace(shop, tenant="acme").stock("TEA-GREEN-100", 100)
    shell, python = examples(PAGE, "sh"), examples(PAGE, "python")
    (tmp_path / "examples.py").write_text(python)
    (tmp_path / "run.py").write_text(PYTHON)
    with published(stack, state / "stack.json"):
        told = run_commands(f"{shell}\n.venv/bin/python run.py examples.py\n", tmp_path)
    answers, printed = told.split(MARK)
    assert re.findall(r"HTTP/1.1 (\d{3})", answers) == re.findall(r"^# (\d{3})", shell, re.MULTILINE)
    codes = re.findall(r'"instance":"[^"]*","code":"(\w+)"', answers)
    assert codes == re.findall(r"^# [45]\d\d `(\w+)`", shell, re.MULTILINE)
    assert printed.split("\n")[1:-1] == re.findall(r"^ *print\(.*\)  # (.*)$", python, re.MULTILINE)
    assert "content-type: text/event-stream" in answers.lower()


async def test_every_example_in_typescript_does_what_it_says(stack: Stack, shop: Shop) -> None:
    if not (TYPESCRIPT / "built").exists():
        pytest.skip("the TypeScript client is not built: `make check-generators` builds it, with Node and npm")
    own = replace(shop, tenant=make_tenant())
    await own.stock("TEA-GREEN-100", 100)
    source = examples(PAGE, "ts")
    file = TYPESCRIPT / "built" / f"{own.tenant}.mjs"
    file.write_text(source)
    token = own.headers("grace")["Authorization"].removeprefix("Bearer ")
    try:
        done = await asyncio.to_thread(run_node, file, ORDER_API_URL=stack.api, ORDER_TOKEN=token)
    finally:
        file.unlink()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == re.findall(r"console\.log\(.*\); // (.*)$", source, re.MULTILINE)


def test_the_page_names_every_type() -> None:
    assert set(re.findall(r"^\| `(order\.\w+\.v1)`", PAGE.read_text(), re.MULTILINE)) == set(EventType)
