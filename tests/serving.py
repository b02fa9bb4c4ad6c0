"""Web servers of tests, in this process."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from tests.waiting import eventually


@asynccontextmanager
async def running_server(server: uvicorn.Server, listener: socket.socket) -> AsyncIterator[int]:
    """Run a server until the end of the block; yield the port.

    The server takes SIGINT and SIGTERM when it starts. Their handlers are restored at once, because other tests send
    these signals, also while a server of the session runs.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    running = asyncio.create_task(server.serve([listener]))
    await eventually(lambda: server.started or running.done(), "the start of the server")
    for number, handler in handlers.items():
        signal.signal(number, handler)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running
