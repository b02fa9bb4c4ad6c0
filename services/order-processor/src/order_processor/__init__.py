"""Consumes the order queue: moves stock, confirms, and sweeps what was left open."""
