"""Log of order events: one per tenant, append-only, in order for each order."""
