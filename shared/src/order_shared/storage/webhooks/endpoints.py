"""Endpoints as their owners see them: create, read, change and delete them, send events again.

A tenant's directory lists its endpoints, so that their number is limited exactly and a list is strongly consistent.
Every change of the settings ends the lease of the notifier that delivers to the endpoint. What that notifier has
delivered and not stored is delivered again, with the new settings.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from aiodynamo.errors import ConditionalCheckFailed, TransactionCanceled
from aiodynamo.expressions import Condition, F, HashKey, RangeKey
from aiodynamo.operations import Delete, Put, Update

from order_shared.aws.dynamodb import Dynamo, FirstAttemptRefused, Item, failed_conditions
from order_shared.aws.encoding import WriteOperation
from order_shared.domain.clock import Clock, to_millis, utc_now
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.idempotency import IdempotencyRecord, RecordTaken
from order_shared.domain.webhook.exceptions import (
    DeliveryNotFound,
    EndpointChanged,
    EndpointNotFound,
    TooManyDeliveries,
    TooManyEndpoints,
)
from order_shared.domain.webhook.models import MAX_ENDPOINTS, MAX_WAITING, Delivery, DeliveryState, Endpoint, Replay
from order_shared.storage.idempotency_records import get_record, put_record
from order_shared.storage.webhooks.items import (
    MAX_SEQUENCE,
    delivery_item,
    directory_key,
    endpoint_item,
    item_key,
    progress_of,
    settings_of,
    to_delivery,
    to_endpoint,
)
from order_shared.storage.webhooks.updates import ABSENT, EXISTS, assigned, due, end_of_lease
from order_shared.tables import TableNames

ATTEMPTS = 5
"""Maximum attempts of a write whose item changes meanwhile."""
HEALTH = ("state", "disabled_reason", "failing_since", "failures", "probes", "probe_at")


class EndpointRepository(Protocol):
    """Port of the endpoints of tenants. Any method may raise StorageUnavailable; a write's outcome is then unknown."""

    async def create(self, endpoint: Endpoint, record: IdempotencyRecord | None = None) -> None:
        """Store a new endpoint, and with it the record of its request. Raises TooManyEndpoints and RecordTaken."""
        ...

    async def find_record(self, key: str) -> IdempotencyRecord | None:
        """Return the idempotency record with this key, even if it has expired."""
        ...

    async def get(self, tenant: str, endpoint_id: str) -> Endpoint:
        """Return an endpoint. Raises EndpointNotFound."""
        ...

    async def list(self, tenant: str) -> Sequence[Endpoint]:
        """Return the endpoints of a tenant, oldest first."""
        ...

    async def change(self, endpoint: Endpoint) -> Endpoint:
        """Store settings and health of an endpoint whose stored version is that of `endpoint`; return the new state.

        Position, replay and deliveries are unchanged. Raises EndpointNotFound and EndpointChanged.
        """
        ...

    async def delete(self, tenant: str, endpoint_id: str) -> None:
        """Delete an endpoint. Its deliveries can no longer be read, and expire. Raises EndpointNotFound."""
        ...

    async def deliveries(
        self, tenant: str, endpoint_id: str, *, limit: int, before: int | None = None
    ) -> Sequence[Delivery]:
        """Return stored deliveries, the newest events first: those of events before number `before`, if given."""
        ...

    async def delivery(self, tenant: str, endpoint_id: str, sequence: int) -> Delivery:
        """Return the delivery of an event. Raises DeliveryNotFound if none is stored."""
        ...

    async def redeliver(self, tenant: str, endpoint_id: str, delivery: Delivery) -> Delivery:
        """Let a stored or a new delivery be attempted now. Raises EndpointNotFound and TooManyDeliveries."""
        ...

    async def replay(self, tenant: str, endpoint_id: str, first: int, until: int) -> Replay:
        """Send the events from number `first` to before `until` again. An earlier replay ends.

        Events at the position or after it are left out, because they will be sent anyway. Raises EndpointNotFound.
        """
        ...


class DynamoEndpointRepository:
    def __init__(self, dynamo: Dynamo, tables: TableNames, clock: Clock = utc_now) -> None:
        self._dynamo = dynamo
        self._table = tables.webhooks
        self._records = tables.idempotency
        self._clock = clock

    async def create(self, endpoint: Endpoint, record: IdempotencyRecord | None = None) -> None:
        for _ in range(ATTEMPTS):
            directory = await self._directory(endpoint.tenant)
            ids = directory["ids"]
            if endpoint.endpoint_id in ids:
                return  # the response to an earlier attempt was lost
            if len(ids) >= MAX_ENDPOINTS:
                raise TooManyEndpoints
            created = Put(self._table, endpoint_item(endpoint, self._now()), ABSENT)
            listed = self._listed(endpoint.tenant, directory, [*ids, endpoint.endpoint_id])
            recorded = [] if record is None else [put_record(self._records, record, self._clock())]
            try:
                await self._dynamo.transact_write([created, listed, *recorded])
            except TransactionCanceled as error:
                if any(failed_conditions(error)[2:]):
                    raise RecordTaken from error
            else:
                return
        raise self._contended(endpoint.tenant)

    async def find_record(self, key: str) -> IdempotencyRecord | None:
        return await get_record(self._dynamo, self._records, key)

    async def get(self, tenant: str, endpoint_id: str) -> Endpoint:
        return to_endpoint(await self._item(tenant, endpoint_id))

    async def list(self, tenant: str) -> Sequence[Endpoint]:
        ids = (await self._directory(tenant))["ids"]
        if not ids:
            return []
        found = await self._dynamo.get_many(self._table, [item_key(tenant, each) for each in ids])
        return sorted(map(to_endpoint, found), key=lambda endpoint: (endpoint.created_at, endpoint.endpoint_id))

    async def change(self, endpoint: Endpoint) -> Endpoint:
        changed = replace(endpoint, version=endpoint.version + 1, updated_at=self._clock())
        health = {name: value for name, value in progress_of(changed).items() if name in HEALTH}
        values = {**settings_of(changed), **health, **due(changed, self._now())}
        try:
            item = await self._dynamo.update(
                self._table,
                item_key(endpoint.tenant, endpoint.endpoint_id),
                assigned(values) & end_of_lease(),
                condition=F("version").equals(endpoint.version),
            )
        except ConditionalCheckFailed as error:
            stored = await self.get(endpoint.tenant, endpoint.endpoint_id)
            is_first = isinstance(error, FirstAttemptRefused)
            if not is_first and (stored.version, stored.updated_at) == (changed.version, changed.updated_at):
                return stored  # the response to the first attempt was lost
            raise EndpointChanged(endpoint.endpoint_id) from error
        return to_endpoint(item)

    async def delete(self, tenant: str, endpoint_id: str) -> None:
        for _ in range(ATTEMPTS):
            directory = await self._directory(tenant)
            if endpoint_id not in directory["ids"]:
                raise EndpointNotFound(endpoint_id)
            left = [each for each in directory["ids"] if each != endpoint_id]
            deleted = Delete(self._table, item_key(tenant, endpoint_id))
            if await self._write([deleted, self._listed(tenant, directory, left)]):
                return
        raise self._contended(tenant)

    async def deliveries(
        self, tenant: str, endpoint_id: str, *, limit: int, before: int | None = None
    ) -> Sequence[Delivery]:
        last = MAX_SEQUENCE if before is None else before - 1
        if last < 1:
            return []
        waiting = await self._rows(tenant, endpoint_id, 1, last, limit, descending=True)
        ended = await self._rows(tenant, endpoint_id, -last, -1, limit)
        return sorted([*waiting, *ended], key=lambda delivery: -delivery.sequence)[:limit]

    async def delivery(self, tenant: str, endpoint_id: str, sequence: int) -> Delivery:
        for number in (sequence, -sequence):
            item = await self._dynamo.get(self._table, item_key(tenant, endpoint_id, number))
            if item is not None:
                return to_delivery(item)
        raise DeliveryNotFound(endpoint_id, sequence)

    async def redeliver(self, tenant: str, endpoint_id: str, delivery: Delivery) -> Delivery:
        now = self._clock()
        for _ in range(ATTEMPTS):
            endpoint = await self.get(tenant, endpoint_id)
            waits = await self._dynamo.get(self._table, item_key(tenant, endpoint_id, delivery.sequence))
            if waits is None and endpoint.waiting >= MAX_WAITING:
                raise TooManyDeliveries(endpoint_id)
            stored = delivery if waits is None else to_delivery(waits)
            again = replace(stored, state=DeliveryState.WAITING, due_at=now, created_at=now)
            woken = assigned(due(endpoint, self._now())) & F("woken").add(1)
            condition: Condition = F("state").equals(str(endpoint.state))
            put = Put(self._table, delivery_item(tenant, endpoint_id, again, now), EXISTS if waits else ABSENT)
            writes: list[WriteOperation] = [put]
            if waits is None:
                writes.append(Delete(self._table, item_key(tenant, endpoint_id, -delivery.sequence)))
                woken &= F("waiting").add(1)
                condition &= F("waiting").lt(MAX_WAITING)
            if await self._write([Update(self._table, item_key(tenant, endpoint_id), woken, condition), *writes]):
                return again
        raise self._contended(tenant)

    async def replay(self, tenant: str, endpoint_id: str, first: int, until: int) -> Replay:
        for _ in range(ATTEMPTS):
            endpoint = await self.get(tenant, endpoint_id)
            at = endpoint.position
            replay = Replay(epoch=at.epoch, next=min(first, at.sequence), until=min(until, at.sequence))
            wanted = {"epoch": replay.epoch, "next": replay.next, "until": replay.until}
            values = {"replay": wanted if replay.next < replay.until else None, **due(endpoint, self._now())}
            unchanged = F("epoch").equals(at.epoch) & F("state").equals(str(endpoint.state))
            try:
                await self._dynamo.update(
                    self._table,
                    item_key(tenant, endpoint_id),
                    assigned(values) & end_of_lease(),
                    condition=unchanged,
                )
            except ConditionalCheckFailed:
                continue
            return replay
        raise self._contended(tenant)

    async def _item(self, tenant: str, endpoint_id: str) -> Item:
        item = await self._dynamo.get(self._table, item_key(tenant, endpoint_id))
        if item is None:
            raise EndpointNotFound(endpoint_id)
        return item

    async def _directory(self, tenant: str) -> Item:
        item = await self._dynamo.get(self._table, directory_key(tenant))
        return {"ids": [], "revision": 0} if item is None else item

    def _listed(self, tenant: str, directory: Item, ids: Sequence[str]) -> Put:
        revision = directory["revision"]
        unchanged = F("revision").equals(revision) if revision else ABSENT
        return Put(self._table, {**directory_key(tenant), "ids": [*ids], "revision": revision + 1}, unchanged)

    async def _write(self, writes: Sequence[WriteOperation]) -> bool:
        """Apply all writes. Return False if a condition failed."""
        try:
            await self._dynamo.transact_write(writes)
        except TransactionCanceled as error:
            failed_conditions(error)
            return False
        return True

    async def _rows(
        self, tenant: str, endpoint_id: str, first: int, last: int, limit: int, *, descending: bool = False
    ) -> Sequence[Delivery]:
        condition = HashKey("endpoint", item_key(tenant, endpoint_id)["endpoint"]) & RangeKey("sequence").between(
            first, last
        )
        found = await self._dynamo.query(self._table, condition, limit=limit, descending=descending)
        return list(map(to_delivery, found))

    def _now(self) -> int:
        return to_millis(self._clock())

    @staticmethod
    def _contended(tenant: str) -> StorageUnavailable:
        return StorageUnavailable(f"the endpoints of {tenant} changed in all {ATTEMPTS} attempts", contended=True)
