"""What a customer owes, what the provider charges and what it gives back are one amount, in every currency.

Orders are worked on as in production, over the payment sandbox, which reads amounts as the provider documents them and
from a table of its own.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import httpx2
import iso4217
import pytest

from devstack.payments.bank import Token
from devstack.payments.options import API_KEY
from devstack.payments.process import start_payments
from devstack.processes import ProcessGroup
from order_processor.handlers import make_handler
from order_processor.payments.stripe_gateway import StripeGateway
from order_shared.domain.money.charges import AmountNotChargeable
from order_shared.domain.money.currencies import WITHDRAWN_DECIMALS
from order_shared.domain.order.messages import message_of
from order_shared.domain.order.models import Order, OrderStatus
from tests.factories import make_order, make_product
from tests.unit.processor.conftest import World, delivery_with

EXPONENTS = {each.code: each.exponent for each in iso4217.Currency if each.exponent is not None}
EXPONENTS |= WITHDRAWN_DECIMALS
TOTALS = (1234, 20_000_000)
"""In minor units of ISO 4217: an odd one and a round one."""
WITHOUT_CHARGES = frozenset(
    [
        "BOV",
        "BTN",
        "CHE",
        "CHW",
        "CLF",
        "COU",
        "CUP",
        "ERN",
        "GHS",
        "IQD",
        "IRR",
        "KPW",
        "LYD",
        "MRU",
        "MXV",
        "SDG",
        "SSP",
        "STN",
        "SVC",
        "SYP",
        "TMT",
        "USN",
        "UYI",
        "UYW",
        "VED",
        "VES",
        "XAD",
        "XCG",
        "ZWG",
    ]
)
"""Currencies of ISO 4217 that the provider does not have."""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ProcessGroup(tmp_path_factory.mktemp("payments")) as group:
        _, address = start_payments(group)
        yield address


@dataclass
class Till:
    """A processor's parts over the sandbox."""

    world: World
    address: str

    async def handle(self, order: Order) -> Order:
        stored = await self.world.stored(order)
        await make_handler(self.world.work)(delivery_with(message_of(stored).to_json()))
        return await self.world.stored(order)

    async def cancel(self, order: Order) -> None:
        stored = await self.world.stored(order)
        await self.world.orders.request_cancel(stored.request_cancel(self.world.clock(), due_at=0), version=None)

    def payments(self) -> dict[str, dict[str, Any]]:
        """The sandbox's books, by order id."""
        rows: list[dict[str, Any]] = httpx2.get(f"{self.address}/_sandbox/intents").json()
        assert len({row["order_id"] for row in rows}) == len(rows), "an order has two payments"
        return {row["order_id"]: row for row in rows}


@pytest.fixture
async def till(sandbox: str) -> AsyncIterator[Till]:
    world = World()
    async with aclosing(StripeGateway(API_KEY, sandbox, environment="test")) as gateway:
        world.work = replace(world.work, payments=gateway)
        yield Till(world, sandbox)


def owed(order: Order) -> Fraction:
    return Fraction(order.total, 10 ** EXPONENTS[order.currency])


def in_words(text: str) -> tuple[Fraction, str]:
    amount, _, currency = text.partition(" ")
    return Fraction(amount), currency


async def test_owed_charged_and_refunded_are_one_amount_or_the_order_is_refused(till: Till) -> None:
    charged: list[Order] = []
    refused: list[str] = []
    for currency in sorted(EXPONENTS):
        for total in TOTALS:
            product = make_product(sku=f"{currency}-{total}", unit_price=total, currency=currency)
            await till.world.stock(product.sku, 1)
            try:
                order = make_order(lines=[(product, 1)], payment_token=Token.WORKS)
            except AmountNotChargeable as error:
                refused.append(f"{currency}: {error}")
                continue
            await till.world.accept(order)
            await till.handle(order)
            charged.append(order)
    payments = till.payments()
    for order in charged:
        assert in_words(payments[order.order_id]["charged"]) == (owed(order), order.currency)
        assert (await till.world.stored(order)).status is OrderStatus.CONFIRMED
        await till.cancel(order)
        assert (await till.handle(order)).status is OrderStatus.CANCELLED
    after = till.payments()
    for order in charged:
        assert after[order.order_id]["amount_refunded"] == payments[order.order_id]["amount_received"]
    assert {order.currency for order in charged} == EXPONENTS.keys() - WITHOUT_CHARGES
    assert all(sentence.count(sentence[:3]) > 1 for sentence in refused), "a sentence names the currency"
