"""Use cases of customers: place, read, list and cancel orders."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta
from functools import partial

from order_api.auth import Identity
from order_api.cursors import CursorCodec, Page
from order_api.idempotency import earlier_record
from order_api.order.exceptions import NotCancellable, VersionMismatch
from order_api.order.listing import Listing, find
from order_api.order.waiting import MAX_WAITING, wait_until
from order_api.product.catalogue import Catalogue
from order_shared.domain.clock import Clock, from_text, to_millis, to_text
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.idempotency import IdempotencyRecord, RecordKind, RecordTaken, expiry, fingerprint, record_key
from order_shared.domain.inventory.exceptions import UnknownSku
from order_shared.domain.money.charges import AmountNotChargeable
from order_shared.domain.order.exceptions import (
    CurrencyMismatch,
    OrderInstantTaken,
    OrderNotFound,
    ReferenceTaken,
    StaleOrder,
)
from order_shared.domain.order.messages import CancellationRequested, ProcessingRequested
from order_shared.domain.order.models import Customer, Order, OrderStatus
from order_shared.messaging.publisher import MessagePublisher
from order_shared.storage.orders import OrderRepository

PLACE_ROUNDS = 5
CANCEL_ROUNDS = 4
ADMIN_SCOPE = "orders:admin"


@dataclass(frozen=True, kw_only=True)
class PlaceOrder:
    """Request to place an order. `quantities` maps SKUs to units; `traceparent` identifies the trace of the request.

    `reference` has the form in which it was sent. The fingerprint is of this form, so that a retry at another release
    has the same fingerprint; the order gets its normal form. `placed_by` is the subject that acts for the customer, if
    any. The fingerprint does not contain it: the key belongs to the customer, whoever sends it.
    """

    customer: Customer
    quantities: Mapping[str, int]
    reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    placed_by: str | None = None
    payment_token: str | None = None
    traceparent: str | None = None

    def fingerprint(self) -> str:
        """Return a digest that is equal for equal requests, in any order of lines and of metadata.

        Omitted parts are not in the digest, so that a request without them has the same digest at the last release.
        """
        payload = {
            "lines": self.quantities,
            "reference": self.reference,
            "payment_token": self.payment_token,
            "metadata": dict(self.metadata) or None,
        }
        return fingerprint({name: value for name, value in payload.items() if value is not None})


@dataclass(frozen=True)
class PlaceResult:
    order: Order
    replayed: bool


@dataclass(eq=False)
class OrderService:
    orders: OrderRepository
    catalogue: Catalogue
    publisher: MessagePublisher
    cursors: CursorCodec
    _: KW_ONLY
    clock: Clock
    """Clock that never returns the same instant twice."""
    sweep_base: timedelta
    """Time from an order's creation until it is due for a sweep."""
    cancel_window: timedelta
    """Time after confirmation during which an order can be cancelled."""
    accept_deadline: timedelta
    """Time limit for placing an order."""
    stores_history: bool = True
    """Whether new orders are stored with their history, or with their timeline only."""
    on_accepted: Callable[[], None]
    on_ended: Callable[[Order, datetime], None]
    on_unreadable: Callable[..., None]
    """Called with `order` and the reason for each order that a list leaves out."""
    _stopping: bool = field(default=False, init=False)
    _waiting: int = field(default=0, init=False)

    async def place(self, request: PlaceOrder, idempotency_key: str) -> PlaceResult:
        """Store the order and return it. Offer its message to the publisher without waiting for SQS.

        Raises UnknownSku, CurrencyMismatch, AmountNotChargeable, ReferenceTaken, IdempotencyKeyReused,
        StorageUnavailable.
        """
        try:
            async with asyncio.timeout(self.accept_deadline.total_seconds()):
                return await self._place(request, idempotency_key)
        except TimeoutError as error:
            raise StorageUnavailable("the order was not stored within accept_deadline") from error

    async def _place(self, request: PlaceOrder, idempotency_key: str) -> PlaceResult:
        key = record_key(request.customer, RecordKind.ORDER, idempotency_key)
        request_fingerprint = request.fingerprint()
        for _ in range(PLACE_ROUNDS):
            order: Order | None = None
            try:
                order = await self._new_order(request)
                await self.orders.add(
                    order,
                    IdempotencyRecord(
                        key=key,
                        subject=order.order_id,
                        fingerprint=request_fingerprint,
                        expires_at=expiry(order.created_at),
                    ),
                    sent_reference=request.reference,
                )
            except (
                UnknownSku,
                CurrencyMismatch,
                AmountNotChargeable,
                ReferenceTaken,
                RecordTaken,
                OrderInstantTaken,
            ) as error:
                earlier = await earlier_record(self.orders.find_record, key, request_fingerprint, self.clock)
                if earlier is None:
                    if isinstance(error, RecordTaken | OrderInstantTaken):
                        continue  # the record expired meanwhile, or another process used the same microsecond
                    raise
                if order is None or earlier.subject != order.order_id:
                    return PlaceResult(await self.orders.get(request.customer, earlier.subject), replayed=True)
                # the write succeeded, but its response was lost
            self.on_accepted()
            self.publisher.offer(ProcessingRequested.of(order))
            return PlaceResult(order, replayed=False)
        raise StorageUnavailable("too many concurrent requests with one idempotency key")

    async def get(self, identity: Identity, order_id: str) -> Order:
        """Return an order of the caller or, with ADMIN_SCOPE, of any customer of the tenant.

        Raises OrderNotFound, also for an order that the caller may not read.
        """
        try:
            return await self.orders.get(identity.customer, order_id)
        except OrderNotFound:
            if ADMIN_SCOPE not in identity.scopes:
                raise
        return await self.orders.get_by_id(identity.customer.tenant, order_id)

    async def get_when(
        self,
        done: Callable[[Order], bool],
        identity: Identity,
        order_id: str,
        *,
        seconds: float,
        is_gone: Callable[[], Awaitable[bool]],
    ) -> tuple[Order, bool]:
        """Wait up to `seconds` until the order has ended or is `done`. Return it, and whether the wait was honoured.

        There is no wait if too many callers wait already. A wait ends early if the service stops or the caller
        `is_gone`. Raises the same errors as `get`.
        """

        async def gave_up() -> bool:
            return self._stopping or await is_gone()

        order = await self.get(identity, order_id)
        if self._waiting >= MAX_WAITING:
            return order, False  # a preference may be ignored; waiting callers must not use up the request limit
        self._waiting += 1
        try:
            order = await wait_until(
                lambda order: not order.is_open or done(order),
                order,
                partial(self.orders.get, order.customer, order.order_id),
                seconds=seconds,
                gave_up=gave_up,
            )
            return order, not self._stopping
        finally:
            self._waiting -= 1

    def stop_waiting(self) -> None:
        """End all waits within a second. Safe to call from a signal handler."""
        self._stopping = True

    async def cancel(
        self, identity: Identity, order_id: str, versions: Collection[int] | None, *, traceparent: str | None = None
    ) -> Order:
        """Cancel the order, or request its cancellation by the processor if stock is reserved. Return the order.

        A repeated call changes nothing. `versions` are the versions to cancel, or None for any. `traceparent`
        identifies the trace of the request. Raises OrderNotFound, NotCancellable, VersionMismatch.
        """
        for _ in range(CANCEL_ROUNDS):
            order = await self.get(identity, order_id)
            if order.status is OrderStatus.CANCELLED or order.cancel_requested_at is not None:
                return order
            if versions is not None and order.version not in versions:
                raise VersionMismatch(order.version)
            now = self.clock()
            if not self._is_cancellable(order, now):
                raise NotCancellable(order)
            try:
                if order.status is OrderStatus.PENDING:
                    cancelled = await self.orders.move(order, order.cancel(now))
                    self.on_ended(cancelled, now)
                    return cancelled
                requested = order.request_cancel(now, due_at=to_millis(now + self.sweep_base))
                requested = await self.orders.request_cancel(
                    requested, version=None if versions is None else order.version
                )
            except StaleOrder:
                continue  # the processor changed the order first: read it again
            self.publisher.offer(CancellationRequested.of(requested, traceparent=traceparent))
            return requested
        raise StorageUnavailable(f"order {order_id} was changed by others in all {CANCEL_ROUNDS} attempts")

    def _is_cancellable(self, order: Order, now: datetime) -> bool:
        if order.status is OrderStatus.CONFIRMED:
            return now - order.timeline[-1].at <= self.cancel_window
        return order.is_open

    async def list_orders(self, listing: Listing, *, limit: int, cursor: str | None) -> Page[Order]:
        """Return a page of up to `limit` orders. With filters it may be short or empty. Raises InvalidCursor."""
        scope = listing.scope()
        resume_at = None if cursor is None else from_text(self.cursors.decode(cursor, scope))
        found = await find(self.orders, listing, limit=limit, resume_at=resume_at)
        for order in found.unreadable:
            self.on_unreadable("order", created_at=to_text(order.created_at), error=order.error)
        more = found.resume_at
        return Page(found.orders, None if more is None else self.cursors.encode(to_text(more), scope))

    async def _new_order(self, request: PlaceOrder) -> Order:
        products = await self.catalogue.get(request.customer.tenant, request.quantities)
        now = self.clock()
        return Order.place(
            request.customer,
            [(products[sku], quantity) for sku, quantity in request.quantities.items()],
            at=now,
            due_at=to_millis(now + self.sweep_base),
            reference=request.reference,
            metadata=request.metadata,
            placed_by=request.placed_by,
            payment_token=request.payment_token,
            traceparent=request.traceparent,
            stores_history=self.stores_history,
        )
