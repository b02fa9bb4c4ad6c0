"""The examples of docs/api.md, run as they are written: what their comments say is what comes out."""

import re
from dataclasses import replace
from pathlib import Path

from devstack.stack import Stack, published
from tests.e2e.conftest import Shop
from tests.e2e.shell import run_commands

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "api.md"
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
    shell, python = _examples("sh"), _examples("python")
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
    assert "confirmed" in answers.rsplit("HTTP/1.1", 1)[1]


def _examples(language: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) >= 6
    return "\n".join(blocks)
