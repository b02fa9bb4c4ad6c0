"""The use cases of customers: place an order, look at one, list them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from order_api.auth import Identity
from order_api.cursors import CursorCodec, Page
from order_api.idempotency import earlier_claim
from order_api.order.exceptions import UnsupportedSort
from order_api.product.catalogue import Catalogue
from order_shared.clock import EPOCH, MAX_MICROS, Clock, from_micros, from_text, to_millis, to_text
from order_shared.exceptions import StorageUnavailable
from order_shared.idempotency import Claim, ClaimKind, ClaimTaken, claim_key, expiry, fingerprint
from order_shared.inventory.exceptions import UnknownSku
from order_shared.messaging.publisher import Publisher
from order_shared.order.events import OrderPlaced
from order_shared.order.exceptions import CurrencyMismatch, OrderInstantTaken, OrderNotFound, ReferenceTaken
from order_shared.order.models import Customer, Order
from order_shared.order.repository import OrderRepository, Window

PLACE_ROUNDS = 5
SORTS = {"-created_at": True, "created_at": False}
"""Those that the table's range key backs, and whether each descends."""
END_OF_TIME = from_micros(MAX_MICROS)
ADMIN_SCOPE = "orders:admin"


@dataclass(frozen=True)
class Placed:
    order: Order
    replayed: bool


class OrderService:
    def __init__(
        self,
        orders: OrderRepository,
        catalogue: Catalogue,
        publisher: Publisher,
        cursors: CursorCodec,
        *,
        clock: Clock,
        sweep_base: timedelta,
        accept_deadline: timedelta,
    ) -> None:
        """`clock` never gives the same instant twice; an order falls due for a sweep `sweep_base` after it.

        Placing an order takes no longer than `accept_deadline`, whatever it waits for.
        """
        self._orders = orders
        self._catalogue = catalogue
        self._publisher = publisher
        self._cursors = cursors
        self._clock = clock
        self._sweep_base = sweep_base
        self._accept_deadline = accept_deadline

    async def place(
        self,
        customer: Customer,
        quantities: Mapping[str, int],
        reference: str | None,
        idempotency_key: str,
        traceparent: str | None,
    ) -> Placed:
        """The order, stored. Work on it is offered to the queue; nobody waits for that.

        Raises UnknownSku, CurrencyMismatch, ReferenceTaken, IdempotencyKeyReused, StorageUnavailable.
        """
        try:
            async with asyncio.timeout(self._accept_deadline.total_seconds()):
                return await self._place(customer, quantities, reference, idempotency_key, traceparent)
        except TimeoutError as error:
            raise StorageUnavailable("no answer within the deadline of accepting") from error

    async def _place(
        self,
        customer: Customer,
        quantities: Mapping[str, int],
        reference: str | None,
        idempotency_key: str,
        traceparent: str | None,
    ) -> Placed:
        payload = {"lines": quantities} if reference is None else {"lines": quantities, "reference": reference}
        key = claim_key(customer, ClaimKind.ORDER, idempotency_key)
        mark = fingerprint(payload)
        for _ in range(PLACE_ROUNDS):
            order: Order | None = None
            try:
                order = await self._new_order(customer, quantities, reference)
                await self._orders.add(order, Claim(key, order.order_id, mark, expiry(order.created_at)))
            except (UnknownSku, CurrencyMismatch, ReferenceTaken, ClaimTaken, OrderInstantTaken) as error:
                earlier = await earlier_claim(self._orders.find_claim, key, mark, self._clock)
                if earlier is None:
                    if isinstance(error, ClaimTaken | OrderInstantTaken):
                        continue  # the claim expired meanwhile, or another process took the same microsecond
                    raise
                if order is None or earlier.subject != order.order_id:
                    return Placed(await self._orders.get(customer, earlier.subject), replayed=True)
                # our own write, whose answer was lost on the way
            self._publisher.offer(OrderPlaced.of(order, traceparent))
            return Placed(order, replayed=False)
        raise StorageUnavailable("too many requests under one idempotency key at once")

    async def get(self, identity: Identity, order_id: str) -> Order:
        """Raises OrderNotFound, also for the orders of others."""
        try:
            return await self._orders.get(identity.customer, order_id)
        except OrderNotFound:
            if ADMIN_SCOPE not in identity.scopes:
                raise
        return await self._orders.get_by_id(identity.customer.tenant, order_id)

    async def list_orders(
        self,
        customer: Customer,
        *,
        start: datetime | None,
        end: datetime | None,
        sort: str,
        limit: int,
        cursor: str | None,
    ) -> Page[Order]:
        """Raises UnsupportedSort, InvalidCursor."""
        if sort not in SORTS:
            raise UnsupportedSort(sort, list(SORTS))
        window = Window(max(start or EPOCH, EPOCH), end or END_OF_TIME)
        scope = {
            "list": "orders",
            "customer": customer.key,
            "sort": sort,
            "start": to_text(window.start),
            "end": to_text(window.end),
        }
        descending = SORTS[sort]
        if cursor is not None:
            position = from_text(self._cursors.decode(cursor, scope))
            if descending:
                window = Window(window.start, position)
            else:
                window = Window(position + timedelta(microseconds=1), window.end)
        orders = await self._orders.list_orders(customer, window, limit=limit + 1, descending=descending)
        return self._cursors.page(orders, limit, scope, lambda order: to_text(order.created_at))

    async def _new_order(self, customer: Customer, quantities: Mapping[str, int], reference: str | None) -> Order:
        products = await self._catalogue.get(customer.tenant, quantities)
        now = self._clock()
        return Order.place(
            customer,
            [(products[sku], quantity) for sku, quantity in quantities.items()],
            at=now,
            due_at=to_millis(now + self._sweep_base),
            reference=reference,
        )
