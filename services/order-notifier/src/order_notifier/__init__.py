"""Worker that appends the events of orders to the log of their tenant."""
