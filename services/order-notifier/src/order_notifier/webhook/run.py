"""One turn of a notifier at one endpoint: deliver under the lease until nothing is left to do, then release it.

    failing endpoint     one probe at its time: the first delivery that waits
    active endpoint      deliveries that wait and are due, then a replay, then the events from the position on

Up to ten orders are served in parallel, and the events of one order in sequence. Progress is stored after each batch.
If a notifier crashes, the next one delivers its batch again: the receiver knows an event by its id.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from order_notifier.webhook.batches import after_attempt, by_order, is_due, number_of, passed
from order_notifier.webhook.courier import Courier
from order_notifier.webhook.parallel import in_parallel
from order_notifier.webhook.places import Place
from order_shared.domain.clock import Clock, utc_now
from order_shared.domain.order.events import OrderEvent
from order_shared.domain.order.models import Order
from order_shared.domain.order.positions import Position
from order_shared.domain.webhook.attempt import Attempt
from order_shared.domain.webhook.health import EndpointState, Jitter
from order_shared.domain.webhook.models import MAX_WAITING, Delivery, DeliveryState, Endpoint, Gap
from order_shared.storage.event_log.read import (
    EventFilter,
    EventLogReader,
    ExpiredReason,
    LogSlice,
    NumberedEvent,
    PositionExpired,
)
from order_shared.storage.webhooks.leases import MAX_SAVED, EndpointLeases, Lease, LeaseLost

log = structlog.get_logger(__name__)

CACHE_SECONDS = 5.0
"""Time after which every notifier has read a new or changed endpoint. Until then it is served each second."""
MAX_RETRIED = 10
"""Deliveries attempted again before their result is stored. A stored delivery has up to four kilobytes, and a partition
of DynamoDB writes 1,000 a second."""
RETRY_SECONDS = 5.0
"""Time after an unexpected error until the endpoint is served again."""

T = TypeVar("T")


def ignore_attempt(_event: OrderEvent, _attempt: Attempt) -> None:
    """Ignore an attempt."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Ports and settings of a run. `lease` is the duration of a lease. `on_attempt` is called after each attempt."""

    leases: EndpointLeases
    events: EventLogReader
    courier: Courier
    lease: timedelta
    stopping: asyncio.Event
    on_attempt: Callable[[OrderEvent, Attempt], None] = ignore_attempt
    clock: Clock = utc_now
    jitter: Jitter = field(default=random.random)


class EndpointRun:
    def __init__(self, lease: Lease, place: Place, tools: Tools) -> None:
        self._lease = lease
        self._place = place
        self._tools = tools
        self._clock = tools.clock
        self._health = lease.endpoint.health
        self._delivered_at = lease.endpoint.delivered_at
        self._held_until = tools.clock() + tools.lease
        self._is_lost = False
        self._recovered = False
        """True after a successful probe: the deliveries that wait are then attempted at once."""

    @property
    def _endpoint(self) -> Endpoint:
        return self._lease.endpoint

    async def run(self) -> None:
        """Deliver until nothing is left, the lease is lost, or the notifier stops.

        Raises StorageUnavailable and CannotOpenSecret; the endpoint is then served again some seconds later.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - run by a task
        keeper = asyncio.create_task(self._keep(task))
        try:
            await self._deliver()
        except asyncio.CancelledError:
            if not self._is_lost:
                raise
            task.uncancel()
            log.info("webhook_lease_lost", endpoint=self._endpoint.endpoint_id, tenant=self._endpoint.tenant)
        except Exception:
            with suppress(Exception):  # the first error is the one to report; the lease ends by itself
                await self._tools.leases.release(self._lease, self._clock() + timedelta(seconds=RETRY_SECONDS))
            raise
        finally:
            keeper.cancel()

    async def _deliver(self) -> None:
        while True:
            try:
                due_at = await self._work()
                released = await self._tools.leases.release(self._lease, due_at)
                if released is None:
                    return
                self._renew(released)  # woken meanwhile
            except LeaseLost:  # or the API has changed the deliveries
                try:
                    self._renew(await self._tools.leases.keep(self._lease))
                except LeaseLost:
                    return

    def _renew(self, lease: Lease) -> None:
        self._lease = lease
        self._health, self._delivered_at = lease.endpoint.health, lease.endpoint.delivered_at

    async def _keep(self, task: "asyncio.Task[None]") -> None:
        """Extend the lease until cancelled. Cancel the deliveries before it ends."""
        pause = self._tools.lease.total_seconds() / 4
        while True:
            await asyncio.sleep(pause)
            now = self._clock()
            try:
                await self._tools.leases.keep(self._lease)
                self._held_until = now + self._tools.lease
            except LeaseLost:
                self._lose(task)
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the lease is kept or the deliveries end
                log.warning("webhook_lease_not_kept", endpoint=self._endpoint.endpoint_id, error=repr(error))
                if now + 2 * timedelta(seconds=pause) < self._held_until:
                    continue
                self._lose(task)
                return

    def _lose(self, task: "asyncio.Task[None]") -> None:
        self._is_lost = True
        task.cancel()

    async def _work(self) -> datetime | None:
        """Deliver what can be delivered now. Return the time of the next attempt; None if nothing waits."""
        while not self._tools.stopping.is_set():
            await self._place.resume()
            endpoint, now = self._endpoint, self._clock()
            if not endpoint.health.delivers:
                return None
            if endpoint.state is EndpointState.FAILING:
                if endpoint.health.probe_at is not None and endpoint.health.probe_at > now:
                    return endpoint.health.probe_at
                await self._probe()
                continue
            groups = by_order(await self._waiting())
            due = [group for group in groups.values() if self._recovered or is_due(group[0], now)]
            if due:
                self._recovered = False
                await self._retry(due)
            elif endpoint.waiting >= MAX_WAITING:
                self._health = endpoint.health.overwhelmed(now, jitter=self._tools.jitter)
                await self._save()
            elif not await self._pass_on(groups):
                times = [group[0].due_at for group in groups.values() if group[0].due_at is not None]
                if now - endpoint.updated_at < timedelta(seconds=CACHE_SECONDS + 1):
                    times.append(now + timedelta(seconds=1))
                return min(times, default=None)
        return self._clock()

    async def _waiting(self) -> Sequence[Delivery]:
        endpoint = self._endpoint
        if not endpoint.waiting:
            return []
        return await self._tools.leases.waiting(endpoint.tenant, endpoint.endpoint_id)

    async def _probe(self) -> None:
        """Make one attempt: with the oldest delivery that waits, or with the next event."""
        waiting = await self._waiting()
        if waiting:
            await self._retry([waiting[:1]])
        elif not await self._pass_on({}, limit=1):
            self._health = self._health.activated()  # nothing is left to probe with
            await self._save()
        self._recovered = self._health.state is EndpointState.ACTIVE

    async def _retry(self, groups: Sequence[Sequence[Delivery]]) -> None:
        """Attempt deliveries that wait, those of one order in sequence until one fails."""
        chosen: list[Sequence[Delivery]] = []
        for group in groups:
            if sum(map(len, chosen)) + len(group) <= MAX_RETRIED or not chosen:
                chosen.append(group[:MAX_RETRIED])
        orders = await self._tools.courier.orders_of([each.event for group in chosen for each in group])
        after: list[Delivery] = []

        async def attempt(delivery: Delivery) -> bool:
            result = await self._attempt(delivery.event, orders)
            after.append(after_attempt(delivery, result, self._clock(), self._tools.jitter))
            return after[-1].state is not DeliveryState.WAITING

        await self._in_parallel(chosen, attempt)
        changed = [each for each in after if each.state is DeliveryState.WAITING]
        ended = [each for each in after if each.state is not DeliveryState.WAITING]
        await self._save(changed=changed, ended=ended)

    async def _pass_on(self, waiting: Mapping[str, Sequence[Delivery]], *, limit: int = MAX_SAVED) -> bool:
        """Deliver the next events of a replay or from the position on. Return False if there are none.

        `waiting` are the deliveries that wait, by order.
        """
        endpoint = self._endpoint
        limit = min(limit, MAX_WAITING - endpoint.waiting)
        try:
            part = await self._read(limit)
        except PositionExpired as error:
            await self._skip_expired(error.reason)
            return True
        if part.next == self._start:
            return False
        groups: dict[str, list[NumberedEvent]] = {}
        for each in part.events:
            if each.event.order_id not in waiting:
                groups.setdefault(each.event.order_id, []).append(each)
        orders = await self._tools.courier.orders_of([each.event for group in groups.values() for each in group])
        attempts: dict[int, Attempt] = {}

        async def attempt(each: NumberedEvent) -> bool:
            attempts[number_of(each)] = result = await self._attempt(each.event, orders)
            return result.succeeded

        await self._in_parallel(list(groups.values()), attempt)
        done = passed(part.events, attempts, waiting=waiting, now=self._clock(), jitter=self._tools.jitter)
        await self._move(part.next if done.cut is None else replace(part.next, sequence=done.cut), done.added)
        return True

    @property
    def _start(self) -> Position:
        """Return the position of the next event to deliver."""
        endpoint = self._endpoint
        replay = endpoint.replay
        return endpoint.position if replay is None else Position(epoch=replay.epoch, sequence=replay.next)

    async def _read(self, limit: int) -> LogSlice:
        """Read the next events. Those of a replay end before its end. Raises PositionExpired."""
        endpoint, start = self._endpoint, self._start
        wanted = EventFilter(changes=endpoint.types)
        part = await self._tools.events.read(endpoint.tenant, start, limit=limit, matching=wanted)
        if endpoint.replay is None or part.next.sequence < endpoint.replay.until:
            return part
        until = endpoint.replay.until
        events = [each for each in part.events if number_of(each) < until]
        return LogSlice(events=events, next=replace(part.next, sequence=until), more=part.more)

    async def _move(self, after: Position, added: Sequence[Delivery]) -> None:
        """Store that the events before the position `after` were passed."""
        endpoint, replay = self._endpoint, self._endpoint.replay
        if replay is None:
            moved = replace(endpoint, position=after)
        else:
            is_left = after.sequence < replay.until
            moved = replace(endpoint, replay=replace(replay, next=after.sequence) if is_left else None)
        await self._save(moved, added=added)

    async def _skip_expired(self, reason: ExpiredReason) -> None:
        """Continue at the oldest event, and let the owner see how many events may be missing."""
        endpoint, replay = self._endpoint, self._endpoint.replay
        oldest = await self._tools.events.earliest(endpoint.tenant)
        if replay is not None:
            is_left = oldest.epoch == replay.epoch and replay.next < oldest.sequence < replay.until
            await self._save(replace(endpoint, replay=replace(replay, next=oldest.sequence) if is_left else None))
            return
        is_known = reason is ExpiredReason.RETENTION and oldest.epoch == endpoint.position.epoch
        missing = oldest.sequence - endpoint.position.sequence if is_known else None
        gap = Gap(at=self._clock(), reason=str(reason), events=missing)
        log.warning(
            "webhook_events_missing",
            endpoint=endpoint.endpoint_id,
            tenant=endpoint.tenant,
            reason=str(reason),
            events=missing,
        )
        await self._save(replace(endpoint, position=oldest, gap=gap))

    async def _attempt(self, event: OrderEvent, orders: Mapping[str, Order]) -> Attempt:
        attempt = await self._tools.courier.send(self._endpoint, event, orders.get(event.order_id))
        if attempt.succeeded:
            self._health = self._health.succeeded()
            self._delivered_at = attempt.at
        else:
            is_probe = self._endpoint.state is EndpointState.FAILING
            self._health = self._health.failed(
                self._clock(), is_gone=attempt.gone, is_probe=is_probe, jitter=self._tools.jitter
            )
        self._tools.on_attempt(event, attempt)
        return attempt

    async def _in_parallel(self, groups: Sequence[Sequence[T]], attempt: Callable[[T], Awaitable[bool]]) -> None:
        """Attempt until the endpoint is failing or disabled, the notifier stops, or the lease may have ended."""
        state = self._health.state

        def may_start() -> bool:
            is_held = self._clock() < self._held_until  # false if the process was paused
            return is_held and self._health.state is state and not self._tools.stopping.is_set()

        await in_parallel(groups, attempt, may_start=may_start, place=self._place)

    async def _save(
        self,
        endpoint: Endpoint | None = None,
        *,
        added: Sequence[Delivery] = (),
        changed: Sequence[Delivery] = (),
        ended: Sequence[Delivery] = (),
    ) -> None:
        """Store progress. Raises LeaseLost."""
        before = self._endpoint
        after = replace(endpoint or before, health=self._health, delivered_at=self._delivered_at)
        self._lease = await self._tools.leases.save(self._lease, after, added=added, changed=changed, ended=ended)
        if after.state is not before.state:
            log.info(
                "webhook_endpoint_changed",
                endpoint=after.endpoint_id,
                tenant=after.tenant,
                state=str(after.state),
                reason=after.health.disabled_reason and str(after.health.disabled_reason),
            )
