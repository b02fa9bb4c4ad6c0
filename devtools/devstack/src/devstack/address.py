"""Address options of the local stack's processes, and small HTTP servers that run in threads."""

import argparse
import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated

from pydantic import Field

from order_shared.runtime.settings import ProgramSettings, load_settings
from order_shared.runtime.sockets import bind

LOOPBACK = "127.0.0.1"


class PartSettings(ProgramSettings):
    """Address of a part of the local stack."""

    host: Annotated[str, Field(title="an address of this machine", examples=["::"])] = LOOPBACK
    """Address to listen on, also IPv6."""
    port: Annotated[int, Field(ge=0, le=65535, examples=[8082])] = 0
    """0 selects a free port."""


def part_options(description: str) -> argparse.ArgumentParser:
    """Return a parser for `--host` and `--port`. Their defaults are ORDER_HOST and ORDER_PORT, as in the services."""
    parser = argparse.ArgumentParser(description=description)
    given = load_settings(PartSettings)
    parser.add_argument("--host", default=given.host)
    parser.add_argument("--port", type=int, default=given.port, help="0: any free port")
    return parser


class Handler(BaseHTTPRequestHandler):
    """Base class of request handlers. It writes no log."""

    def respond(self, status: int, document: bytes, content_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(document)))
        self.end_headers()
        self.wfile.write(document)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name in the base class
        pass


@contextlib.contextmanager
def served(handler: type[Handler], host: str = LOOPBACK, port: int = 0) -> Iterator[str]:
    """Serve HTTP in a thread while the block runs; yield the base URL. Port 0 selects a free port.

    Raises InvalidConfiguration for an address that this process cannot listen on.
    """
    with ThreadingHTTPServer((host, port), handler, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = bind(host, port)
        server.server_port = server.socket.getsockname()[1]
        server.server_activate()
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{f'[{host}]' if ':' in host else host}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
