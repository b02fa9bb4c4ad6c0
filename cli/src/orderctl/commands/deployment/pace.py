"""Interval between two looks at ECS."""

import os
import time

LOOK_SECONDS = 5.0
LOOK_VARIABLE = "ORDER_DEPLOY_LOOK_SECONDS"
"""Variable for another interval: a shorter one against a fake."""


def poll_sleep() -> None:
    """Wait between two looks at ECS."""
    time.sleep(float(os.environ.get(LOOK_VARIABLE, LOOK_SECONDS)))


wait_for_listener = poll_sleep
"""Wait between two attempts of the smoke test: a load balancer needs some seconds to follow a changed rule."""
