"""The AWS clients: one session, one retry policy, one adapter per service."""
