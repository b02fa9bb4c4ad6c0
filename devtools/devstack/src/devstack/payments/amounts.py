"""Amounts in Stripe's units: https://docs.stripe.com/currencies.

This table is independent of the services' table. A wrong entry in the services' table therefore charges a wrong amount
in the sandbox, and a test fails.
"""

TWO_DECIMALS = (
    "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop crc "
    "cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr jmd kes kgs khr kyd "
    "kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php "
    "pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah usd uyu uzs "
    "wst xcd yer zar zmw"
)
ZERO_DECIMALS = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
THREE_DECIMALS = "bhd jod kwd omr tnd"
TWO_DECIMALS_ALWAYS_00 = "isk ugx"

DECIMALS = {
    **dict.fromkeys(ZERO_DECIMALS.split(), 0),
    **dict.fromkeys((TWO_DECIMALS + " " + TWO_DECIMALS_ALWAYS_00).split(), 2),
    **dict.fromkeys(THREE_DECIMALS.split(), 3),
}
MULTIPLES = {**dict.fromkeys(THREE_DECIMALS.split(), 10), **dict.fromkeys(TWO_DECIMALS_ALWAYS_00.split(), 100)}
MINIMUM_OF_50 = "ars aud brl cad chf cop eur idr ils inr jpy krw nzd php rub sgd usd zar"
MINIMUMS = {
    **dict.fromkeys(MINIMUM_OF_50.split(), 50),
    **dict.fromkeys(["aed", "myr", "pln", "ron"], 200),
    **dict.fromkeys(["nok", "sek"], 300),
    **dict.fromkeys(["mxn", "thb"], 1000),
    "czk": 1500,
    "dkk": 250,
    "gbp": 30,
    "hkd": 400,
    "huf": 17500,
}
"""Minimum charges in Stripe's units, for an account that settles in the currency of the charge."""
MAX_DIGITS = 12


class AmountRefused(Exception):
    """Invalid amount: Stripe's error code, if it has one, message and parameter."""

    def __init__(self, code: str | None, message: str, param: str = "amount") -> None:
        super().__init__(message)
        self.code = code
        self.param = param


def read_amount(text: str, currency: str) -> int:
    """Return an amount in Stripe's units. Raises AmountRefused."""
    if currency not in DECIMALS:
        raise AmountRefused(None, f"Invalid currency: {currency}.", "currency")
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise AmountRefused("parameter_invalid_integer", "The amount must be an integer above 0.")
    amount = int(text)
    multiple = MULTIPLES.get(currency, 1)
    if amount % multiple:
        raise AmountRefused("parameter_invalid_integer", f"{currency} amounts must be multiples of {multiple}.")
    if amount < MINIMUMS.get(currency, 1):
        raise AmountRefused(
            "amount_too_small", f"Amount must be at least {statement_text(MINIMUMS[currency], currency)}."
        )
    if len(text.lstrip("0")) > MAX_DIGITS:
        raise AmountRefused("amount_too_large", f"Amount must be no more than {statement_text(10**12 - 1, currency)}.")
    return amount


def statement_text(amount: int, currency: str) -> str:
    """Return the amount as on a customer's statement: `5000 ISK` for 500000 isk."""
    decimals = DECIMALS[currency]
    whole, fraction = divmod(amount, 10**decimals)
    if currency in TWO_DECIMALS_ALWAYS_00.split() or not decimals:
        return f"{whole} {currency.upper()}"
    return f"{whole}.{fraction:0{decimals}} {currency.upper()}"
