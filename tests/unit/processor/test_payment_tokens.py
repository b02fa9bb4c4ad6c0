"""The payment tokens that docs/api.md lists for customers' developers are those of the sandbox, and do what it says."""

import re
from pathlib import Path

import pytest

from devstack.payments.bank import Token
from order_processor.handlers import make_handler
from order_shared.domain.errors import PlatformError
from order_shared.domain.order.messages import message_of
from tests.factories import make_order, make_product
from tests.unit.processor.conftest import World, delivery_with

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
DELIVERIES = 3


def documented() -> dict[str, tuple[str, str]]:
    """Return the documented end of an order, and the code of a decline, by token."""
    section = PAGE.read_text(encoding="utf-8").partition("### Payment tokens")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(pm_\w+)` \| (confirmed|rejected)(?:, `(\w+)`)? \|", section, re.MULTILINE)
    return {token: (end, code) for token, end, code in rows}


def test_every_token_is_documented_once() -> None:
    assert documented().keys() == set(Token)
    assert PAGE.read_text(encoding="utf-8").count("| `pm_") == len(Token)


@pytest.mark.parametrize("token", Token)
async def test_an_order_with_the_token_ends_as_documented(world: World, token: Token) -> None:
    await world.stock("TEA", 10)
    order = await world.accept(make_order(lines=[(make_product(sku="TEA"), 3)], payment_token=token))
    for _ in range(DELIVERIES):
        stored = await world.stored(order)
        if not stored.is_open:
            break
        try:
            await make_handler(world.work)(delivery_with(message_of(stored).to_json()))
        except PlatformError:
            continue  # the message is delivered again
    stored = await world.stored(order)
    declined = stored.reason.detail.removeprefix("the payment was declined: ") if stored.reason else ""
    assert (stored.status, declined) == documented()[token]
