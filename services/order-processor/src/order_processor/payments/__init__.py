"""Payments: charge an order once, and refund it."""
