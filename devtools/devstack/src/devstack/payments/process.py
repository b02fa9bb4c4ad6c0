"""The sandbox as a process of the stack on one machine."""

import os
import sys

from devstack.address import LOOPBACK
from devstack.payments.bank import SLOW_SECONDS
from devstack.processes import Child, ProcessGroup

HOST = LOOPBACK
READY_SECONDS = 30.0


def start_payments(
    group: ProcessGroup, port: int = 0, *, slow_seconds: float = SLOW_SECONDS, name: str = "payments"
) -> tuple[Child, str]:
    """Starts the sandbox; the process and its base URL. Raises ChildFailed."""
    options = ["--host", HOST, "--port", str(port), "--slow-seconds", str(slow_seconds)]
    child = group.start(name, [sys.executable, "-m", "devstack.payments", *options], dict(os.environ))
    child.wait_until(lambda: child.listening_port() is not None, "listening", READY_SECONDS)
    return child, f"http://{HOST}:{child.listening_port()}"
