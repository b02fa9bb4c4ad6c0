"""Health check of the service in this container: `python -m order_shared.healthcheck`.

Requests `/healthz` on the port ORDER_PORT of the address ORDER_HOST. Exits with 0 if the status is 200, otherwise with
1 and a one-line reason.

The container runs this module every few seconds. It imports no module of the platform, and uses `socket` because
`http.client` would double the start-up time.
"""

import os
import socket
import sys
import time

ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - the addresses of this machine to ask instead
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
TIMEOUT_SECONDS = 2.0
MAX_STATUS_LINE_BYTES = 1024
MAX_PORT = 65535


def main() -> None:
    fault = find_fault(os.environ.get("ORDER_PORT"), os.environ.get("ORDER_HOST", ""))
    if fault is not None:
        sys.exit(f"unhealthy: {fault}")


def find_fault(port: str | None, host: str = "") -> str | None:
    """Return why the service on this port of this machine is unhealthy; None if it is healthy."""
    port = (port or "").strip()
    host = host.strip().strip("[]")
    if not port:
        return "ORDER_PORT is not set"
    if not (port.isascii() and port.isdecimal() and len(port) <= len(str(MAX_PORT)) and 1 <= int(port) <= MAX_PORT):
        return f"ORDER_PORT is not a number from 1 to {MAX_PORT}: {port!r:.20}"
    try:
        line = _status_line(ANY.get(host, host), int(port))
    except TimeoutError:
        return f"no response from port {port} within {TIMEOUT_SECONDS:g} s"
    except OSError as error:
        return f"port {port}: {error.strerror or error}"
    if not line.startswith(b"HTTP/"):
        return f"the response from port {port} is not HTTP"
    status = b"".join(line.split()[1:2]).decode("ascii", "replace")
    return None if status == "200" else f"/healthz returned status {status!r}"


def _status_line(host: str, port: int) -> bytes:
    """Return the first line of the response, or the part of it that arrived. Raises OSError."""
    ends_at = time.monotonic() + TIMEOUT_SECONDS
    with socket.create_connection((host, port), TIMEOUT_SECONDS) as connection:
        connection.sendall(REQUEST)
        answer = b""
        while b"\n" not in answer and len(answer) < MAX_STATUS_LINE_BYTES:
            left = ends_at - time.monotonic()
            if left <= 0:  # the response arrives too slowly
                raise TimeoutError
            connection.settimeout(left)
            piece = connection.recv(MAX_STATUS_LINE_BYTES)
            if not piece:
                break
            answer += piece
    return answer.partition(b"\n")[0]


if __name__ == "__main__":
    main()
