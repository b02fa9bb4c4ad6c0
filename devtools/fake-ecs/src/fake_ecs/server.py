"""HTTP server of the fake, on the loopback: APIs at `/`, fault injection at `/_ecs/…`, listeners at `/_lb/…`."""

import json
import socket
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog

from fake_ecs.errors import ApiError
from fake_ecs.gateway import JSON_TYPE, AnswerLost, Gateway, Response
from fake_ecs.routing import LISTENERS, Routing
from fake_ecs.shapes import InvalidResponse

log = structlog.get_logger(__name__)

ADMIN = "/_ecs/"
BLOBS = "/_ecs/blobs"
PLAIN = "application/json"
BLOB_TYPE = "application/octet-stream"

Admin = Mapping[str, Callable[..., object]]
"""Functions that `POST /_ecs/{name}` calls, by name. The members of the JSON body are their keyword arguments."""


class Server(ThreadingHTTPServer):
    """HTTP server on a listening socket. Open requests do not keep the process alive."""

    daemon_threads = True

    def __init__(
        self,
        listener: socket.socket,
        gateway: Gateway,
        routing: Routing,
        admin: Admin,
        blob: Callable[[str], bytes | None],
    ) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.gateway = gateway
        self.routing = routing
        self.admin = admin
        self.blob = blob


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive: a connection per request would take most of the time
    disable_nagle_algorithm = True  # otherwise a body waits 40 ms for the acknowledgement of its head

    def __init__(self, request: socket.socket, address: tuple[str, int], server: Server) -> None:
        self._fake = server
        super().__init__(request, address, server)

    def do_GET(self) -> None:
        if self.path.startswith(LISTENERS):
            self._route()
            return
        blob = self._fake.blob(self.path.removeprefix(f"{BLOBS}/"))
        self._send(Response(HTTPStatus.NOT_FOUND, PLAIN, b"{}") if blob is None else Response(200, BLOB_TYPE, blob))

    def do_PUT(self) -> None:
        self._route()

    def do_POST(self) -> None:
        if self.path.startswith(LISTENERS):
            self._route()
            return
        body = self._body()
        if self.path.startswith(ADMIN):
            self._send(self._administer(self.path.removeprefix(ADMIN), body))
            return
        try:
            self._send(self._fake.gateway.answer(dict(self.headers), body))
        except AnswerLost:
            self.close_connection = True
        except InvalidResponse as error:
            log.exception("the response of the fake does not fit the model of AWS")
            self._send(
                Response(500, JSON_TYPE, json.dumps({"__type": "InvalidResponse", "message": str(error)}).encode())
            )

    def _route(self) -> None:
        try:
            self._send(self._fake.routing.answer(self.command, self.path, dict(self.headers), self._body()))
        except ApiError as error:
            self._send(_json_response(HTTPStatus.NOT_FOUND, str(error)))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _administer(self, name: str, body: bytes) -> Response:
        action = self._fake.admin.get(name)
        if action is None:
            return _json_response(HTTPStatus.NOT_FOUND, f"available: {', '.join(sorted(self._fake.admin))}")
        try:
            action(**json.loads(body or b"{}"))
        except (TypeError, ValueError, ApiError) as error:
            return _json_response(HTTPStatus.BAD_REQUEST, str(error))
        return _json_response(HTTPStatus.OK, "done")

    def _send(self, answer: Response) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - name in the base class
        """Log nothing: a client that follows a deployment sends requests every second."""


def _json_response(status: HTTPStatus, what: str) -> Response:
    return Response(status, PLAIN, json.dumps({"detail": what}).encode())
