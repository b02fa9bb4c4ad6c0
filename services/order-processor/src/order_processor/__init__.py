"""Worker that consumes the order queue: moves stock, charges payments, confirms orders, republishes overdue ones."""
