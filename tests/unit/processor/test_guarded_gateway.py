"""The payment port behind a circuit breaker and a pacer."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from order_processor.payments.breaker import OPENS_AT, PROBE_SECONDS
from order_processor.payments.gateway import FailureReason, PaymentDeclined, PaymentPaused, PaymentUnavailable
from order_processor.payments.guarded_gateway import GuardedGateway
from order_processor.payments.pacer import RISE_SECONDS, Pacer
from order_shared.domain.order.payments import Charge, PaymentAttempts
from tests.fakes_payments import MemoryGateway

RATE = 100.0
CHARGE = Charge(order_id="ord_1", amount=890, currency="EUR", payment_id=None, attempts=PaymentAttempts())


class FailingGateway(MemoryGateway):
    """Raises `error` from each call, if there is one."""

    error: Exception | None = None
    called = 0

    async def create(self, charge: Charge) -> str:
        self.called += 1
        if self.error is not None:
            raise self.error
        return await super().create(charge)


class Provider:
    def __init__(self, rate: float = RATE) -> None:
        self.now = 1000.0
        self.gateway = FailingGateway()
        self.guarded = GuardedGateway(self.gateway, calls_per_second=rate, monotonic=lambda: self.now)

    async def call(self, times: int = 1) -> list[Exception | None]:
        """Make calls, and return the error of each."""
        errors: list[Exception | None] = []
        for _ in range(times):
            try:
                await self.guarded.create(CHARGE)
            except (PaymentUnavailable, PaymentDeclined) as error:
                errors.append(error)
            else:
                errors.append(None)
        return errors


@pytest.fixture
def provider() -> Provider:
    return Provider()


NO_RESPONSE = PaymentUnavailable("timeout", FailureReason.NO_RESPONSE, is_outage=True)
WRONG_KEY = PaymentUnavailable("401", FailureReason.REFUSED, is_outage=True)
HARMLESS = (
    PaymentDeclined("resource_missing"),
    PaymentUnavailable("400", FailureReason.REFUSED),
    PaymentUnavailable("processing", FailureReason.PENDING),
)


class TestBreaker:
    async def test_it_stops_calls_to_a_provider_that_is_down(self, provider: Provider) -> None:
        provider.gateway.error = NO_RESPONSE
        assert await provider.call(OPENS_AT) == [NO_RESPONSE] * OPENS_AT
        errors = await provider.call(5)
        assert [type(error) for error in errors] == [PaymentPaused] * 5
        assert provider.gateway.called == OPENS_AT

    async def test_a_stopped_call_has_the_outages_cause(self, provider: Provider) -> None:
        """Metrics and alarms then still tell a wrong key from a provider that does not respond."""
        provider.gateway.error = WRONG_KEY
        *_, error = await provider.call(OPENS_AT + 1)
        assert isinstance(error, PaymentPaused)
        assert error.cause == "payment_refused"
        assert error.retry_after is None

    async def test_one_call_in_thirty_seconds_is_a_probe(self, provider: Provider) -> None:
        provider.gateway.error = NO_RESPONSE
        await provider.call(OPENS_AT)
        for probes in range(1, 4):
            provider.now += PROBE_SECONDS
            await provider.call(5)
            assert provider.gateway.called == OPENS_AT + probes

    async def test_a_probe_that_succeeds_lets_all_calls_through(self, provider: Provider) -> None:
        provider.gateway.error = NO_RESPONSE
        with capture_logs() as logs:
            await provider.call(OPENS_AT)
            provider.gateway.error = None
            provider.now += PROBE_SECONDS
            assert await provider.call() == [None]
            provider.now += 1
            assert await provider.call() == [None]
        assert [entry["event"] for entry in logs] == ["payment_provider_down", "payment_provider_back"]

    @pytest.mark.parametrize("error", HARMLESS, ids=str)
    async def test_errors_of_one_order_never_open_it(self, provider: Provider, error: Exception) -> None:
        """Such as the refused tokens of one tenant."""
        provider.gateway.error = error
        assert await provider.call(10 * OPENS_AT) == [error] * 10 * OPENS_AT

    async def test_a_few_errors_among_many_calls_leave_it_closed(self, provider: Provider) -> None:
        for _ in range(20):
            provider.gateway.error = NO_RESPONSE
            await provider.call()
            provider.gateway.error = None
            assert await provider.call(2) == [None, None]


class TestPacer:
    async def test_calls_beyond_the_rate_wait_in_turn(self) -> None:
        provider = Provider(rate=10)
        errors = [error for error in await provider.call(20) if isinstance(error, PaymentPaused)]
        assert len(errors) == 10
        waits = [error.retry_after / timedelta(seconds=1) for error in errors if error.retry_after]
        assert waits == pytest.approx([0.1 * turn for turn in range(1, 11)])
        assert {error.reason for error in errors} == {FailureReason.PACED}

    async def test_a_429_lowers_the_rate_once_for_calls_under_way_together(self) -> None:
        now = 0.0
        pacer = Pacer(lambda: now, highest=RATE)
        now = 10.0
        for _ in range(50):
            pacer.throttled()
        assert pacer.rate == pytest.approx(70)
        now += RISE_SECONDS
        assert pacer.rate == RATE

    async def test_after_an_outage_the_rate_rises_step_by_step(self) -> None:
        now = 0.0
        pacer = Pacer(lambda: now, highest=RATE)
        pacer.restart()
        rates: list[float] = []
        for _ in range(5):
            rates.append(pacer.rate)
            now += RISE_SECONDS / 4
        assert rates == pytest.approx([2, 27, 52, 77, 100])

    async def test_the_promised_times_are_when_tokens_come(self) -> None:
        """While the rate rises, and after it has."""
        now = 0.0
        pacer = Pacer(lambda: now, highest=10)
        pacer.restart()
        promised = [pacer.take() for _ in range(500)]
        for at in promised:
            now = at + 1e-6
            assert pacer.take() == 0

    async def test_the_calls_that_follow_an_orders_first_are_made_and_paid_back(self) -> None:
        now = 0.0
        pacer = Pacer(lambda: now, highest=10)
        for _ in range(8):
            assert pacer.take() == 0
        for _ in range(10):
            pacer.spend()
        now += 0.8
        assert pacer.take() == pytest.approx(0.1)
        now += 0.11
        assert pacer.take() == 0
