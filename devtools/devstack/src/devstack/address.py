"""Address options of the local stack's processes, and small HTTP servers that run in threads."""

import argparse
import contextlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = "127.0.0.1"


def part_options(description: str) -> argparse.ArgumentParser:
    """Return a parser for `--host` and `--port`. Their defaults are ORDER_HOST and ORDER_PORT, as in the services."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default=os.environ.get("ORDER_HOST", LOOPBACK))
    parser.add_argument("--port", type=int, default=os.environ.get("ORDER_PORT", "0"), help="0: any free port")
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
    """Serve HTTP in a thread while the block runs; yield the base URL. Port 0 selects a free port."""
    with ThreadingHTTPServer((host, port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
