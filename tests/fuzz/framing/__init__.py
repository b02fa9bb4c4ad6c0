"""Differential test of request framing: where a request ends for order-api, and where it ends for h11."""
