"""The examples of docs/webhooks.md, run as they are written: what their comments say is what comes out."""

import asyncio
import os
import re
import signal
import textwrap
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from devstack.stack import Stack, published
from order_shared.domain.clock import utc_now
from order_shared.domain.webhook.signing import signed_headers
from tests.e2e.conftest import Shop
from tests.e2e.shell import run_commands
from tests.e2e.test_api_docs import ROOT, TYPESCRIPT

PAGE = ROOT / "docs" / "webhooks.md"
MARK = "@@@ python"
MAX_COMMANDS = 8
SECONDS = 60


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


STEPS, EXAMPLES = blocks("sh")[:5], blocks("sh")[5:]


@asynccontextmanager
async def running(command: str, directory: Path, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command of the page until the end of the block. Its output is that of stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        f"exec env {command}",
        cwd=directory,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def line_with(process: asyncio.subprocess.Process, text: str) -> str:
    """Return the next line of the output that contains the text."""
    assert process.stdout is not None
    seen = ""
    async with asyncio.timeout(SECONDS):
        while line := (await process.stdout.readline()).decode():
            if text in line:
                return line
            seen += line
    raise AssertionError(f"the command ended before {text!r}: {seen}")


async def listens(port: int) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


@asynccontextmanager
async def published_stack(stack: Stack, directory: Path) -> AsyncIterator[None]:
    state = directory / ".local"
    state.mkdir()
    (directory / ".venv").symlink_to(ROOT / ".venv")
    (state / "issuer.pem").symlink_to(stack.issuer_key)
    with published(stack, state / "stack.json"):
        yield


async def test_a_newcomer_has_a_handler(stack: Stack, shop: Shop, tmp_path: Path) -> None:
    assert STEPS[0] == "make up\n"
    assert len(STEPS) <= MAX_COMMANDS
    await replace(shop, tenant="acme").stock("TEA-GREEN-100", 100)
    async with published_stack(stack, tmp_path):
        run_commands(STEPS[1], tmp_path)
        async with running(STEPS[2], tmp_path) as handler, running(STEPS[3], tmp_path) as listener:
            await listens(9000)
            await line_with(listener, "listening")
            told = await asyncio.to_thread(run_commands, STEPS[4], tmp_path)
            order_id = told.split()[0]
            assert order_id in await line_with(handler, "confirmed:")
            assert re.search(r"OK +HTTP 200", await line_with(listener, f"{order_id}.2.confirmed"))


async def test_trigger_leads_to_other_ends(stack: Stack, shop: Shop, tmp_path: Path) -> None:
    await replace(shop, tenant="acme").stock("TEA-GREEN-100", 100)
    async with published_stack(stack, tmp_path):
        commands = [f".venv/bin/orderctl trigger order.{kind}" for kind in ("rejected", "refunded")]
        told = await asyncio.gather(*(asyncio.to_thread(run_commands, each, tmp_path) for each in commands))
    assert [each.split()[1] for each in told] == ["rejected", "cancelled"]


async def test_every_example_does_what_it_says(stack: Stack, tmp_path: Path) -> None:
    shell = "\n".join(EXAMPLES)
    (python,) = blocks("python")
    (tmp_path / "example.py").write_text(python)
    async with published_stack(stack, tmp_path):
        commands = f"{shell}\necho {MARK}\n.venv/bin/python example.py\n"
        told = await asyncio.to_thread(run_commands, commands, tmp_path)
    answers, printed = told.split(MARK)
    assert re.findall(r"HTTP/1.1 (\d{3})", answers) == re.findall(r"^# (\d{3})", shell, re.MULTILINE)
    codes = re.findall(r'"instance":"[^"]*","code":"(\w+)"', answers)
    assert codes == re.findall(r"^# [45]\d\d `(\w+)`", shell, re.MULTILINE)
    assert answers.count('"secret":"whsec_') == 2
    assert printed.split("\n")[1:-1] == re.findall(r"^ *print\(.*\)  # (.*)$", python, re.MULTILINE)


async def test_the_handler_in_typescript_verifies_and_answers(tmp_path: Path) -> None:
    if not (TYPESCRIPT / "built").exists():
        pytest.skip("the TypeScript client is not built: `make check-generators` builds it, with Node and npm")
    (source,) = blocks("ts")
    file = TYPESCRIPT / "built" / f"{tmp_path.name}.mjs"
    file.write_text(source)
    secret = "whsec_b25seS1mb3ItdHJ5aW5nLW9uLXRoaXMtbWFjaGluZS4="
    bodies: Sequence[tuple[bytes, bytes]] = (
        (b'{"type":"webhook_endpoint.verify.v1","data":{"challenge":"c-1"}}', b'{"challenge":"c-1"}'),
        (b'{"type":"order.confirmed.v1","subject":"ord_1"}', b"{}"),
    )
    try:
        async with running(f"node {file}", tmp_path, WEBHOOK_SECRET=secret) as handler, aiohttp.ClientSession() as http:
            await listens(9000)
            for body, answer in bodies:
                headers = signed_headers([secret], "msg_1", utc_now(), body)
                async with http.post("http://127.0.0.1:9000/", data=body, headers=headers) as response:
                    assert (response.status, await response.read()) == (200, answer)
            assert "ord_1" in await line_with(handler, "confirmed:")
            async with http.post("http://127.0.0.1:9000/", data=b"{}") as response:
                assert response.status == 400
    finally:
        file.unlink()
