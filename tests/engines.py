"""The AWS engines that the contract suite runs on, each a process for the session."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

import boto3

from devstack.address import LOOPBACK
from devstack.emulator import start_emulator
from devstack.probe import status_of
from devstack.processes import ProcessGroup
from devstack.stack import local_session

DYNAMODB_LOCAL_HOME = Path(os.environ.get("DYNAMODB_LOCAL_HOME", ".local/dynamodb-local"))
START_SECONDS = 60.0

SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Options of Java for minutes of work: its optimizing compiler would take more CPU than it saves."""


@cache
def client(service: Literal["dynamodb", "sqs"], endpoint: str) -> Any:
    """Return a client of boto3 for an engine: one for all tests, because making one takes longer than most tests."""
    return _session().client(service, endpoint_url=endpoint)


@cache
def _session() -> boto3.Session:
    return local_session()


@contextmanager
def emulator(logs: Path) -> Iterator[str]:
    """Start the emulator; return its endpoint."""
    with ProcessGroup(logs) as group:
        _, endpoint = start_emulator(group)
        yield endpoint


def dynamodb_local_missing() -> str | None:
    """Return the reason why DynamoDB Local cannot run here; None if it can."""
    if shutil.which("java") is None:
        return "no Java"
    if not (DYNAMODB_LOCAL_HOME / "DynamoDBLocal.jar").exists():
        return f"no DynamoDB Local in {DYNAMODB_LOCAL_HOME}; `make dynamodb-local` fetches it"
    return None


@contextmanager
def dynamodb_local(logs: Path) -> Iterator[str]:
    """Start Amazon's DynamoDB Local, strict about expressions and exact in transactions; return its endpoint."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    home = DYNAMODB_LOCAL_HOME.resolve()
    command = [
        "java",
        *SHORT_LIVED,
        f"-Djava.library.path={home / 'DynamoDBLocal_lib'}",
        "-jar",
        str(home / "DynamoDBLocal.jar"),
        "-inMemory",
        "-sharedDb",
        "-port",
        str(port),
    ]
    with ProcessGroup(logs) as group:
        child = group.start("dynamodb-local", command, dict(os.environ))
        endpoint = f"http://{LOOPBACK}:{port}"
        child.wait_until(lambda: status_of(endpoint) is not None, "ready", START_SECONDS)
        yield endpoint
