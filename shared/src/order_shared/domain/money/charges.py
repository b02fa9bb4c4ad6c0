"""Amounts that the payment provider can charge: its currencies, units and limits.

For some currencies the provider's unit is not the minor unit of ISO 4217. For others the provider accepts only
multiples of a step.
Source: https://docs.stripe.com/currencies (currencies, zero-decimal and special cases, minimum and maximum amounts).
The page listed the step of the three-decimal currencies until 2025; a multiple of ten remains valid.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from order_shared.domain.errors import DomainError
from order_shared.domain.money.currencies import decimals_of, format_amount, format_decimal

CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CLP "
    "CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR "
    "ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK MXN "
    "MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SEK SGD SHP SLE "
    "SOS SRD STD SZL THB TJS TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VND VUV WST XAF XCD XOF XPF YER ZAR ZMW"
)
CHARGEABLE = frozenset(CODES.split())
"""Currencies that the provider supports. The account's country determines which of them an account can use."""

ZERO_DECIMAL = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
THREE_DECIMAL = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
WHOLE_UNITS_ONLY = frozenset({"ISK", "UGX"})
"""Currencies with two decimals that must be 00."""

HALF_A_UNIT = "ARS AUD BRL CAD CHF COP EUR IDR ILS INR NZD PHP RUB SGD USD ZAR"
MINIMUM: Mapping[str, str] = {
    **dict.fromkeys(HALF_A_UNIT.split(), "0.50"),
    **dict.fromkeys(["AED", "MYR", "PLN", "RON"], "2.00"),
    **dict.fromkeys(["NOK", "SEK"], "3.00"),
    **dict.fromkeys(["JPY", "KRW"], "50"),
    **dict.fromkeys(["MXN", "THB"], "10.00"),
    "CZK": "15.00",
    "DKK": "2.50",
    "GBP": "0.30",
    "HKD": "4.00",
    "HUF": "175.00",
}
"""Minimum charge by currency, with the provider's decimals. It applies if the account's payout currency is the currency
of the charge. For another payout currency the provider itself rejects a charge that is too small."""

MAXIMUM = 999_999_999_999
"""Maximum charge for a card: twelve digits, in the provider's units."""


class AmountNotChargeable(DomainError):
    """The payment provider cannot charge exactly this total. The message contains the reason and the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderUnit:
    """The provider's unit of a currency. `decimals` is its number of decimal places, such as 2 for cents.

    Charges must be multiples of `step` units, and at least `minimum` units.
    """

    decimals: int
    step: int
    minimum: int


def provider_unit(currency: str) -> ProviderUnit | None:
    """Return the provider's unit of a currency; None if the provider does not support the currency."""
    if currency not in CHARGEABLE:
        return None
    decimals = 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2
    step = 10 if currency in THREE_DECIMAL else 100 if currency in WHOLE_UNITS_ONLY else 1
    minimum = int(MINIMUM[currency].replace(".", "")) if currency in MINIMUM else step
    return ProviderUnit(decimals=decimals, step=step, minimum=minimum)


def provider_amount(total: int, currency: str) -> int:
    """Convert a total from ISO 4217 minor units to the provider's units. Raises AmountNotChargeable."""
    unit, decimals = provider_unit(currency), decimals_of(currency)
    if unit is None or decimals is None:
        raise AmountNotChargeable(
            f"the payment provider does not support {currency}: place the order without payment_token, or price "
            "its products in another currency"
        )
    written = format_amount(total, currency)
    amount, rest = divmod(total * int(10**unit.decimals), int(10**decimals))
    if rest or amount % unit.step:
        step = f"{format_decimal(unit.step, unit.decimals)} {currency}"
        raise AmountNotChargeable(
            f"{written} cannot be charged exactly: the payment provider requires multiples of {step}"
        )
    if amount < unit.minimum:
        minimum = f"{format_decimal(unit.minimum, unit.decimals)} {currency}"
        raise AmountNotChargeable(f"{written} is below {minimum}, the payment provider's minimum")
    if amount > MAXIMUM:
        maximum = f"{format_decimal(MAXIMUM, unit.decimals)} {currency}"
        raise AmountNotChargeable(f"{written} is above {maximum}, the payment provider's maximum")
    return amount
