"""Interval between two polls of ECS."""

import time

from orderctl.settings import DeploySettings, load_settings

LOOK_SECONDS = 5.0


def poll_sleep() -> None:
    """Sleep between two polls of ECS."""
    time.sleep(load_settings(DeploySettings).deploy_look_seconds)


wait_for_listener = poll_sleep
"""Sleep between two attempts of the smoke test, since a load balancer applies a changed rule only after seconds."""
