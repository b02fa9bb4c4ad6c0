"""The payment provider: with a limit on the calls of a second, and a switch for each way in which it can be away."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count
from typing import Any, TypeVar

from order_processor.payments.gateway import (
    FailureReason,
    Payment,
    PaymentDeclined,
    PaymentStatus,
    PaymentUnavailable,
)
from order_processor.payments.stripe_gateway import DEADLINE_SECONDS, idempotency_key
from order_shared.domain.order.payments import Charge, PaymentCall
from tests.fakes_payments import MemoryGateway
from tests.simulation.history import Border, History, What
from tests.simulation.link import Link
from tests.simulation.tables import run_now

T = TypeVar("T")


class Outage(Enum):
    """How the provider fails, and what the processor makes of it."""

    NO_CONNECTION = auto()
    NO_RESPONSE = auto()
    WRONG_KEY = auto()
    """401 or 403."""
    LIMITED = auto()
    """429 for every call."""
    SERVER_ERROR = auto()
    SAVED_ERROR = auto()
    """500 for two of five calls that change something, saved under the idempotency key and replayed afterwards. One of
    the two has been executed. The circuit breaker stays closed most of the time."""
    REFUSED = auto()
    """400 for a fault of the platform for every such call, saved likewise."""


SAVED_CALLS = frozenset(PaymentCall)
"""Calls whose answers the provider saves under their idempotency key."""

REASONS = {
    Outage.NO_CONNECTION: FailureReason.NO_RESPONSE,
    Outage.NO_RESPONSE: FailureReason.NO_RESPONSE,
    Outage.WRONG_KEY: FailureReason.REFUSED,
    Outage.LIMITED: FailureReason.THROTTLED,
    Outage.SERVER_ERROR: FailureReason.PROVIDER_ERROR,
    Outage.SAVED_ERROR: FailureReason.PROVIDER_ERROR,
    Outage.REFUSED: FailureReason.REFUSED,
}
SAVED_OUTAGES = frozenset({Outage.SAVED_ERROR, Outage.REFUSED})


@dataclass(frozen=True, kw_only=True)
class ProviderRules:
    calls_per_second: float = 100.0
    """Calls beyond that are answered by 429."""
    burst: float = 100.0
    """Calls that are admitted at once after a rest."""


class Provider(MemoryGateway):
    """The provider itself: it keeps payments, and never waits. Machines reach it by a gateway of their own."""

    def __init__(self, rules: ProviderRules, history: History, now: Callable[[], float]) -> None:
        super().__init__()
        self.rules = rules
        self.outage: Outage | None = None
        self.poisoned: set[str] = set()
        """Orders, by id, whose calls fail with an error that nobody expects."""
        self.crashes: Counter[str] = Counter()
        """Calls that failed because their order is poisoned, by order."""
        self.tried_again: list[str] = []
        """Orders whose payments were confirmed again after they had been declined or had ended."""
        self.calls_of: defaultdict[str, list[str]] = defaultdict(list)
        """Calls by order."""
        self.confirmations: set[str] = set()
        """Payments that the provider was asked to confirm, with any outcome."""
        self.watched: Callable[[str, str], AbstractContextManager[None]] = lambda *_: nullcontext()
        """Entered with the machine and the call while a call is under way."""
        self._history = history
        self._now = now
        self._allowed = rules.burst
        self._allowed_at = 0.0
        self._turns = count()
        self._loses_answer = False

    def gateway(self, link: Link) -> "ProviderGateway":
        return ProviderGateway(self, link)

    def admit(self, call: str, charge: Charge, *, by: str) -> None:
        """Count a call. Raises PaymentUnavailable if it meets the outage or the limit."""
        self._history.note(What.PROVIDER_CALL, charge.order_id, by=by, kind=call)
        self.calls_of[charge.order_id].append(call)
        if call == PaymentCall.CONFIRM and charge.payment_id is not None:
            self.confirmations.add(charge.payment_id)
        if charge.order_id in self.poisoned:
            self.crashes[charge.order_id] += 1
            raise RuntimeError(f"{call} of {charge.order_id} crashes by chance")
        if self.outage is not None and self.outage not in SAVED_OUTAGES:
            raise PaymentUnavailable(f"{call}: {self.outage.name}", REASONS[self.outage], is_outage=True)
        now, rate = self._now(), self.rules.calls_per_second
        self._allowed = min(self.rules.burst, self._allowed + (now - self._allowed_at) * rate)
        self._allowed_at = now
        if self._allowed < 1.0:
            self._history.note(What.PROVIDER_LIMITED, charge.order_id, by=by)
            raise PaymentUnavailable(f"{call}: 429", FailureReason.THROTTLED, is_outage=True)
        self._allowed -= 1.0

    async def create(self, charge: Charge) -> str:
        payment_id = await super().create(charge)
        key = idempotency_key(charge, PaymentCall.CREATE)
        if self._loses_answer and key not in self.answered:  # the payment exists, and nobody will know its id
            self._save_failure(key, FailureReason.PROVIDER_ERROR, PaymentCall.CREATE)
        return payment_id

    async def confirm(self, charge: Charge, token: str) -> PaymentStatus:
        payment = self.payments.get(charge.payment_id or "")
        if payment is not None and (payment.declined or payment.status is not PaymentStatus.OPEN):
            self.tried_again.append(charge.order_id)
        status = await super().confirm(charge, token)
        self._lose_answer("confirm")
        return status

    async def cancel(self, charge: Charge) -> PaymentStatus:
        status = await super().cancel(charge)
        self._lose_answer("cancel")
        return status

    async def refund(self, charge: Charge) -> None:
        await super().refund(charge)
        self._lose_answer("refund")

    async def _begin(self, charge: Charge, call: PaymentCall) -> str:
        key = await super()._begin(charge, call)
        turn = next(self._turns) % 5 if self.outage is Outage.SAVED_ERROR else None
        self._loses_answer = turn == 1
        if (turn == 0 or self.outage is Outage.REFUSED) and key not in self.answered:
            self._save_failure(key, REASONS[self.outage or Outage.REFUSED], call)
        return key

    def _lose_answer(self, call: str) -> None:
        """Lose the answer of a call that was executed. A later read of the payment shows what happened."""
        if self._loses_answer:
            raise PaymentUnavailable(f"{call}: 500", FailureReason.PROVIDER_ERROR, is_outage=True)

    def save_failure(self, charge: Charge, call: PaymentCall) -> None:
        """Answer this call and its repetitions by 500, unless its key has an answer. Raises IdempotencyKeySpent."""
        key = idempotency_key(charge, call)
        if key not in self.failures and key not in self.answered:
            self._save_failure(key, FailureReason.PROVIDER_ERROR, call)

    def record(self, call: str, charge: Charge, outcome: object, *, by: str) -> None:
        """Remember that a call has been answered, and by what."""
        if call in SAVED_CALLS and (isinstance(outcome, PaymentDeclined) or not isinstance(outcome, Exception)):
            self.answered.add(idempotency_key(charge, PaymentCall(call)))
        if self._history.effects is not None:
            after = type(outcome).__name__ if isinstance(outcome, Exception) else outcome
            self._history.record(Border.PROVIDER, call, by=by, subject=charge.order_id, before=charge, after=after)

    async def _request(self) -> None:
        """Answer at once: the way of the call is the gateway's."""


class ProviderGateway:
    """The provider's port for one machine."""

    def __init__(self, provider: Provider, link: Link) -> None:
        self._provider = provider
        self._link = link

    async def create(self, charge: Charge) -> str:
        return await self._call("create", charge, lambda: self._provider.create(charge))

    async def retrieve(self, charge: Charge) -> Payment:
        return await self._call("retrieve", charge, lambda: self._provider.retrieve(charge))

    async def confirm(self, charge: Charge, token: str) -> PaymentStatus:
        return await self._call("confirm", charge, lambda: self._provider.confirm(charge, token))

    async def cancel(self, charge: Charge) -> PaymentStatus:
        return await self._call("cancel", charge, lambda: self._provider.cancel(charge))

    async def refund(self, charge: Charge) -> None:
        await self._call("refund", charge, lambda: self._provider.refund(charge))

    async def _call(self, name: str, charge: Charge, operation: Callable[[], Coroutine[Any, Any, T]]) -> T:
        with self._provider.watched(self._link.host, name):
            return await self._request(name, charge, operation)

    async def _request(self, name: str, charge: Charge, operation: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if self._provider.outage is Outage.NO_RESPONSE:
            await asyncio.sleep(DEADLINE_SECONDS)

        def effect() -> T:
            self._provider.admit(name, charge, by=self._link.host)
            call = PaymentCall(name) if name in SAVED_CALLS else None
            result: T | None = None
            outcome: object = None
            try:
                if call is not None and self._link.saves_failure():
                    self._provider.save_failure(charge, call)
                outcome = result = run_now(operation())
            except Exception as error:
                outcome = error
                raise
            finally:
                self._provider.record(name, charge, outcome, by=self._link.host)
            return result

        return await self._link.call(effect)
