"""Start the pages of the local stack as one of its processes."""

import sys
from pathlib import Path

from devstack.address import LOOPBACK
from devstack.probe import is_ready
from devstack.processes import READY_SECONDS, Child
from devstack.stack import Stack, tried

PAGES = "pages"
START = "/pages/start"
LAB = "/pages/lab"


def start_pages(stack: Stack, state: Path) -> None:
    """Start the pages. `stack.json` must be in the folder `state` already. Raises ChildFailed."""

    def start() -> tuple[Child, str]:
        options = ["--host", LOOPBACK, "--port", str(stack.options.ports.get(PAGES, 0)), "--state", str(state)]
        child = stack.group.start(PAGES, [sys.executable, "-m", "devstack.lab", *options], stack.environment)
        address = child.wait_for_address()
        child.wait_until(lambda: is_ready(f"{address}{START}"), "ready", READY_SECONDS)
        return child, address

    child, stack.pages = tried(start, stack.options)
    stack.children[PAGES], stack.probes[PAGES] = child, f"{stack.pages}{START}"
