"""Stored webhook endpoints, their position in the log, and the deliveries that wait."""
