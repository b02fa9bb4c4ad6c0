"""Interval between two polls of ECS."""

import os
import time

LOOK_SECONDS = 5.0
LOOK_VARIABLE = "ORDER_DEPLOY_LOOK_SECONDS"
"""Environment variable that overrides the interval in seconds, for a shorter one in tests with a simulated ECS."""


def poll_sleep() -> None:
    """Sleep between two polls of ECS."""
    time.sleep(float(os.environ.get(LOOK_VARIABLE, LOOK_SECONDS)))


wait_for_listener = poll_sleep
"""Sleep between two attempts of the smoke test, since a load balancer applies a changed rule only after seconds."""
