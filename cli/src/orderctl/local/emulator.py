"""The embedded AWS: ministack, run from an environment of its own, on the loopback only."""

import os
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import httpx

from orderctl.local.processes import Child, ChildFailed, ProcessGroup

HOST = "127.0.0.1"
START_TRIES = 3
READY_SECONDS = 30.0
DEFAULT_SERVICES = ("dynamodb", "dynamodbstreams", "sqs")
PROJECT = Path(__file__).parents[3] / "emulator"
EXECUTABLE = PROJECT / ".venv" / "bin" / "ministack"


class EmulatorMissing(Exception):
    def __init__(self) -> None:
        super().__init__(f"the embedded AWS is not installed; `make setup` installs it ({PROJECT})")


def start_emulator(group: ProcessGroup, *, services: Sequence[str] = DEFAULT_SERVICES) -> tuple[Child, str]:
    """Starts it on a free port; the process and its endpoint URL. Raises ChildFailed, EmulatorMissing."""
    if not EXECUTABLE.exists():
        raise EmulatorMissing
    for attempt in range(1, START_TRIES + 1):
        port = _free_port()
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": os.environ.get("HOME", ""),
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(port),
            "SERVICES": ",".join(services),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
        }
        child = group.start("emulator", [str(EXECUTABLE)], environment)
        endpoint = f"http://{HOST}:{port}"
        try:
            child.wait_until(partial(_is_ready, endpoint), "ready", READY_SECONDS)
        except ChildFailed:
            if attempt == START_TRIES:
                raise
            continue  # somebody else may have taken the port between our look and its start
        return child, endpoint
    raise AssertionError("the loop above returns or raises")


def _is_ready(endpoint: str) -> bool:
    try:
        return httpx.get(f"{endpoint}/_ministack/ready", timeout=2.0).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
