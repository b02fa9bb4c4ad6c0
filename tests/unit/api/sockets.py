"""Real server of the API in this process, and raw requests to it over sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from order_api.config import ApiSettings
from order_api.server import make_server
from order_shared.runtime.sockets import listen
from tests.serving import running_server
from tests.unit.api.conftest import SETTINGS, issuer, make_app

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def with_settings(**changes: Any) -> ApiSettings:
    return SETTINGS.model_copy(update=changes)


@asynccontextmanager
async def serving(**changes: Any) -> AsyncIterator[int]:
    """Serve the API over fakes in this process, with changed settings; yield the port."""
    settings = with_settings(**{"keep_alive_seconds": 5} | changes)
    async with serving_app(make_app(settings), settings) as port:
        yield port


@asynccontextmanager
async def serving_app(app: FastAPI, settings: ApiSettings) -> AsyncIterator[int]:
    """Serve the application in this process; yield the port."""
    server = make_server(settings, app)
    with listen("127.0.0.1", 0) as listener:
        async with running_server(server, listener) as port:
            yield port


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


def head(path: str = "/healthz", *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: api.test", *headers, "", ""]).encode()


def post_head(*headers: str) -> bytes:
    token = f"Authorization: Bearer {issuer().token('acme', 'ada')}"
    return head("/v1/orders", token, "Idempotency-Key: k", "Content-Type: application/json", *headers, method="POST")


async def exchange(port: int, *parts: bytes) -> bytes:
    """Send the parts, and return everything that the server sends until it closes the connection."""
    async with connected(port) as (reader, writer):
        for part in parts:
            writer.write(part)
        return await reader.read()


def problem_in(answer: bytes) -> dict[str, Any]:
    """Return the problem of a response that closes the connection."""
    top, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in top.lower(), answer
    assert b"connection: close" in top.lower()
    problem: dict[str, Any] = json.loads(body)
    assert top.startswith(f"HTTP/1.1 {problem['status']} ".encode())
    assert f"x-request-id: {problem['request_id']}".encode() in top.lower()
    return problem
