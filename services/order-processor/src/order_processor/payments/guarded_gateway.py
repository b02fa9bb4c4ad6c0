"""Payment gateway with a circuit breaker and a rate limit. If a call is refused, its order waits in the outbox."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog

from order_processor.payments.breaker import CircuitBreaker
from order_processor.payments.gateway import (
    FailureReason,
    Payment,
    PaymentGateway,
    PaymentPaused,
    PaymentStatus,
    PaymentUnavailable,
)
from order_processor.payments.pacer import Pacer
from order_shared.domain.order.payments import Charge

log = structlog.get_logger(__name__)


class GuardedGateway:
    """Decorator of a payment gateway. `calls_per_second` is the highest call rate of this process."""

    def __init__(
        self, gateway: PaymentGateway, *, calls_per_second: float, monotonic: Callable[[], float] | None = None
    ) -> None:
        monotonic = monotonic or time.monotonic
        self._gateway = gateway
        self._breaker = CircuitBreaker(monotonic)
        self._pacer = Pacer(monotonic, highest=calls_per_second)
        self._cause = FailureReason.NO_RESPONSE

    async def create(self, charge: Charge) -> str:
        async with self._guard(first=True):
            return await self._gateway.create(charge)

    async def retrieve(self, charge: Charge) -> Payment:
        async with self._guard(first=True):
            return await self._gateway.retrieve(charge)

    async def confirm(self, charge: Charge, token: str) -> PaymentStatus:
        async with self._guard(first=False):
            return await self._gateway.confirm(charge, token)

    async def cancel(self, charge: Charge) -> PaymentStatus:
        async with self._guard(first=True):
            return await self._gateway.cancel(charge)

    async def refund(self, charge: Charge) -> None:
        async with self._guard(first=False):
            await self._gateway.refund(charge)

    @asynccontextmanager
    async def _guard(self, *, first: bool) -> AsyncIterator[None]:
        """Admit the call, or raise PaymentPaused.

        The rate limit refuses only `first` calls, which begin the work on an order or its undo.
        """
        if not self._breaker.admits():
            raise PaymentPaused("the payment provider is down", self._cause)
        if not first:
            self._pacer.spend()
        elif wait := self._pacer.take():
            raise PaymentPaused(
                "the rate at the payment provider is used up", FailureReason.PACED, timedelta(seconds=wait)
            )
        try:
            yield
        except PaymentUnavailable as error:
            if error.reason is FailureReason.THROTTLED:
                self._pacer.throttled()
            self._record(error)
            raise
        except Exception:
            self._record(None)  # a decline: the provider responds
            raise
        else:
            self._record(None)

    def _record(self, error: PaymentUnavailable | None) -> None:
        was_open = self._breaker.is_open
        self._breaker.record(outage=error is not None and error.is_outage)
        if error is not None and error.is_outage:
            self._cause = error.reason
        if self._breaker.is_open and not was_open:
            log.error("payment_provider_down", reason=self._cause)
        if was_open and not self._breaker.is_open:
            self._pacer.restart()
            log.warning("payment_provider_back")
