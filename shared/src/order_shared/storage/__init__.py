"""Stored items: the only code that knows what a table holds."""
