"""Every example call of the reference, run against the API: with curl, in Python and in TypeScript."""

import ast
import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devstack.issuer import ALL_SCOPES
from order_api.main import create_app
from order_api.pages.reference.client_samples import CLIENT_SAMPLES, ENDPOINT_ID, ORDER_ID, TYPESCRIPT_SETUP
from order_api.pages.reference.curl import curl
from order_api.pages.reference.specification import Operation, Specification
from order_client import OrderClient
from order_shared.domain.clock import UniqueClock
from tests.fakes import MemoryStore, memory_adapters
from tests.fakes_webhooks import FakeReceivers
from tests.unit.api.conftest import SETTINGS, KnownKeys, issuer
from tests.unit.api.described import DOCUMENT
from tests.unit.api.event_log import Log
from tests.unit.api.sockets import serving_app
from tests.unit.api.test_http_webhooks import Stored

TYPESCRIPT = Path(__file__).parents[3] / "clients" / "typescript" / "built"
SPECIFICATION = Specification(DOCUMENT)
OPERATIONS = sorted(
    (each for tag in SPECIFICATION.tags for each in SPECIFICATION.operations(tag["name"])),
    key=lambda operation: operation.method == "DELETE",
)
"""All operations. Those that delete come last, because the others need what they delete."""
SAMPLES = {each.id: CLIENT_SAMPLES[each.id] for each in OPERATIONS if each.id in CLIENT_SAMPLES}
DELIVERY = 1042
"""Number of the delivery of the examples."""
LIMIT_SECONDS = 20

RACED = """
const print = console.log;
async function first(run) {
  await new Promise((done, failed) => {
    console.log = (...values) => { print(...values); done(); };
    run().then(() => failed(new Error("nothing was printed")), failed);
  });
}
"""


@dataclass(frozen=True)
class Shop:
    """A served API with an order of ada, its events, the products of the examples, and a webhook endpoint.

    The endpoint is active and has the delivery of the examples, whose first attempt failed.
    """

    address: str
    token: str
    order_id: str
    endpoint_id: str

    def with_ids(self, sample: str) -> str:
        """Return a sample with the ids of the order and the endpoint that exist."""
        return sample.replace(ORDER_ID, self.order_id).replace(ENDPOINT_ID, self.endpoint_id)

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "ORDER_API_URL": self.address, "ORDER_TOKEN": self.token}


@asynccontextmanager
async def open_shop() -> AsyncIterator[Shop]:
    store = MemoryStore(UniqueClock())
    app = create_app(
        SETTINGS,
        adapters=memory_adapters(store),
        keys=KnownKeys(),
        clock=store.clock,
        sender=FakeReceivers(store.clock),
    )
    token = issuer().token("acme", "ada", f"{ALL_SCOPES} orders:admin webhooks:write")
    log = Log(store)
    await log.end(await log.place(reference="PO-2026-0001"))
    order = await log.place(reference="PO-2026-0002")
    async with serving_app(app, SETTINGS) as port:
        address = f"http://127.0.0.1:{port}"
        async with OrderClient(address, token) as client:
            for sku in ("TEA-GREEN-100", "POT-GLASS"):
                await client.put_product(sku, name=sku, unit_price=590, currency="EUR")
                await client.adjust_stock(sku, 100)
            endpoint = await client.create_webhook_endpoint("https://shop.example.com/erp")
        await Stored(store, endpoint.id).fail(DELIVERY)
        yield Shop(address, token, str(order.order_id), endpoint.id)


async def test_every_call_with_curl_succeeds() -> None:
    async with open_shop() as shop:
        for operation in OPERATIONS:
            command = shop.with_ids(curl(SPECIFICATION, operation))
            first = await first_line(command, shop)
            if operation.is_stream:
                assert first.startswith((b":", b"id:", b"event:", b"data:", b"retry:")), (operation.id, first)
            else:
                assert first.split()[1][:1] == b"2", (operation.id, command, first)


async def first_line(command: str, shop: Shop) -> bytes:
    """Return the first line that a shell command prints; a stream goes on, and is ended."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", command, env=shop.environ, stdout=-1, stderr=-1, start_new_session=True
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await process.stdout.readline()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


async def test_every_call_in_python_succeeds() -> None:
    async with open_shop() as shop, OrderClient(shop.address, shop.token) as client:
        for name, sample in SAMPLES.items():
            async with asyncio.timeout(LIMIT_SECONDS):
                assert await first_printed(shop.with_ids(sample.python), client), name


async def first_printed(sample: str, client: OrderClient) -> list[Any]:
    """Run a sample until it prints, and return the printed values; empty if it ends before."""
    printed: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

    def note(*values: object) -> None:
        if not printed.done():
            printed.set_result(list(values))

    code = compile(sample, "<sample>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = asyncio.ensure_future(eval(code, {"client": client, "print": note}))  # noqa: S307 - our own sample
    await asyncio.wait([running, printed], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    running.cancel()
    await asyncio.wait([running])
    return printed.result() if printed.done() else []


async def test_every_call_in_typescript_succeeds() -> None:
    if not TYPESCRIPT.exists():
        pytest.skip("the TypeScript client is not built: `make check-generators` builds it, with Node and npm")
    async with open_shop() as shop:
        calls = "".join(
            f"await first(async () => {{\n{shop.with_ids(sample.typescript)}}});\n" for sample in SAMPLES.values()
        )
        file = TYPESCRIPT / f"samples-{shop.order_id}.mjs"
        file.write_text(f"{TYPESCRIPT_SETUP}{RACED}{calls}process.exit(0);\n")
        try:
            process = await asyncio.create_subprocess_exec("node", str(file), env=shop.environ, stdout=-1, stderr=-1)
            async with asyncio.timeout(LIMIT_SECONDS):
                printed, errors = await process.communicate()
        finally:
            file.unlink()
    assert (process.returncode, errors) == (0, b"")
    assert len(printed.splitlines()) >= len(SAMPLES)


def test_a_call_has_its_required_parameters_only() -> None:
    place = next(each for each in OPERATIONS if each.id == "placeOrder")
    assert curl(SPECIFICATION, place).split(" \\\n  ")[:4] == [
        'curl -i "$ORDER_API_URL/v1/orders"',
        '-H "Authorization: Bearer $ORDER_TOKEN"',
        '-H "Idempotency-Key: 0b5c2f6e-6c2f-4f0e-9a53-6d2f0a7f3c11"',
        '-H "Content-Type: application/json"',
    ]


def test_a_call_quotes_its_body_for_the_shell() -> None:
    node = {
        "tags": ["tea"],
        "operationId": "rename",
        "requestBody": {"content": {"application/json": {"example": {"name": "Ada's"}}}},
        "responses": {},
    }
    command = curl(SPECIFICATION, Operation(method="PUT", path="/tea", node=node))
    assert command.startswith('curl -i -X PUT "$ORDER_API_URL/tea"')
    assert command.endswith("""-d '{"name": "Ada'"'"'s"}'""")
