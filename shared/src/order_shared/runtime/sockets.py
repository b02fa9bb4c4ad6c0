"""Listening sockets whose port is known before the server starts."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger(__name__)

BACKLOG = 2048


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """A bound socket, and a log line `listening` with its port: 0 takes any free one."""
    with socket.create_server((host, port), backlog=BACKLOG, reuse_port=False) as server:
        log.info("listening", host=host, port=server.getsockname()[1])
        yield server
