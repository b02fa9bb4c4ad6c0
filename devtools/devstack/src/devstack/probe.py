"""Readiness probes of processes on this machine.

A probe is repeated many times during a start. It loads neither certificates nor proxy settings: a local process needs
none, and loading them takes longer than the response.
"""

from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

PATIENCE_SECONDS = 3.0


def status_of(url: str) -> int | None:
    """Return the status of the response to a GET; None if there is no response."""
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
