"""`python -m order_shared.healthcheck`: is the service in this container alive?

Asks `/healthz` on the port that ORDER_PORT names. Ends with 0 if the answer is 200, else with 1 and one line why.

It runs every few seconds beside the service, so it imports nothing but `socket`: half the time that `http.client` takes
to start, and nothing of the platform.
"""

import os
import socket
import sys
import time

HOST = "127.0.0.1"
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
TIMEOUT_SECONDS = 2.0
MAX_STATUS_LINE_BYTES = 1024
MAX_PORT = 65535


def main() -> None:
    fault = find_fault(os.environ.get("ORDER_PORT"))
    if fault is not None:
        sys.exit(f"unhealthy: {fault}")


def find_fault(port: str | None) -> str | None:
    """Why the service on this port of ours is not healthy; None if it is."""
    if not port:
        return "ORDER_PORT is not set"
    if not (port.isascii() and port.isdecimal() and len(port) <= len(str(MAX_PORT)) and 1 <= int(port) <= MAX_PORT):
        return f"ORDER_PORT is no number from 1 to {MAX_PORT}: {port!r:.20}"
    try:
        line = _status_line(int(port))
    except TimeoutError:
        return f"port {port} did not answer within {TIMEOUT_SECONDS:g} s"
    except OSError as error:
        return f"port {port}: {error.strerror or error}"
    if not line.startswith(b"HTTP/"):
        return f"port {port} did not answer in HTTP"
    status = b"".join(line.split()[1:2]).decode("ascii", "replace")
    return None if status == "200" else f"/healthz answered {status!r}"


def _status_line(port: int) -> bytes:
    """The first line of the answer, or as much of it as there is. Raises OSError."""
    ends_at = time.monotonic() + TIMEOUT_SECONDS
    with socket.create_connection((HOST, port), TIMEOUT_SECONDS) as connection:
        connection.sendall(REQUEST)
        answer = b""
        while b"\n" not in answer and len(answer) < MAX_STATUS_LINE_BYTES:
            left = ends_at - time.monotonic()
            if left <= 0:  # it answers, drop by drop
                raise TimeoutError
            connection.settimeout(left)
            piece = connection.recv(MAX_STATUS_LINE_BYTES)
            if not piece:
                break
            answer += piece
    return answer.partition(b"\n")[0]


if __name__ == "__main__":
    main()
