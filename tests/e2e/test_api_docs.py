"""The examples of docs/api.md, run as they are written: what their comments say is what comes out."""

import asyncio
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from devstack.stack import Stack, published
from tests.e2e.conftest import Shop
from tests.e2e.shell import run_commands
from tests.factories import make_tenant

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "api.md"
TYPESCRIPT = ROOT / "clients" / "typescript"
MARK = "@@@ python"
PYTHON = f"""
import ast, asyncio, inspect, sys
print({MARK!r}, flush=True)
code = compile(open(sys.argv[1]).read(), sys.argv[1], "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
async def main():
    names = {{"__name__": "__main__"}}
    running = eval(code, names)
    assert inspect.iscoroutine(running)
    await running
    await names["client"].aclose()
asyncio.run(main())
"""
"""Runs a file as `python -m asyncio` takes its lines, but stops at the first error."""


async def test_every_example_does_what_it_says(stack: Stack, shop: Shop, tmp_path: Path) -> None:
    state = tmp_path / ".local"
    state.mkdir()
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (state / "issuer.pem").symlink_to(stack.issuer_key)
    for sku in ("TEA-GREEN-100", "POT-GLASS"):
        await replace(shop, tenant="acme").stock(sku, 100)
    shell, python = examples(PAGE, "sh"), examples(PAGE, "python")
    (tmp_path / "examples.py").write_text(python)
    (tmp_path / "run.py").write_text(PYTHON)
    with published(stack, state / "stack.json"):
        told = run_commands(f"{shell}\n.venv/bin/python run.py examples.py\n", tmp_path)

    answers, printed = told.split(MARK)
    statuses = re.findall(r"HTTP/1.1 (\d{3})", answers)
    assert statuses == re.findall(r"^# (\d{3})", shell, re.MULTILINE)
    codes = re.findall(r'"instance":"[^"]*","code":"(\w+)"', answers)
    assert codes == re.findall(r"^# [45]\d\d `(\w+)`", shell, re.MULTILINE)
    assert answers.lower().count("idempotent-replayed: true") == 1
    assert printed.split("\n")[1:-1] == re.findall(r"^ *print\(.*\)  # (.*)$", python, re.MULTILINE)
    for status in ("confirmed", "pending", "captured", "refunded"):
        assert f'"status":"{status}"' in answers
    assert '"metadata":{"cart":"c-4711","channel":"app"}' in answers


async def test_every_example_in_typescript_does_what_it_says(stack: Stack, shop: Shop) -> None:
    """The file is in the client's package, where Node finds the package by its own name."""
    if not (TYPESCRIPT / "built").exists():
        pytest.skip("the TypeScript client is not built: `make check-generators` builds it, with Node and npm")
    own = replace(shop, tenant=make_tenant())
    for sku in ("TEA-GREEN-100", "POT-GLASS"):
        await own.stock(sku, 100)
    source = examples(PAGE, "ts")
    file = TYPESCRIPT / "built" / f"{own.tenant}.mjs"
    file.write_text(source)
    token = own.headers("grace")["Authorization"].removeprefix("Bearer ")
    staff = own.headers("staff", scope="orders:admin")["Authorization"].removeprefix("Bearer ")
    try:
        tokens = {"ORDER_TOKEN": token, "ORDER_STAFF_TOKEN": staff}
        done = await asyncio.to_thread(run_node, file, ORDER_API_URL=stack.api, **tokens)
    finally:
        file.unlink()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == re.findall(r"console\.log\(.*\); // (.*)$", source, re.MULTILINE)


def run_node(file: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command, environ = ["node", str(file)], {**os.environ, **environ}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


def examples(page: Path, language: str) -> str:
    """Return all examples of a page in one language."""
    blocks = re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)
    assert len(blocks) >= 3
    return "\n".join(blocks)
