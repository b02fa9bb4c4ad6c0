"""Sees to it that nothing is left running, whatever becomes of the process that started the stack.

It leads the stack's process group and reads a pipe that only the starter holds. `pid N` on the pipe names a
member; `done` says that all ended well. If the pipe closes without that, because the starter was killed, it
ends the group: politely first, then for good.

Run by its path and with the standard library only, so that it is up before anything else.
"""

import os
import signal
import sys
import time

GRACE_SECONDS = 10.0


def main() -> None:
    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sign, signal.SIG_IGN)
    members: list[int] = []
    for line in sys.stdin:
        word, _, number = line.strip().partition(" ")
        if word == "done":
            return
        members.append(int(number))
    group = os.getpgrp()
    os.killpg(group, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(map(_alive, members)) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
