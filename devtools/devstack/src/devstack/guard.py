"""Guard process: stops all processes of the stack if the process that started them is killed.

The guard leads the stack's process group and reads a pipe from the starter, which writes the id of each process. When
the pipe closes, the guard sends SIGTERM to the group, and SIGKILL once all processes have ended or the time is up. Its
argument is that time, in seconds.

It is run by its path and imports only the standard library, so that it starts before all other processes.
"""

import os
import signal
import sys
import time


def main() -> None:
    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sign, signal.SIG_IGN)
    members = [int(line) for line in sys.stdin]
    group = os.getpgrp()
    os.killpg(group, signal.SIGTERM)
    os.killpg(group, signal.SIGCONT)  # a suspended process receives no other signal
    deadline = time.monotonic() + float(sys.argv[1])
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
