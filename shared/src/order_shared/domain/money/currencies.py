"""The currencies of ISO 4217, and formatting of amounts.

Every amount in the platform is an integer of minor units as ISO 4217 defines them: 1290 is 12.90 EUR or 1290 JPY.
"""

from collections.abc import Mapping

import iso4217

DECIMALS: Mapping[str, int] = {
    code: int(str(entry["CcyMnrUnts"]))
    for code, entry in iso4217.raw_table.items()
    if code and str(entry["CcyMnrUnts"]).isdigit()
}
"""Decimal places by currency code. Codes without a minor unit, such as metals and test codes, are excluded."""

WITHDRAWN_DECIMALS: Mapping[str, int] = {"ANG": 2, "BGN": 2, "STD": 2}
"""Decimal places of withdrawn currencies. Stored products may still have them; new prices in them are rejected."""


class UnknownCurrency(ValueError):
    """The code is not a current ISO 4217 currency."""

    def __init__(self) -> None:
        super().__init__("not an ISO 4217 currency code; use three capital letters, such as EUR")


def known_currency(code: str) -> str:
    """Return the code if new prices may use the currency. Raises UnknownCurrency."""
    if code not in DECIMALS:
        raise UnknownCurrency
    return code


def decimals_of(currency: str) -> int | None:
    """Return the decimal places of a currency; None for an unknown code."""
    return DECIMALS.get(currency, WITHDRAWN_DECIMALS.get(currency))


def format_amount(amount: int, currency: str) -> str:
    """Return an amount as text, such as `12.90 EUR`; for an unknown currency, the number of minor units."""
    decimals = decimals_of(currency)
    if decimals is None:
        return f"{amount} minor units of {currency}"
    return f"{format_decimal(amount, decimals)} {currency}"


def format_decimal(amount: int, decimals: int) -> str:
    """Return an integer as a decimal number with `decimals` places: `format_decimal(5, 2)` is `0.05`."""
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), 10**decimals)
    return f"{sign}{whole}.{fraction:0{decimals}}" if decimals else f"{sign}{whole}"
