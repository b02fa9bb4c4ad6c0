"""Decorator of a payment gateway that records each call as a span of the order's trace."""

from order_processor.payments.gateway import Payment, PaymentGateway, PaymentStatus
from order_shared.domain.order.payments import Charge
from order_shared.runtime.tracing.port import Tracing


class TracedGateway:
    def __init__(self, gateway: PaymentGateway, tracing: Tracing) -> None:
        self._gateway = gateway
        self._tracing = tracing

    async def create(self, charge: Charge) -> str:
        with self._tracing.client("payment.create", {"order.id": charge.order_id}):
            return await self._gateway.create(charge)

    async def retrieve(self, charge: Charge) -> Payment:
        with self._tracing.client("payment.retrieve", {"order.id": charge.order_id}):
            return await self._gateway.retrieve(charge)

    async def confirm(self, charge: Charge, token: str) -> PaymentStatus:
        with self._tracing.client("payment.confirm", {"order.id": charge.order_id}):
            return await self._gateway.confirm(charge, token)

    async def cancel(self, charge: Charge) -> PaymentStatus:
        with self._tracing.client("payment.cancel", {"order.id": charge.order_id}):
            return await self._gateway.cancel(charge)

    async def refund(self, charge: Charge) -> None:
        with self._tracing.client("payment.refund", {"order.id": charge.order_id}):
            await self._gateway.refund(charge)
