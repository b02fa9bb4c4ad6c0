"""Amounts of every currency: formatted, and in the payment provider's units."""

from fractions import Fraction

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from order_shared.domain.money.charges import (
    CHARGEABLE,
    MAXIMUM,
    AmountNotChargeable,
    provider_amount,
    provider_unit,
)
from order_shared.domain.money.currencies import (
    DECIMALS,
    WITHDRAWN_DECIMALS,
    UnknownCurrency,
    decimals_of,
    format_amount,
    known_currency,
)


def test_the_currencies_are_those_of_iso_4217_with_minor_units() -> None:
    assert set(DECIMALS) == {each.code for each in iso4217.Currency if each.exponent is not None}
    assert {"EUR", "JPY", "KWD", "CLF"} <= set(DECIMALS)
    assert not {"XAU", "XTS", "XXX", "ZZZ"} & set(DECIMALS)


def test_withdrawn_currencies_are_read_but_rejected_for_new_prices() -> None:
    assert not WITHDRAWN_DECIMALS.keys() & DECIMALS.keys()
    for code in WITHDRAWN_DECIMALS:
        assert decimals_of(code) == 2
        with pytest.raises(UnknownCurrency):
            known_currency(code)


def test_every_currency_of_the_provider_has_decimals() -> None:
    assert {code for code in CHARGEABLE if decimals_of(code) is None} == set()


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (890, "EUR", "8.90 EUR"),
        (5, "EUR", "0.05 EUR"),
        (0, "EUR", "0.00 EUR"),
        (-1290, "EUR", "-12.90 EUR"),
        (-5, "EUR", "-0.05 EUR"),
        (1290, "JPY", "1290 JPY"),
        (1234, "KWD", "1.234 KWD"),
        (12345, "CLF", "1.2345 CLF"),
        (1234, "ANG", "12.34 ANG"),
        (1234, "ZZZ", "1234 minor units of ZZZ"),
    ],
)
def test_an_amount_is_formatted_with_its_currency(amount: int, currency: str, written: str) -> None:
    assert format_amount(amount, currency) == written


@pytest.mark.parametrize(
    ("total", "currency", "amount"),
    [
        (1234, "EUR", 1234),
        (1234, "JPY", 1234),
        (5000, "ISK", 500_000),
        (5000, "UGX", 500_000),
        (5000, "MGA", 50),
        (12_340, "KWD", 12_340),
        (1234, "HUF", None),
        (17_500, "HUF", 17_500),
        (1234, "TWD", 1234),
        (1234, "ANG", 1234),
    ],
)
def test_a_total_is_converted_to_the_providers_units(total: int, currency: str, amount: int | None) -> None:
    if amount is None:
        with pytest.raises(AmountNotChargeable):
            provider_amount(total, currency)
    else:
        assert provider_amount(total, currency) == amount


@pytest.mark.parametrize(
    ("total", "currency", "sentence"),
    [
        (1234, "KWD", "1.234 KWD cannot be charged exactly: the payment provider requires multiples of 0.010 KWD"),
        (1234, "MGA", "12.34 MGA cannot be charged exactly: the payment provider requires multiples of 1 MGA"),
        (49, "EUR", "0.49 EUR is below 0.50 EUR, the payment provider's minimum"),
        (49, "JPY", "49 JPY is below 50 JPY, the payment provider's minimum"),
        (
            500_000_000_000,
            "UGX",
            "500000000000 UGX is above 9999999999.99 UGX, the payment provider's maximum",
        ),
        (
            100,
            "XCG",
            (
                "the payment provider does not support XCG: place the order without payment_token, or price its "
                "products in another currency"
            ),
        ),
        (
            100,
            "ZZZ",
            (
                "the payment provider does not support ZZZ: place the order without payment_token, or price its "
                "products in another currency"
            ),
        ),
    ],
)
def test_a_total_that_cannot_be_charged_is_rejected_with_a_message(total: int, currency: str, sentence: str) -> None:
    with pytest.raises(AmountNotChargeable) as refused:
        provider_amount(total, currency)
    assert str(refused.value) == sentence


@given(st.sampled_from(sorted(CHARGEABLE)), st.integers(1, 10**14))
def test_the_charged_amount_is_exactly_the_total(currency: str, total: int) -> None:
    try:
        amount = provider_amount(total, currency)
    except AmountNotChargeable:
        return
    unit, decimals = provider_unit(currency), decimals_of(currency)
    assert unit is not None
    assert decimals is not None
    assert Fraction(amount, 10**unit.decimals) == Fraction(total, 10**decimals)
    assert amount % unit.step == 0
    assert unit.minimum <= amount <= MAXIMUM
