"""Consumes the order queue: takes stock and payment, confirms orders, and sweeps those left open."""
