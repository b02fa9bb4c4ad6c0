"""Requests to the addresses of other people: signed, bounded, and to public addresses only."""
