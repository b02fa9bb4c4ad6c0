"""The processes that are measured: started together, steered, and what CPU each has used."""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from devstack.issuer import AUDIENCE, ISSUER, Issuer
from devstack.processes import Child, ProcessGroup

STATE = Path(".local/bench")
PEERS = STATE / "peers" / "bin"
PEER_SOURCES = Path(__file__).parent / "peers"
REGION = "eu-central-1"
START_SECONDS = 30.0
UVICORN_PORT = re.compile(r"Uvicorn running on http://127\.0\.0\.1:(\d+)")
STUB_PORT = re.compile(r"^(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Machine:
    """One process under measurement, with all processes that it has started. `port` is 0 if it serves none."""

    child: Child
    port: int = 0

    @property
    def processes(self) -> list[psutil.Process]:
        main = psutil.Process(self.child.pid)
        return [main, *main.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """User and system time so far, of all its processes that live."""
        return sum(times.user + times.system for times in (each.cpu_times() for each in self.processes))

    def memory_bytes(self) -> int:
        """Resident set size of all its processes."""
        return sum(each.memory_info().rss for each in self.processes)


@dataclass(frozen=True)
class StubControl:
    """Steers the canned AWS."""

    machine: Machine

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.machine.port}"

    async def count(self, operation: str) -> int:
        """How often it was asked so far."""
        counts: dict[str, int] = await self.tell("Count")
        return counts.get(operation, 0)

    async def tell(self, operation: str, **content: Any) -> Any:
        async with aiohttp.ClientSession() as http:
            headers = {"X-Amz-Target": f"Bench.{operation}"}
            async with http.post(self.url, data=json.dumps(content), headers=headers, timeout=None) as answer:
                return await answer.json(content_type=None)


class Lab:
    """Starts what is to be measured. `aws` is the canned AWS."""

    def __init__(self, group: ProcessGroup, issuer: Issuer, jwks_url: str) -> None:
        self._group = group
        self._jwks_url = jwks_url
        self.issuer = issuer
        self.aws = self.start_stub("stub")

    @property
    def environment(self) -> dict[str, str]:
        """Of every process: a clean one, with the canned AWS for AWS."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {
            **kept,
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.aws.url,
        }

    @property
    def service_environment(self) -> dict[str, str]:
        return {
            **self.environment,
            "ORDER_JWT_ISSUER": ISSUER,
            "ORDER_JWT_AUDIENCE": AUDIENCE,
            "ORDER_JWKS_URL": self._jwks_url,
            "ORDER_CURSOR_SECRETS": "of-no-worth-outside-the-benchmark",
            "ORDER_RATE_LIMIT_PER_SECOND": "1000000",
            "ORDER_RATE_LIMIT_BURST": "1000000",
            "ORDER_PAYMENT_API_KEY": "sk_test_bench",
        }

    def start_stub(self, name: str, module: str = "tests.bench.stub") -> StubControl:
        child = self._group.start(name, [sys.executable, "-m", module], dict(os.environ))
        return StubControl(Machine(child, _port_in_log(child, STUB_PORT)))

    def start_service(self, module: str, name: str = "", **settings: str) -> Machine:
        """One of ours, as its image runs it."""
        name = name or module
        child = self._group.start(name, [sys.executable, "-m", module], {**self.service_environment, **settings})
        child.wait_until(lambda: child.listening_port() is not None, "listening", START_SECONDS)
        port = child.listening_port()
        assert port is not None
        return Machine(child, port)

    def start_peer(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Machine:
        """A program of the peers' environment; `command` begins with its name."""
        child = self._group.start(
            name,
            [str((PEERS / command[0]).absolute()), *command[1:]],
            {**self.environment, "PYTHONPATH": str(PEER_SOURCES), **(environment or {})},
        )
        return Machine(child)

    def start_web_peer(self, name: str, application: str, environment: Mapping[str, str] | None = None) -> Machine:
        """A web application, by uvicorn as it is without options."""
        machine = self.start_peer(name, ["uvicorn", application, "--port", "0"], environment)
        return Machine(machine.child, _port_in_log(machine.child, UVICORN_PORT))


def _port_in_log(child: Child, pattern: re.Pattern[str]) -> int:
    child.wait_until(lambda: pattern.search(child.log()) is not None, "listening", START_SECONDS)
    found = pattern.search(child.log())
    assert found is not None
    return int(found[1])


@contextmanager
def open_lab(logs: str = "logs") -> Iterator[Lab]:
    """On leaving, all that it started has ended. Labs at one time need `logs` of their own."""
    issuer = Issuer.at(STATE / "issuer.pem")
    with issuer.serve() as jwks_url, ProcessGroup(STATE / logs) as group:
        yield Lab(group, issuer, jwks_url)
