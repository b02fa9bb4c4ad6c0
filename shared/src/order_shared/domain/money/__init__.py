"""Amounts of money: the currencies of ISO 4217, and what the payment provider can charge."""
