"""Interval between two polls of ECS."""

import os
import time

LOOK_SECONDS = 5.0
LOOK_VARIABLE = "ORDER_DEPLOY_LOOK_SECONDS"
"""Environment variable that overrides the interval, for a shorter one against a fake."""


def poll_sleep() -> None:
    """Sleep between two polls of ECS."""
    time.sleep(float(os.environ.get(LOOK_VARIABLE, LOOK_SECONDS)))


wait_for_listener = poll_sleep
"""Sleep between two attempts of the smoke test: a load balancer needs some seconds to apply a changed rule."""
