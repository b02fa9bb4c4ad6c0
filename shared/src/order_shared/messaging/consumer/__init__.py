"""The consumer of a queue: polling and handling, settlement, heartbeat."""
