"""Program of the tests with the last release: store an order in every state in which it can rest.

It runs over the sources of either release, and uses that release's own domain, storage, queue and payment gateway.

    resting_orders.py store TENANT        store two orders per state, send the message of one; print both as JSON
    resting_orders.py retry TENANT ID…    retry parked orders, as an operator does
    resting_orders.py parked TENANT       print the ids of the parked orders that the release finds, as JSON
"""

import asyncio
import json
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import stripe
import structlog

from order_processor.config import ProcessorSettings
from order_processor.payments.gateway import PaymentDeclined, PaymentUnavailable
from order_processor.payments.stripe_gateway import StripeGateway
from order_shared.messaging.queue import OutgoingMessage
from order_shared.tables import OPEN_SHARDS

Order = Any
"""The class of the release that runs."""
IS_LAST = find_spec("order_shared.domain") is None
CARD, DECLINED = "pm_card_visa", "pm_card_chargeDeclined"
SAVES_500, REFUND_SAVES_500 = "pm_sandbox_saves_500", "pm_sandbox_refund_saves_500"
SKU, PRICE = "TEA", 590
LEASE_SECONDS = 3
BACKEND = "backend"
"""Subject that places this release's orders for the customer, which the last release ignores and keeps."""


def module(last: str, this: str) -> Any:
    return import_module(f"order_shared.{last if IS_LAST else this}")


models = module("order.models", "domain.order.models")
messages = module("order.events", "domain.order.messages")
clock = module("clock", "domain.clock")
products = module("inventory.models", "domain.inventory.models")
idempotency = module("idempotency", "domain.idempotency")
runtime = module("adapters", "runtime.adapters")
config = module("config", "runtime.config")
metrics = module("telemetry", "runtime.metrics")

now = clock.utc_now
unique_now = clock.UniqueClock()


class Writer:
    """Brings one order to a state, write by write, as the release does."""

    def __init__(self, adapters: Any, gateway: Any, *, stores_history: bool) -> None:
        self.adapters = adapters
        self.gateway = gateway
        self.stores_history = stores_history

    async def send(self, order: Order) -> None:
        """Send the message of an order, with the type that the release sends."""
        if IS_LAST:
            body = messages.event_of(order).to_json()
        else:
            body = messages.message_of(order).to_json(former_type=self.adapters.former_message_types)
        await self.adapters.queue.send([OutgoingMessage(body)])

    async def place(self, tenant: str, token: str | None) -> Order:
        customer = models.Customer(tenant=tenant, id="ada")
        product = products.Product(
            tenant=tenant, sku=SKU, name="Green tea", unit_price=PRICE, currency="EUR", updated_at=now()
        )
        at = unique_now()
        order = models.Order.place(
            customer,
            [(product, 1)],
            at=at,
            due_at=clock.to_millis(at),
            reference=uuid.uuid4().hex,
            payment_token=token,
            **({} if IS_LAST else {"placed_by": BACKEND, "stores_history": self.stores_history}),
        )
        make, key_of, kinds = (
            (idempotency.Claim, idempotency.claim_key, idempotency.ClaimKind)
            if IS_LAST
            else (idempotency.IdempotencyRecord, idempotency.record_key, idempotency.RecordKind)
        )
        key = key_of(customer, kinds.ORDER, uuid.uuid4().hex)
        record = make(key=key, subject=order.order_id, fingerprint="v1:test", expires_at=idempotency.expiry(at))
        await self.adapters.orders.add(order, record)
        return order

    async def move(self, before: Order, after: Order) -> Order:
        await self.adapters.orders.move(before, after)
        return after

    async def failed(self, order: Order) -> Order:
        return await self.move(order, order.failed(now(), *([] if IS_LAST else [ValueError("a bug")])))

    async def swept(self, order: Order) -> Order:
        for shard in range(OPEN_SHARDS):
            for entry in await self.adapters.orders.list_due(str(shard), 2**53, 100):
                if (entry.customer_key, entry.created_at) == (order.customer.key, order.created_at):
                    return await self.adapters.orders.postpone(entry, clock.to_millis(now()), sweeps=2)
        raise LookupError(order.order_id)

    async def parked(self, order: Order) -> Order:
        return await self.move(order, order.park(now(), "overdue"))

    async def unparked(self, order: Order) -> Order:
        return await self.move(order, order.unpark(now(), due_at=clock.to_millis(now())))

    async def retried(self, order: Order) -> Order:
        return await self.unparked(await self.parked(order))

    async def confirmed(self, order: Order) -> Order:
        return await self.move(order, order.confirm(now()))

    async def rejected(self, order: Order) -> Order:
        reason = models.Reason(models.ReasonCode.OUT_OF_STOCK, "fewer than 1 of TEA are in stock", SKU)
        return await self.move(order, order.reject(now(), reason))

    async def cancel_requested(self, order: Order) -> Order:
        requested = order.request_cancel(now(), due_at=clock.to_millis(now()))
        return await self.adapters.orders.request_cancel(requested, version=None)

    async def leased(self, order: Order) -> Order:
        until = now() + timedelta(seconds=LEASE_SECONDS)
        return await self.move(order, order.reserve(now(), owner=uuid.uuid4().hex, lease_until=until))

    async def released(self, order: Order) -> Order:
        return await self.move(order, order.release())

    async def taken_over(self, order: Order) -> Order:
        after = order.take_over(owner=uuid.uuid4().hex, lease_until=now() + timedelta(seconds=LEASE_SECONDS))
        return await self.move(order, after)

    async def payment_created(self, order: Order) -> Order:
        """Create the payment at the provider, and crash before the order knows of it."""
        await self._create(order)
        return order

    async def payment_noted(self, order: Order) -> Order:
        return await self.move(order, order.with_payment(await self._create(order)))

    async def payment_confirmed(self, order: Order) -> Order:
        """Charge the card, and crash before the order knows of it. The charge may be declined, or fail."""
        with suppress(PaymentDeclined, PaymentUnavailable):
            if IS_LAST:
                await self.gateway.confirm(order.order_id, order.payment_id, order.payment_token)
            else:
                await self.gateway.confirm(order.charge, order.payment.token)
        return order

    async def payment_refunded(self, order: Order) -> Order:
        """Refund the charge, which fails, and crash before the order knows of it."""
        with suppress(PaymentUnavailable):
            if IS_LAST:
                await self.gateway.void(order.order_id, order.payment_id)
            else:
                await self.gateway.refund(order.charge)
        return order

    async def undo(self, order: Order) -> Order:
        payments = import_module("order_shared.domain.order.payments")
        return await self.move(order, order.begin_undo(payments.Undo(payments.UndoKind.REPLACE)))

    async def next_key(self, order: Order) -> Order:
        payments = import_module("order_shared.domain.order.payments")
        return await self.move(order, order.with_next_attempt(payments.PaymentCall.CONFIRM))

    async def _create(self, order: Order) -> str:
        if IS_LAST:
            return str(await self.gateway.create(order.order_id, amount=order.total, currency=order.currency))
        return str(await self.gateway.create(order.charge))


Step = Callable[[Writer, Order], Awaitable[Order]]
W = Writer
HELD = (W.leased, W.payment_noted, W.released)
PAID = (W.leased, W.payment_noted, W.payment_confirmed)

STATES: Mapping[str, tuple[str | None, tuple[Step, ...]]] = {
    "placed": (None, ()),
    "placed, awaiting a retry": (None, (W.failed,)),
    "placed, swept": (None, (W.swept,)),
    "placed, parked": (None, (W.parked,)),
    "placed, retried by an operator": (None, (W.retried,)),
    "confirmed": (None, (W.confirmed,)),
    "rejected": (None, (W.rejected,)),
    "cancelled": (
        None,
        (W.confirmed, W.cancel_requested, lambda writer, order: writer.move(order, order.cancel(now()))),
    ),
    "confirmed, cancel requested": (None, (W.confirmed, W.cancel_requested)),
    "paid: placed": (CARD, ()),
    "paid: awaiting a retry": (CARD, (W.failed, W.leased, W.released)),
    "paid: lease held": (CARD, (W.leased,)),
    "paid: lease released": (CARD, (W.leased, W.released)),
    "paid: lease taken over": (CARD, (W.leased, W.taken_over, W.released)),
    "paid: payment noted": (CARD, HELD),
    "paid: payment noted, lease held": (CARD, (W.leased, W.payment_noted)),
    "paid: charged": (CARD, (*PAID, W.released)),
    "paid: parked": (CARD, (*HELD, W.parked)),
    "paid: retried by an operator": (CARD, (*HELD, W.retried)),
    "paid: reserved, cancel requested": (CARD, (*HELD, W.cancel_requested)),
    "paid: charged, cancel requested": (CARD, (*PAID, W.released, W.cancel_requested)),
    "paid: confirmed": (CARD, (*PAID, W.confirmed)),
    "paid: confirmed, cancel requested": (CARD, (*PAID, W.confirmed, W.cancel_requested)),
    "declined: payment noted": (DECLINED, HELD),
    "declined: charge declined": (DECLINED, (*PAID, W.released)),
}
KEYS_IN_USE: Mapping[str, tuple[str | None, tuple[Step, ...]]] = {
    "paid: payment created": (CARD, (W.leased, W.payment_created, W.released)),
    "paid: charge met a saved 500": (SAVES_500, (*PAID, W.released)),
    "paid: cancel requested, refund met a saved 500": (
        REFUND_SAVES_500,
        (*PAID, W.confirmed, W.cancel_requested, W.payment_refunded),
    ),
}
"""States in which an idempotency key is used up: its saved answer is an error, or the other release creates the payment
with other parameters. The last release waits until the key expires; this release uses the next key."""

OF_THIS_RELEASE: Mapping[str, tuple[str | None, tuple[Step, ...]]] = {
    "undo: payment replaced": (CARD, (*HELD, W.undo)),
    "undo: next idempotency key": (CARD, (*HELD, W.next_key)),
}
"""States that the last release does not know: it leaves such an order to this one."""


async def store(writer: Writer, tenant: str) -> list[dict[str, object]]:
    stored = []
    for state, (token, steps) in (
        {**STATES, **KEYS_IN_USE} if IS_LAST else {**STATES, **KEYS_IN_USE, **OF_THIS_RELEASE}
    ).items():
        for has_message in (True, False):
            order = await writer.place(tenant, token)
            for step in steps:
                order = await step(writer, order)
            if has_message:
                await writer.send(order)
            stored.append(
                {"state": state, "has_message": has_message, "id": order.order_id, "status": str(order.status)}
            )
    return stored


async def retry(writer: Writer, tenant: str, ids: list[str]) -> None:
    for order_id in ids:
        order = await writer.adapters.orders.get(models.Customer(tenant=tenant, id="ada"), order_id)
        order = await writer.unparked(order)
        await writer.send(order)


async def parked(writer: Writer, tenant: str) -> list[str]:
    found = []
    for shard in range(OPEN_SHARDS):
        for entry in await writer.adapters.orders.list_due(f"parked#{shard:02d}", 2**53, 100):
            order = await writer.adapters.orders.get_entry(entry)
            if order is not None and order.customer.tenant == tenant:
                found.append(order.order_id)
    return found


def sources() -> list[str]:
    """Return the files of the release's packages, which its services are started from too."""
    return [str(import_module(name).__file__) for name in ("order_shared", "order_api", "order_processor")]


async def main(verb: str, tenant: str, *rest: str) -> None:
    settings = config.load_settings(ProcessorSettings)
    stripe.enable_telemetry = False
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout has the result
    named: dict[str, Any] = {} if IS_LAST else {"environment": settings.environment_of_payments}
    payments = StripeGateway(settings.payment_api_key.get_secret_value(), settings.payment_api_base, **named)
    async with (
        aclosing(payments),
        runtime.open_adapters(settings, metrics.Metrics(), deadline=20.0) as adapters,
    ):
        writer = Writer(adapters, payments, stores_history="history" in rest)
        if verb == "store":
            stored = await store(writer, tenant)
            print(json.dumps({"sources": sources(), "orders": stored}))  # noqa: T201 - its output
        elif verb == "parked":
            print(json.dumps(await parked(writer, tenant)))  # noqa: T201 - its output
        else:
            await retry(writer, tenant, list(rest))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
