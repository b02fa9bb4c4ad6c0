"""Readiness: requests to the dependencies of a service, with results cached for a few seconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

Probe = Callable[[], Awaitable[None]]
"""Return if the dependency responds; raise otherwise."""

PROBE_TIMEOUT = 1.0
CACHE_SECONDS = 2.0


@dataclass(frozen=True)
class Report:
    ready: bool
    parts: Mapping[str, str]

    def to_json(self) -> dict[str, str]:
        return {"status": "ready" if self.ready else "unavailable", **self.parts}


class Readiness:
    """Readiness of a service. It is ready if all `required` dependencies respond.

    An `optional` dependency that does not respond is reported as degraded, and the service remains ready.
    """

    def __init__(self, required: Mapping[str, Probe], optional: Mapping[str, Probe]) -> None:
        self._required = required
        self._optional = optional
        self._lock = asyncio.Lock()
        self._report: Report | None = None
        self._checked_at = 0.0

    async def check(self) -> Report:
        async with self._lock:
            if self._report is None or time.monotonic() - self._checked_at > CACHE_SECONDS:
                self._report = await self._probe()
                self._checked_at = time.monotonic()
            return self._report

    async def _probe(self) -> Report:
        probes = {**self._required, **self._optional}
        results = dict(zip(probes, await asyncio.gather(*map(_responds, probes.values())), strict=True))
        parts = {
            name: "ok" if ok else "unavailable" if name in self._required else "degraded"
            for name, ok in results.items()
        }
        return Report(all(results[name] for name in self._required), parts)


async def _responds(probe: Probe) -> bool:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            await probe()
    except Exception:  # noqa: BLE001 - any error means that the dependency is unavailable
        return False
    return True
