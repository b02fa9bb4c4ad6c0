"""Payments: taking the money for an order once, and refunding it."""
