"""Amounts of money: the currencies of ISO 4217, and the amounts that the payment provider can charge."""
