"""Services whose credentials come late, or are so new that AWS does not know them everywhere yet."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx2
from aiohttp import web

from devstack.stack import Stack, running_infrastructure
from order_shared.naming import ORDER_API, ORDER_PROCESSOR, SERVICES
from tests.chaos.proxy import open_proxy
from tests.chaos.wire import TRANSACTION, Answer, Call, Forward
from tests.e2e.conftest import QUICK, open_shop
from tests.waiting import eventually

SLOW_SECONDS = 1.3
"""Longer than a request waits for a key, and shorter than boto3 waits for the endpoint."""
REFUSALS = 12
"""More attempts than one message has."""


@dataclass
class ContainerEndpoint:
    """The endpoint that gives a task its credentials, slowly."""

    url: str = ""
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        await asyncio.sleep(SLOW_SECONDS)
        end = (datetime.now(UTC) + timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return web.json_response({"AccessKeyId": "local", "SecretAccessKey": "local", "Token": "t", "Expiration": end})


@asynccontextmanager
async def container_endpoint() -> AsyncIterator[ContainerEndpoint]:
    endpoint = ContainerEndpoint()
    app = web.Application()
    app.router.add_get("/{service}", endpoint.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield endpoint
    await runner.cleanup()


async def _is_ready(http: httpx2.AsyncClient, address: str) -> bool:
    try:
        return (await http.get(f"{address}/readyz")).status_code == 200
    except httpx2.TransportError:
        return False


async def test_services_become_ready_although_their_credentials_come_late(tmp_path: Path) -> None:
    with running_infrastructure(tmp_path, QUICK) as stack:
        async with container_endpoint() as endpoint, httpx2.AsyncClient() as http:
            without_keys = {
                name: value
                for name, value in stack.environment.items()
                if name not in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
            }
            await asyncio.to_thread(stack.start_payments)
            for service in SERVICES:
                address = f"{endpoint.url}/{service.name}"
                stack.environment = {**without_keys, "AWS_CONTAINER_CREDENTIALS_FULL_URI": address}
                await asyncio.to_thread(stack.start, service)
            for address in stack.services.values():
                await eventually(partial(_is_ready, http, address), "ready")
            assert sorted(endpoint.asked) == sorted(f"/{service.name}" for service in SERVICES), (
                "one fetch for all callers"
            )
            async with open_shop(stack) as shop:
                await shop.stock("TEA", 10)
                (order,) = await shop.all_ended(await shop.accepted(1))
                assert order["status"] == "confirmed"
        await _stop(stack)


class NewKey:
    """AWS, which does not know the processor's key everywhere: its first transactions are refused."""

    def __init__(self) -> None:
        self.left = REFUSALS

    async def meet(self, call: Call, forward: Forward) -> Answer:
        if call.operation == TRANSACTION and self.left:
            self.left -= 1
            body = {"__type": "com.amazon.coral.service#UnrecognizedClientException"}
            return Answer(400, json.dumps(body).encode(), {"Content-Type": "application/x-amz-json-1.0"})
        return await forward(call)


async def test_a_key_that_aws_does_not_know_yet_parks_no_order(tmp_path: Path) -> None:
    overrides = QUICK | {"ORDER_RETRY_BASE_SECONDS": "0.1", "ORDER_RETRY_CAP_SECONDS": "1"}
    with running_infrastructure(tmp_path, overrides) as stack:
        async with open_proxy() as proxy:
            await asyncio.to_thread(stack.start_payments)
            await asyncio.to_thread(stack.start, ORDER_API)
            processors = await proxy.listen("order-processor", stack.aws)
            stack.environment = {**stack.environment, "AWS_ENDPOINT_URL_DYNAMODB": processors}
            await asyncio.to_thread(stack.start, ORDER_PROCESSOR)
            async with open_shop(stack) as shop:
                await shop.stock("TEA", 10)
                plan = NewKey()
                proxy.plan = plan
                (order,) = await shop.all_ended(await shop.accepted(1))
                assert (order["status"], plan.left) == ("confirmed", 0)
                assert await shop.available("TEA") == 9
            await _stop(stack)


async def _stop(stack: Stack) -> None:
    for name in stack.services:
        assert await asyncio.to_thread(stack.children[name].stop) == 0
