"""The port over another gateway, each call a span of the order's trace."""

from typing import TYPE_CHECKING

from order_processor.payments.gateway import PaymentGateway

if TYPE_CHECKING:
    from order_shared.tracing.spans import Tracing


class TracedGateway:
    def __init__(self, gateway: PaymentGateway, tracing: "Tracing") -> None:
        self._gateway = gateway
        self._tracing = tracing

    async def create(self, order_id: str, *, amount: int, currency: str) -> str:
        with self._tracing.client("payment.create", {"order.id": order_id}):
            return await self._gateway.create(order_id, amount=amount, currency=currency)

    async def confirm(self, order_id: str, payment_id: str, token: str) -> None:
        with self._tracing.client("payment.confirm", {"order.id": order_id}):
            await self._gateway.confirm(order_id, payment_id, token)

    async def void(self, order_id: str, payment_id: str) -> None:
        with self._tracing.client("payment.void", {"order.id": order_id}):
            await self._gateway.void(order_id, payment_id)
