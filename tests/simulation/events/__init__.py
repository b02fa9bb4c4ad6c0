"""The log of order events in a simulation: its change feed, notifiers, readers, and what must hold of it."""
