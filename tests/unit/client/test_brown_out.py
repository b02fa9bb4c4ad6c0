"""Many calls at once over real connections, to an API that falls silent or holds its responses back."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from order_client import OrderClient, RetryPolicy
from order_client.calls import MAX_CALLS
from tests.unit.client.api import TOKEN, order_body

CALLS = 250
WAITS = 230
QUICK = RetryPolicy(deadline=20.0, attempt_timeout=0.3, base=0.01, cap=0.05)
ORDER = json.dumps(order_body("ord_1", {"lines": [{"sku": "TEA", "quantity": 1}]})).encode()
RESPONSE = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


@dataclass
class SlowApi:
    """Server that answers while `speaks` is set. Requests with `Prefer: wait` are held until `changed` is set."""

    speaks: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    held: int = 0
    all_held: asyncio.Event = field(default_factory=asyncio.Event)
    silenced: int = 0
    enough_silenced: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")
                length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
                await reader.readexactly(length)
                await self._hold(any(line.startswith(b"prefer:") for line in lines))
                status = b"202 Accepted" if head.startswith(b"POST") else b"200 OK"
                writer.write(RESPONSE % (status, len(ORDER), ORDER))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _hold(self, until_changed: bool) -> None:  # noqa: FBT001 - it is the header
        if until_changed:
            self.held += 1
            if self.held == WAITS:
                self.all_held.set()
            await self.changed.wait()
        elif not self.speaks.is_set():
            self.silenced += 1
            if self.silenced == 2 * MAX_CALLS:
                self.enough_silenced.set()
            await self.speaks.wait()


@asynccontextmanager
async def serving(api: SlowApi) -> AsyncIterator[str]:
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(api.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=512)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_after_a_silence_every_call_is_answered_and_no_connection_is_lost() -> None:
    """The silence lasts for two time-outs of as many calls as may run at once."""
    api = SlowApi()
    async with serving(api) as address, OrderClient(address, TOKEN, retries=QUICK) as client:
        calls = [asyncio.ensure_future(client.place_order({"TEA": 1})) for _ in range(CALLS)]
        await api.enough_silenced.wait()
        api.speaks.set()
        assert [order.id for order in await asyncio.gather(*calls)] == ["ord_1"] * CALLS
        again = await asyncio.gather(*(client.get_order("ord_1") for _ in range(CALLS)))
        assert len(again) == CALLS


async def test_an_order_is_placed_beside_any_number_of_waits() -> None:
    api = SlowApi()
    api.speaks.set()
    async with serving(api) as address, OrderClient(address, TOKEN) as client:
        waits = [asyncio.ensure_future(client.wait_for_end("ord_1", until={"pending"})) for _ in range(WAITS)]
        await api.all_held.wait()
        assert (await client.place_order({"TEA": 1})).id == "ord_1"
        assert not any(wait.done() for wait in waits)
        api.changed.set()
        await asyncio.gather(*waits)


async def test_cancelled_calls_leave_no_trace() -> None:
    api = SlowApi()
    async with serving(api) as address, OrderClient(address, TOKEN, retries=QUICK) as client:
        calls = [asyncio.ensure_future(client.get_order("ord_1")) for _ in range(CALLS)]
        await api.enough_silenced.wait()
        for call in calls:
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        api.speaks.set()
        assert (await client.get_order("ord_1")).id == "ord_1"


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("ERROR", "order_client")
