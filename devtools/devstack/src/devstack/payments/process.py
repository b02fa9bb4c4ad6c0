"""Start the sandbox as a process of the local stack."""

import os
import sys
from pathlib import Path

from devstack.address import LOOPBACK
from devstack.payments.options import SLOW_SECONDS
from devstack.processes import Child, ProcessGroup


def start_payments(
    group: ProcessGroup,
    port: int = 0,
    *,
    slow_seconds: float = SLOW_SECONDS,
    books: Path | None = None,
    name: str = "payments",
) -> tuple[Child, str]:
    """Start the sandbox; return its process and base URL. Its payments are kept in the file `books`, if it is given.

    Raises ChildFailed.
    """
    options = ["--host", LOOPBACK, "--port", str(port), "--slow-seconds", str(slow_seconds)]
    if books is not None:
        options += ["--books", str(books)]
    child = group.start(name, [sys.executable, "-m", "devstack.payments", *options], dict(os.environ))
    return child, child.wait_for_address()
