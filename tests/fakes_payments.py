"""The payment provider in memory, with the sandbox's test tokens; one contract suite runs over both."""

import asyncio
from dataclasses import dataclass, field

from order_processor.payments.gateway import PaymentDeclined, PaymentUnavailable
from orderctl.local.payments import Status, Token


@dataclass
class _Payment:
    order_id: str
    amount: int
    status: Status = Status.REQUIRES_PAYMENT_METHOD
    has_failed: bool = False
    refusal: str | None = None
    """Replayed, as under the idempotency key."""


@dataclass
class MemoryGateway:
    """`charged` and `refunded` are by order id, in minor units; `unavailable` makes every call fail."""

    unavailable: bool = False
    charged: dict[str, int] = field(default_factory=dict)
    refunded: dict[str, int] = field(default_factory=dict)
    _payments: dict[str, _Payment] = field(default_factory=dict)

    async def create(self, order_id: str, *, amount: int, currency: str) -> str:  # noqa: ARG002 - one till for all
        await self._request()
        payment_id = f"pi_{order_id}"
        self._payments.setdefault(payment_id, _Payment(order_id, amount))
        return payment_id

    async def confirm(self, order_id: str, payment_id: str, token: str) -> None:
        await self._request()
        payment = self._find(payment_id)
        if payment.status is Status.SUCCEEDED:
            return
        if payment.status is Status.CANCELED:
            raise PaymentDeclined("payment_canceled")
        if token == Token.FAILS_ONCE and not payment.has_failed:
            payment.has_failed = True
            raise PaymentUnavailable("fails once")
        payment.refusal = payment.refusal or _refusal(token)
        if payment.refusal is not None:
            raise PaymentDeclined(payment.refusal)
        payment.status = Status.SUCCEEDED
        self.charged[order_id] = self.charged.get(order_id, 0) + payment.amount

    async def void(self, order_id: str, payment_id: str) -> None:
        await self._request()
        payment = self._find(payment_id)
        if payment.status is not Status.SUCCEEDED:
            payment.status = Status.CANCELED
        elif order_id not in self.refunded:
            self.refunded[order_id] = payment.amount

    def _find(self, payment_id: str) -> _Payment:
        if payment_id not in self._payments:
            raise PaymentUnavailable(f"there is no payment {payment_id}")
        return self._payments[payment_id]

    async def _request(self) -> None:
        await asyncio.sleep(0)
        if self.unavailable:
            raise PaymentUnavailable("down")


def _refusal(token: str) -> str | None:
    if token == Token.DECLINED:
        return "card_declined"
    return None if token in {Token.WORKS, Token.SLOW, Token.FAILS_ONCE} else "resource_missing"
