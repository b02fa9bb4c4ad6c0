"""Deliveries of one notifier: which endpoints it serves, and when.

    an append          endpoints of the tenant, at once
    each second        endpoints whose next attempt is due, in the slow lane
    each minute        one of the notifiers looks for endpoints that lag behind the log, whatever was lost

A notifier without a free place, or one that stops, hands an endpoint over: the next notifier that looks for due
endpoints takes it. The consumer of changes never waits for any of this.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from order_notifier.webhook.places import Lane, Place
from order_notifier.webhook.run import CACHE_SECONDS, EndpointRun, Tools
from order_shared.domain.errors import PlatformError
from order_shared.domain.webhook.health import EndpointState
from order_shared.domain.webhook.models import Endpoint
from order_shared.storage.webhooks.endpoints import EndpointRepository

log = structlog.get_logger(__name__)

Name = tuple[str, str]
"""Tenant and id of an endpoint."""

DUE_AT_ONCE = 50
"""Due endpoints read from each key of the index."""
MAX_KNOWN = 10_000
"""Tenants whose endpoints a process remembers, and endpoints that it remembers as slow."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """`places` is the number of places of each lane. Times are in seconds."""

    places: int = 200
    due_seconds: float = 1.0
    check_seconds: float = 60.0
    drain_seconds: float = 30.0


@dataclass(frozen=True, kw_only=True)
class Census:
    """Endpoints by state, and how many of the active ones were behind the log at the last check."""

    states: Mapping[EndpointState, int]
    lagging: int


class Deliveries:
    def __init__(
        self,
        endpoints: EndpointRepository,
        tools: Tools,
        options: Options,
        *,
        on_census: Callable[[Census | None], None] = lambda _: None,
        on_error: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_census` is called after each period: with the result of a check, or None if another notifier made it."""
        self._endpoints = endpoints
        self._tools = tools
        self._options = options
        self._on_census = on_census
        self._on_error = on_error
        self._fast, self._slow = Lane(options.places), Lane(options.places)
        self._slow_known: dict[Name, None] = {}
        self._runs: dict[Name, asyncio.Task[None]] = {}
        self._again: set[Name] = set()
        self._appended: set[str] = set()
        self._waking: dict[str, asyncio.Task[None]] = {}
        self._known: dict[str, tuple[float, Sequence[Endpoint]]] = {}
        """Endpoints by tenant, and the time until which they are not read again."""
        self._last_look = time.monotonic()

    @property
    def idle_seconds(self) -> float:
        """Return the seconds since this notifier last read the due endpoints."""
        return time.monotonic() - self._last_look

    def appended(self, tenant: str) -> None:
        """Serve the endpoints of a tenant whose log has new events. Return at once."""
        self._appended.add(tenant)
        if tenant not in self._waking:
            self._waking[tenant] = asyncio.create_task(self._wake(tenant))

    async def run(self) -> None:
        """Look for due and for lagging endpoints until `stop` is called."""
        async with asyncio.TaskGroup() as group:
            loops = [
                group.create_task(self._repeat(self._look_for_due, self._options.due_seconds)),
                group.create_task(self._repeat(self._check, self._options.check_seconds)),
            ]
            await self._tools.stopping.wait()
            for loop in loops:
                loop.cancel()

    def stop(self) -> None:
        """Start no attempt any more."""
        self._tools.stopping.set()

    async def close(self) -> None:
        """Wait for the attempts in progress, and store what they have achieved."""
        self.stop()
        while self._waking:
            await asyncio.wait(self._waking.values())
        if self._runs:
            _, late = await asyncio.wait(self._runs.values(), timeout=self._options.drain_seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    async def _repeat(self, action: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds * random.uniform(0.75, 1.25))  # noqa: S311 - notifiers must not act in step
            try:
                await action()
            except Exception as error:  # noqa: BLE001 - events are appended whatever becomes of webhooks
                self._failed("webhook_look_up_failed", error)

    async def _look_for_due(self) -> None:
        self._last_look = time.monotonic()
        due = await self._tools.leases.due(self._tools.clock(), DUE_AT_ONCE)
        for name in random.sample(due, len(due)):
            if name not in self._runs and self._slow.enter_at_once():
                self._begin(name, Place(self._slow, self._slow), is_due=True)

    async def _check(self) -> None:
        """Serve the endpoints that lag behind the log of their tenant, if no other notifier does so in this period."""
        if not await self._tools.leases.claim_check(timedelta(seconds=self._options.check_seconds)):
            self._on_census(None)
            return
        states: Counter[EndpointState] = Counter(dict.fromkeys(EndpointState, 0))
        ends = {}
        lagging = 0
        async for page in self._tools.leases.all():
            for endpoint in page:
                states[endpoint.state] += 1
                if endpoint.state is not EndpointState.ACTIVE:
                    continue
                if endpoint.tenant not in ends:
                    ends[endpoint.tenant] = await self._tools.events.latest(endpoint.tenant)
                end = ends[endpoint.tenant]
                if endpoint.replay is not None or endpoint.position != end:
                    lagging += endpoint.position != end
                    await self._serve((endpoint.tenant, endpoint.endpoint_id))
        self._on_census(Census(states=states, lagging=lagging))

    async def _wake(self, tenant: str) -> None:
        try:
            while tenant in self._appended:
                self._appended.discard(tenant)
                for endpoint in await self._endpoints_of(tenant):
                    if endpoint.state is EndpointState.ACTIVE:
                        await self._serve((tenant, endpoint.endpoint_id))
        except Exception as error:  # noqa: BLE001 - the check finds the endpoints
            self._failed("webhook_wake_up_failed", error, tenant=tenant)
        finally:
            self._appended.discard(tenant)
            del self._waking[tenant]

    async def _endpoints_of(self, tenant: str) -> Sequence[Endpoint]:
        """Return the endpoints of a tenant as they were at most CACHE_SECONDS ago."""
        now = time.monotonic()
        if tenant in self._known and now < self._known[tenant][0]:
            return self._known[tenant][1]
        endpoints = await self._endpoints.list(tenant)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[tenant] = now + CACHE_SECONDS, endpoints
        return endpoints

    async def _serve(self, name: Name) -> None:
        """Deliver to an endpoint that has new events, or hand it over if no place is free."""
        if name in self._runs:
            self._again.add(name)
            return
        lane = self._slow if name in self._slow_known else self._fast
        if self._tools.stopping.is_set() or not lane.enter_at_once():
            await self._tools.leases.hand_over(*name)
            return
        self._begin(name, Place(lane, self._slow))

    def _begin(self, name: Name, place: Place, *, is_due: bool = False) -> None:
        self._runs[name] = asyncio.create_task(self._run(name, place, is_due=is_due))

    async def _run(self, name: Name, place: Place, *, is_due: bool) -> None:
        """Deliver to one endpoint, and again if the log has grown meanwhile."""
        leases = self._tools.leases
        try:
            while True:
                self._again.discard(name)
                lease = await (leases.take(*name, is_due=True) if is_due else leases.wake(*name))
                if lease is not None:
                    await EndpointRun(lease, place, self._tools).run()
                is_due = False
                if name not in self._again:
                    break
                if self._tools.stopping.is_set():
                    await leases.hand_over(*name)
                    break
        except Exception as error:  # noqa: BLE001 - the check finds the endpoint
            self._failed("webhook_delivery_failed", error, tenant=name[0], endpoint=name[1])
        finally:
            self._note_pace(name, is_slow=place.is_slow)
            place.leave()
            self._again.discard(name)
            del self._runs[name]

    def _failed(self, event: str, error: Exception, **fields: str) -> None:
        """Note an error. The log has the traceback of an unexpected one."""
        if isinstance(error, PlatformError):
            log.warning(event, error=str(error), **fields)
        else:
            log.error(event, exc_info=error, **fields)
        self._on_error()

    def _note_pace(self, name: Name, *, is_slow: bool) -> None:
        self._slow_known.pop(name, None)
        if is_slow:
            if len(self._slow_known) >= MAX_KNOWN:
                del self._slow_known[next(iter(self._slow_known))]
            self._slow_known[name] = None
