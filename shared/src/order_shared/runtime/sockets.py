"""Listening sockets. They are bound before the server starts, so that the port is known when port 0 is configured."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from order_shared.runtime.settings import reject

log = structlog.get_logger(__name__)

BACKLOG = 2048


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Open a bound socket and log its port (`listening`). Port 0 selects a free one, and `::` takes IPv4 too.

    Raises InvalidConfiguration for an address that this process cannot listen on.
    """
    with bind(host, port) as server:
        server.listen(BACKLOG)
        log.info("listening", host=host, port=server.getsockname()[1])
        yield server


def bind(host: str, port: int) -> socket.socket:
    """Return a bound socket. Raises InvalidConfiguration for an address that this process cannot listen on."""
    bare = host.strip("[]")
    try:
        family, _, _, _, address = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        server = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reject(
            f"ORDER_HOST: {host!r} is not an address of this machine ({error}); use such as 127.0.0.1, 0.0.0.0 or ::"
        )
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, bare != "::")
        server.bind(address)
    except OSError as error:
        server.close()
        reject(_bind_fault(error, host, port))
    return server


def _bind_fault(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"ORDER_PORT: port {port} of {host} is taken; use a free port, such as {port + 1}, or 0 for any"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"ORDER_PORT: this user may not listen on port {port}; use a port above 1023, such as 8080"
    return (
        f"ORDER_HOST: cannot listen on {host!r} ({os.strerror(error.errno or 0)}); use such as 127.0.0.1, 0.0.0.0 or ::"
    )
