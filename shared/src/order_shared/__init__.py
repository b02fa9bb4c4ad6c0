"""Shared library of the order services: the domain, the stored items, the messages, and the adapters to AWS."""
