"""Listening sockets. They are bound before the server starts, so that the port is known when port 0 is configured."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger(__name__)

BACKLOG = 2048


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a listening socket and log its port (`listening`). Port 0 selects a free port."""
    with socket.create_server((host, port), backlog=BACKLOG, reuse_port=False) as server:
        log.info("listening", host=host, port=server.getsockname()[1])
        yield server
