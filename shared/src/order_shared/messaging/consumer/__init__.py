"""Consumer of the work queue: polling, handling, settlement, heartbeat."""
