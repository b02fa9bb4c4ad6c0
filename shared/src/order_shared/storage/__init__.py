"""Stored items: the only code that depends on the content of the tables."""
