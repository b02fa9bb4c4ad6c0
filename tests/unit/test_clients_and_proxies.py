"""Every HTTP client of ours: direct to this machine, through the environment's proxy to any other."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, closing, suppress
from typing import Any

import boto3
import pytest

from aws_json_client import DYNAMODB, Key, StaticCredentials, open_client
from aws_json_client.proxies import exempt_loopback
from devstack.address import Handler, served
from devstack.stack import local_settings
from fake_ecs.routing import Routing
from order_api.auth import JwksClient, open_session
from order_client import OrderClient, RetryPolicy
from order_operations.live.sources import open_sources
from order_operations.live.tasks import API, Task
from order_operations.target import Target
from order_processor.payments.stripe_gateway import StripeGateway
from order_shared.domain.order.payments import Charge, PaymentAttempts
from orderctl.deploy.smoke import Smoke
from orderctl.profile import StackProfile
from tests.forwarding import forwarding

KEY = StaticCredentials(Key("key", "secret"))
BODY = json.dumps({"keys": [], "items": [], "has_more": False, "next_cursor": None}).encode()
DEAD = {
    "a dead proxy": {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"},
    "SOCKS": {"ALL_PROXY": "socks5://127.0.0.1:9", "NO_PROXY": "[::1]"},
    "nonsense": {"all_proxy": "://", "HTTP_PROXY": "http://[", "NO_PROXY": "[["},
}


class Server:
    """HTTP server that gives every request the same answer, and counts them."""

    def __init__(self) -> None:
        self.requests = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0
        )
        await reader.readexactly(length)
        kind = b"Content-Type: application/json\r\nConnection: close\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (kind, len(BODY), BODY))
        await writer.drain()
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    served = Server()
    listener = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield served


async def aws(url: str) -> None:
    async with open_client(DYNAMODB, credentials=KEY, region="eu-central-1", endpoint=url) as client:
        await client.request("ListTables", {})


async def key_set(url: str) -> None:
    async with open_session() as http:
        await JwksClient(url, http).get("a key")


async def payments(url: str) -> None:
    charge = Charge(order_id="ord_1", amount=1, currency="EUR", payment_id="pi_1", attempts=PaymentAttempts())
    async with aclosing(StripeGateway("sk_test_1", url, environment="local")) as gateway:
        await gateway.retrieve(charge)


async def customer(url: str) -> None:
    async with OrderClient(url, "token", retries=RetryPolicy(deadline=5)) as client:
        await client.get_order("ord_1")


async def smoke_test(url: str) -> None:
    await asyncio.to_thread(Smoke(url=url, release="abc1234", poll_sleep=lambda: None).run)


async def tokens(url: str) -> None:
    fields = {"api": url, "services": {}, "aws": url, "region": "eu-central-1", "access_key": "a", "secret_key": "b"}
    profile = StackProfile.model_validate(
        {
            **fields,
            "table_prefix": "x-",
            "payments": url,
            "payment_api_key": "k",
            "token_url": url,
            "client_secret": "c",
        }
    )
    await asyncio.to_thread(profile.token, "acme", "ada")


async def live_figures(url: str) -> None:
    target = Target(local_settings("http://127.0.0.1:9"), KEY, boto3.Session(), "ada")
    async with open_sources(target, [Task(service=API, address=url)], customer=None, small=False) as sources:
        await sources.look()


async def operator(url: str) -> None:
    """botocore reads the variables itself, so every program prepares them first."""
    session = boto3.Session("key", "secret", region_name="eu-central-1")
    await asyncio.to_thread(session.client("sts", endpoint_url=url).get_caller_identity)


CLIENTS: dict[str, Callable[[str], Awaitable[None]]] = {
    each.__name__: each for each in (aws, key_set, payments, customer, smoke_test, tokens, live_figures, operator)
}


async def use(name: str, url: str) -> None:
    with suppress(Exception):  # what comes back is no answer of theirs
        await CLIENTS[name](url)


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("machine", DEAD)
async def test_this_machine_is_reached_directly(
    monkeypatch: pytest.MonkeyPatch, server: Server, name: str, machine: str
) -> None:
    for variable, value in DEAD[machine].items():
        monkeypatch.setenv(variable, value)
    settle(monkeypatch)
    await use(name, f"http://127.0.0.1:{server.port}")
    assert server.requests


@pytest.mark.parametrize("name", CLIENTS)
async def test_elsewhere_is_reached_through_the_proxy(
    monkeypatch: pytest.MonkeyPatch, server: Server, name: str
) -> None:
    async with forwarding(server.port) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        settle(monkeypatch)
        await use(name, "http://elsewhere.test")
    assert [asked for asked in proxy.asked if "elsewhere.test" in asked]
    assert server.requests


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepare the process, as every program does at its start."""
    settled = dict(os.environ)
    exempt_loopback(settled)
    for name in settled.keys() - os.environ.keys() | {"no_proxy", "NO_PROXY"} & settled.keys():
        monkeypatch.setenv(name, settled[name])


def test_tasks_of_the_fake_are_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    nothing: Any = None
    with served(Answering) as url, closing(Routing(nothing, nothing)) as routing:
        assert routing._forward("GET", url, {}, b"").status == 200


class Answering(Handler):
    def do_GET(self) -> None:  # noqa: N802 - name in the base class
        self.respond(200, b"{}")
