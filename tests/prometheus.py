"""Prometheus, if it is installed: its two programs, and a server for the duration of a test."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from devstack.address import LOOPBACK
from devstack.processes import ProcessGroup

FETCHED = Path(".local/prometheus/usr/bin")
"""Folder into which `make prometheus` puts the programs."""

START_SECONDS = 30.0


def program(name: str) -> str | None:
    """Return the path of a program; None if it is not installed."""
    return shutil.which(name) or shutil.which(name, path=FETCHED.resolve())


needs_prometheus = pytest.mark.skipif(
    program("prometheus") is None or program("promtool") is None,
    reason="prometheus and promtool are neither on the path nor fetched: `make prometheus`",
)


class Prometheus:
    """Running server, queried over its API."""

    def __init__(self, http: httpx2.Client) -> None:
        self._http = http

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Return the current series of an expression; fail with Prometheus' error."""
        result: list[dict[str, Any]] = self._get("query", query=expr)["result"]
        return result

    def firing(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self._get("alerts")["alerts"] if alert["state"] == "firing"}

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, what: str, **parameters: str) -> dict[str, Any]:
        answer = self._http.get(f"/api/v1/{what}", params=parameters).json()
        assert answer["status"] == "success", answer
        data: dict[str, Any] = answer["data"]
        return data


@contextmanager
def running_prometheus(config: Path, state: Path) -> Iterator[Prometheus]:
    """Run a server with this configuration and its data below `state`."""
    command = program("prometheus")
    assert command is not None, "the test is marked with needs_prometheus"
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        address = f"{LOOPBACK}:{probe.getsockname()[1]}"
    arguments = [
        f"--config.file={config}",
        f"--storage.tsdb.path={state / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with ProcessGroup(state / "logs") as group, httpx2.Client(base_url=f"http://{address}") as http:
        child = group.start("prometheus", [command, *arguments], dict(os.environ))
        child.wait_until(lambda: _is_ready(http), "ready", START_SECONDS)
        yield Prometheus(http)


def _is_ready(http: httpx2.Client) -> bool:
    try:
        return http.get("/-/ready").is_success
    except httpx2.TransportError:
        return False
