"""Services that can be killed and started again quickly: each is forked from a process that has imported them all.

What runs is what the service's own entry point runs, in a process of its own.
"""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path

import aiohttp

import order_api.main
import order_notifier.main
import order_processor.main
from devstack.processes import find_listening_port
from tests.waiting import eventually

HOST = "127.0.0.1"
START_SECONDS = 60.0
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])

RUN = {"api": order_api.main.run, "processor": order_processor.main.run, "notifier": order_notifier.main.run}


class Service:
    """One process of a kind that RUN names. `url` is its address once it has been started."""

    def __init__(self, kind: str, environment: Mapping[str, str], log: Path) -> None:
        self._kind = kind
        self._environment = {**environment, "ORDER_HOST": HOST, "ORDER_PORT": "0"}
        self._log = log
        self._process: multiprocessing.process.BaseProcess | None = None
        self.url = ""

    async def start(self, http: aiohttp.ClientSession) -> None:
        """Returns when it is ready."""
        self._log.touch()
        log_start = self._log.stat().st_size
        self._process = FORKS.Process(target=_run, args=(self._kind, self._environment, self._log), daemon=True)
        self._process.start()
        url = ""

        async def is_ready() -> bool:
            nonlocal url
            assert self.is_alive, f"{self._kind} ended; see {self._log}"
            port = find_listening_port(self._log, log_start)
            url = f"http://{HOST}:{port}"
            return port is not None and await _answers(http, f"{url}/readyz")

        await eventually(is_ready, f"readiness; see {self._log}", patience=START_SECONDS)
        self.url = url

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def kill(self) -> None:
        """As the kernel would: nothing is finished, nothing is said."""
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def pause(self) -> None:
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        assert self._process.pid is not None
        os.kill(self._process.pid, number)


def _run(kind: str, environment: Mapping[str, str], log: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    RUN[kind]()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url, timeout=aiohttp.ClientTimeout(total=3.0)) as response:
            return response.ok
    except (aiohttp.ClientError, TimeoutError):
        return False
