"""Requests that ask whether a process on this machine is ready.

They are made many times while it starts: without a client's certificates and proxy settings, which take longer to load
than the answer, and which a process on this machine never needs.
"""

from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

PATIENCE_SECONDS = 3.0


def status_of(url: str) -> int | None:
    """Return the status of the response to a GET; None if nothing answers."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def is_ready(url: str) -> bool:
    """Return whether the response to a GET is 200."""
    return status_of(url) == 200
