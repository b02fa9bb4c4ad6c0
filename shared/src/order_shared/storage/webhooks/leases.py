"""Leases of endpoints, under which notifiers deliver.

At most one notifier delivers to an endpoint at a time. It holds a lease with a fence, a number that each take raises.
Every write of the holder has the fence as its condition, so a holder whose lease has ended changes nothing any more.

    take     no lease, or one that has ended
    save     the fence, and the position that the holder read; a delivery that is added is absent, one that ends exists
    release  the fence, and no wake-up since the holder looked

A wake-up that meets a lease is counted on the endpoint, so that the holder looks at the log once more before it lets
go. No wake-up is lost, whichever of the two writes is first.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from aiodynamo.errors import ConditionalCheckFailed, TransactionCanceled
from aiodynamo.expressions import Condition, F, HashKey, RangeKey, UpdateExpression
from aiodynamo.operations import Delete, Put, Update

from order_shared.aws.dynamodb import Dynamo, FirstAttemptRefused, Item, failed_conditions
from order_shared.aws.encoding import WriteOperation
from order_shared.domain.clock import Clock, to_millis, utc_now
from order_shared.domain.errors import DomainError
from order_shared.domain.webhook.health import DELIVERING
from order_shared.domain.webhook.models import MAX_WAITING, Delivery, Endpoint
from order_shared.entropy import random_uuid
from order_shared.storage.webhooks.items import (
    CHECK_KEY,
    IDLE,
    MAX_SEQUENCE,
    OFF,
    delivery_item,
    item_key,
    progress_of,
    to_delivery,
    to_endpoint,
)
from order_shared.storage.webhooks.updates import ABSENT, EXISTS, assigned, due
from order_shared.tables import DUE_ENDPOINTS_INDEX, WEBHOOK_SHARDS, TableNames

DELIVERS = F("state").is_in([str(state) for state in sorted(DELIVERING)])
LEASE = timedelta(seconds=30)
"""Time after which a lease that is not kept ends, unless a notifier is set to another one."""
ATTEMPTS = 5
"""Maximum attempts to take a lease that another notifier takes and releases meanwhile."""
MAX_SAVED = 49
"""Maximum deliveries of one `save`: DynamoDB takes 100 writes in a transaction, and one that ends takes two."""
PAGE = 100
"""Endpoints of one page: one batch reads them."""


class LeaseLost(DomainError):
    """Another notifier has the lease, or the endpoint was changed or deleted: nothing was stored."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(f"the lease of {endpoint.key} was lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Lease of an endpoint, as the holder last read it. `woken` is the number of wake-ups that it has seen."""

    endpoint: Endpoint
    fence: int
    woken: int


class EndpointLeases(Protocol):
    """Port of the leases. Any method may raise StorageUnavailable; a write's outcome is then unknown."""

    async def take(self, tenant: str, endpoint_id: str, *, is_due: bool = False) -> Lease | None:
        """Take the lease. Return None if another notifier has it, or if the endpoint receives nothing.

        `is_due` tells that the index named the endpoint: it then names it again when the lease has ended.
        """
        ...

    async def wake(self, tenant: str, endpoint_id: str) -> Lease | None:
        """Take the lease, or let its holder look at the log once more before it releases the lease."""
        ...

    async def hand_over(self, tenant: str, endpoint_id: str) -> None:
        """Let the next notifier that looks for due endpoints take it, or its holder look at the log once more."""
        ...

    async def keep(self, lease: Lease) -> Lease:
        """Extend the lease. Return it with the endpoint as it is now. Raises LeaseLost."""
        ...

    async def save(
        self,
        lease: Lease,
        endpoint: Endpoint,
        *,
        added: Sequence[Delivery] = (),
        changed: Sequence[Delivery] = (),
        ended: Sequence[Delivery] = (),
    ) -> Lease:
        """Store progress of the holder, and return the lease after it.

        `added` are new deliveries that wait, `changed` those that still wait, and `ended` those that no longer wait: at
        most MAX_SAVED of them. Raises LeaseLost if the lease is lost, if one of the deliveries was added or ended by
        somebody else, or if more than MAX_WAITING would wait: `keep` tells which.
        """
        ...

    async def release(self, lease: Lease, due_at: datetime | None) -> Lease | None:
        """Release the lease; `due_at` is the time of the next attempt. Return None unless the holder was woken.

        If it was woken since it took or read the lease, it still holds the lease, which is returned.
        """
        ...

    async def waiting(self, tenant: str, endpoint_id: str) -> Sequence[Delivery]:
        """Return the deliveries that wait, the oldest event first."""
        ...

    async def due(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Return tenant and id of up to `limit` endpoints for each key of the index whose next attempt is due."""
        ...

    async def claim_check(self, every: timedelta) -> bool:
        """Return True to one of the notifiers once in each period."""
        ...

    def all(self) -> AsyncIterator[Sequence[Endpoint]]:
        """Return all endpoints, page by page. Eventually consistent."""
        ...


class DynamoEndpointLeases:
    def __init__(self, dynamo: Dynamo, tables: TableNames, *, duration: timedelta, clock: Clock = utc_now) -> None:
        """`duration` is the time after which a lease that is not kept ends."""
        self._dynamo = dynamo
        self._table = tables.webhooks
        self._duration = duration
        self._clock = clock

    async def take(self, tenant: str, endpoint_id: str, *, is_due: bool = False) -> Lease | None:
        now = to_millis(self._clock())
        owner = str(random_uuid())
        update = assigned({"lease_until": self._end(), "lease_owner": owner}) & F("fence").add(1)
        if is_due:
            update &= F("due_at").set(self._end())
        free = F("lease_until").does_not_exist() | F("lease_until").lte(now)
        try:
            item = await self._dynamo.update(
                self._table, item_key(tenant, endpoint_id), update, condition=DELIVERS & free
            )
        except ConditionalCheckFailed:
            found = await self._dynamo.get(self._table, item_key(tenant, endpoint_id))
            if found is None or found.get("lease_owner") != owner:
                return None
            item = found  # the response to the first attempt was lost
        return _lease(item)

    async def wake(self, tenant: str, endpoint_id: str) -> Lease | None:
        for _ in range(ATTEMPTS):
            lease = await self.take(tenant, endpoint_id)
            if lease is not None or not await self._is_free_after_wake_up(tenant, endpoint_id):
                return lease
        return None  # others take and release it all the time, and look at the log each time

    async def hand_over(self, tenant: str, endpoint_id: str) -> None:
        for _ in range(ATTEMPTS):
            now = to_millis(self._clock())
            free = F("lease_until").does_not_exist() | F("lease_until").lte(now)
            try:
                await self._dynamo.update(
                    self._table, item_key(tenant, endpoint_id), F("due_at").set(now), condition=DELIVERS & free
                )
            except ConditionalCheckFailed:
                if not await self._is_free_after_wake_up(tenant, endpoint_id):
                    return
            else:
                return

    async def keep(self, lease: Lease) -> Lease:
        return await self._update(lease, assigned({"lease_until": self._end()}), _is_held(lease))

    async def save(
        self,
        lease: Lease,
        endpoint: Endpoint,
        *,
        added: Sequence[Delivery] = (),
        changed: Sequence[Delivery] = (),
        ended: Sequence[Delivery] = (),
    ) -> Lease:
        values = progress_of(endpoint)
        if added or changed or ended or endpoint.health != lease.endpoint.health:
            values |= due(endpoint, self._end())  # a holder that fails now leaves the endpoint to the others
        update = assigned(values)
        if not (added or changed or ended):
            return await self._update(lease, update, _holds(lease))
        waiting = len(added) - len(ended)
        condition = _holds(lease)
        if waiting:
            update &= F("waiting").add(waiting)
        if added:
            condition &= F("waiting").lte(MAX_WAITING - len(added))
        rows = [
            *(self._put(endpoint, each, ABSENT) for each in added),
            *(self._put(endpoint, each, EXISTS) for each in changed),
            *(write for each in ended for write in self._end_of(endpoint, each)),
        ]
        try:
            await self._dynamo.transact_write([Update(self._table, self._key(lease), update, condition), *rows])
        except TransactionCanceled as error:
            failed_conditions(error)
            raise LeaseLost(endpoint) from error
        return replace(lease, endpoint=replace(endpoint, waiting=endpoint.waiting + waiting))

    async def release(self, lease: Lease, due_at: datetime | None) -> Lease | None:
        millis = IDLE if due_at is None else to_millis(due_at)
        values = {"lease_until": None, "lease_owner": None, **due(lease.endpoint, millis)}
        unseen = F("fence").equals(lease.fence) & F("woken").equals(lease.woken)
        try:
            await self._dynamo.update(self._table, self._key(lease), assigned(values), condition=unseen)
        except ConditionalCheckFailed:
            item = await self._dynamo.get(self._table, self._key(lease))
            is_held = item is not None and item["fence"] == lease.fence and "lease_owner" in item
            return _lease(item) if is_held and item is not None else None
        return None

    async def waiting(self, tenant: str, endpoint_id: str) -> Sequence[Delivery]:
        key = item_key(tenant, endpoint_id)["endpoint"]
        condition = HashKey("endpoint", key) & RangeKey("sequence").between(1, MAX_SEQUENCE)
        found = await self._dynamo.query(self._table, condition, limit=MAX_WAITING)
        return list(map(to_delivery, found))

    async def due(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        pages = await asyncio.gather(
            *(
                self._dynamo.query_page(
                    self._table,
                    HashKey("due_shard", str(shard)) & RangeKey("due_at").between(IDLE + 1, to_millis(now)),
                    limit=limit,
                    index=DUE_ENDPOINTS_INDEX,
                )
                for shard in range(WEBHOOK_SHARDS)
            )
        )
        return [_names(item) for page in pages for item in page.items]

    async def claim_check(self, every: timedelta) -> bool:
        now = self._clock()
        is_over = F("checked_at").does_not_exist() | F("checked_at").lte(to_millis(now - every))
        try:
            await self._dynamo.update(
                self._table, dict(CHECK_KEY), F("checked_at").set(to_millis(now)), condition=is_over
            )
        except ConditionalCheckFailed:
            return False
        return True

    async def all(self) -> AsyncIterator[Sequence[Endpoint]]:
        for shard in (*map(str, range(WEBHOOK_SHARDS)), OFF):
            start: Item | None = None
            while True:
                page = await self._dynamo.query_page(
                    self._table, HashKey("due_shard", shard), limit=PAGE, index=DUE_ENDPOINTS_INDEX, start_key=start
                )
                if page.items:
                    keys = [item_key(*_names(item)) for item in page.items]
                    yield list(map(to_endpoint, await self._dynamo.get_many(self._table, keys)))
                start = page.last_evaluated_key
                if start is None:
                    break

    async def _is_free_after_wake_up(self, tenant: str, endpoint_id: str) -> bool:
        """Count a wake-up for the holder of the lease. Return True if there is no holder any more."""
        try:
            item = await self._dynamo.update(
                self._table, item_key(tenant, endpoint_id), F("woken").add(1), condition=DELIVERS
            )
        except ConditionalCheckFailed:
            return False
        return int(item.get("lease_until", 0)) <= to_millis(self._clock())

    async def _update(self, lease: Lease, update: UpdateExpression, condition: Condition) -> Lease:
        """Change the endpoint under the lease. Raises LeaseLost."""
        try:
            item = await self._dynamo.update(self._table, self._key(lease), update, condition=condition)
        except FirstAttemptRefused as error:
            raise LeaseLost(lease.endpoint) from error
        except ConditionalCheckFailed as error:  # the response to the first attempt may have been lost
            found = await self._dynamo.get(self._table, self._key(lease))
            if found is None or found["fence"] != lease.fence or "lease_owner" not in found:
                raise LeaseLost(lease.endpoint) from error
            item = found
        return _lease(item)

    def _put(self, endpoint: Endpoint, delivery: Delivery, condition: Condition) -> Put:
        item = delivery_item(endpoint.tenant, endpoint.endpoint_id, delivery, self._clock())
        return Put(self._table, item, condition)

    def _end_of(self, endpoint: Endpoint, delivery: Delivery) -> Sequence[WriteOperation]:
        """Return the writes that replace a waiting delivery by one that has ended."""
        key = item_key(endpoint.tenant, endpoint.endpoint_id, delivery.sequence)
        item = delivery_item(endpoint.tenant, endpoint.endpoint_id, delivery, self._clock())
        return [Delete(self._table, key, EXISTS), Put(self._table, item)]

    def _end(self) -> int:
        return to_millis(self._clock() + self._duration)

    @staticmethod
    def _key(lease: Lease) -> Item:
        return item_key(lease.endpoint.tenant, lease.endpoint.endpoint_id)


def _is_held(lease: Lease) -> Condition:
    return F("fence").equals(lease.fence) & F("lease_owner").exists()


def _holds(lease: Lease) -> Condition:
    """Return the condition that the holder still has the lease, and that the position is the one that it read."""
    position = lease.endpoint.position
    return _is_held(lease) & F("epoch").equals(position.epoch) & F("position").equals(position.sequence)


def _lease(item: Item) -> Lease:
    return Lease(endpoint=to_endpoint(item), fence=item["fence"], woken=item["woken"])


def _names(item: Item) -> tuple[str, str]:
    """Return tenant and id of an endpoint from its key."""
    tenant, _, endpoint_id = item["endpoint"].rpartition("/")
    return tenant, endpoint_id
