"""Endpoints of one tenant in the storage under test."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from order_shared.aws.dynamodb import Dynamo, Item
from order_shared.aws.encoding import WriteOperation
from order_shared.domain.clock import utc_now
from order_shared.domain.order.events import OrderEvent, OrderEvents
from order_shared.domain.order.positions import Position
from order_shared.domain.webhook.attempt import Attempt
from order_shared.domain.webhook.health import Health
from order_shared.domain.webhook.models import Delivery, Endpoint, SealedSecret, new_endpoint_id
from order_shared.domain.webhook.secret_box import Sealed
from order_shared.storage.webhooks.endpoints import DynamoEndpointRepository
from order_shared.storage.webhooks.leases import DynamoEndpointLeases, Lease
from tests.factories import make_customer, make_order
from tests.integration.conftest import Storage

LEASE = timedelta(seconds=60)
Action = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Interrupted(Dynamo):
    """Client that lets something else happen before its next write."""

    meanwhile: list[Action] = field(default_factory=list)

    async def update(self, *arguments: Any, **keywords: Any) -> Item:
        await self._let_it_happen()
        return await super().update(*arguments, **keywords)

    async def transact_write(self, operations: Sequence[WriteOperation]) -> None:
        await self._let_it_happen()
        await super().transact_write(operations)

    async def _let_it_happen(self) -> None:
        if self.meanwhile:
            await self.meanwhile.pop()()


ACTIVE = Health().activated()


@dataclass
class Endpoints:
    storage: Storage
    repository: DynamoEndpointRepository = field(init=False)
    leases: DynamoEndpointLeases = field(init=False)

    def __post_init__(self) -> None:
        storage = self.storage
        storage.clock.now = max(storage.clock.now, utc_now())  # a real engine deletes items that have expired
        self.repository = DynamoEndpointRepository(storage.dynamo, storage.tables, storage.clock)
        self.leases = DynamoEndpointLeases(storage.dynamo, storage.tables, duration=LEASE, clock=storage.clock)

    @property
    def tenant(self) -> str:
        return self.storage.tenant

    def new(self, **fields: Any) -> Endpoint:
        now = self.storage.clock()
        endpoint = Endpoint(
            tenant=self.tenant,
            endpoint_id=new_endpoint_id(),
            url="https://shop.example/hooks",
            types=frozenset(),
            description="",
            secrets=(SealedSecret(sealed=Sealed("sealed")),),
            position=Position(epoch=1, sequence=10),
            created_at=now,
            updated_at=now,
            health=ACTIVE,
        )
        return replace(endpoint, **fields)

    async def create(self, **fields: Any) -> Endpoint:
        endpoint = self.new(**fields)
        await self.repository.create(endpoint)
        return endpoint

    def interrupted(self, action: Action) -> DynamoEndpointRepository:
        """Return a repository before whose next write the action happens."""
        storage = self.storage
        dynamo = Interrupted(storage.dynamo.client, meanwhile=[action])
        return DynamoEndpointRepository(dynamo, storage.tables, storage.clock)

    async def stored(self, endpoint: Endpoint) -> Endpoint:
        return await self.repository.get(self.tenant, endpoint.endpoint_id)

    async def take(self, endpoint: Endpoint) -> Lease:
        lease = await self.leases.take(self.tenant, endpoint.endpoint_id)
        assert lease is not None
        return lease

    def event(self) -> OrderEvent:
        order = make_order(customer=make_customer(self.tenant, "ada"), at=self.storage.clock())
        return next(iter(OrderEvents.of(order)))

    def delivery(self, sequence: int, **fields: Any) -> Delivery:
        now = self.storage.clock()
        attempt = Attempt(at=now, status=500, error=None, milliseconds=3, response="no")
        delivery = Delivery(sequence=sequence, event=self.event(), created_at=now, due_at=now)
        return replace(delivery.after(attempt), **fields)

    async def save_waiting(self, endpoint: Endpoint, *sequences: int) -> list[Delivery]:
        """Store deliveries that wait, and release the lease."""
        added = [self.delivery(sequence) for sequence in sequences]
        lease = await self.take(endpoint)
        lease = await self.leases.save(lease, lease.endpoint, added=added)
        assert await self.leases.release(lease, added[0].due_at) is None
        return added

    async def waiting(self, endpoint: Endpoint) -> list[int]:
        return [each.sequence for each in await self.leases.waiting(self.tenant, endpoint.endpoint_id)]

    async def due(self) -> list[str]:
        found = await self.leases.due(self.storage.clock(), limit=1000)
        return [endpoint_id for tenant, endpoint_id in found if tenant == self.tenant]
