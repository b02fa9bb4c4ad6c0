"""How often ECS is looked at."""

import os
import time

LOOK_SECONDS = 5.0
LOOK_VARIABLE = "ORDER_DEPLOY_LOOK_SECONDS"
"""Between two looks; shorter against a fake."""


def look_away() -> None:
    time.sleep(float(os.environ.get(LOOK_VARIABLE, LOOK_SECONDS)))
