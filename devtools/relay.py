"""Shell of the workflow steps that run Terraform: it passes on the signal by which GitHub's runner ends a step.

    shell: python3 -Es devtools/relay.py {0}

To cancel a step, the runner sends SIGINT to its shell, alone. It sends SIGTERM after seven and a half seconds more, and
two and a half seconds later it kills every process. A shell waits for its child and tells it nothing, so that Terraform
would be killed without writing its state. This program sends the first signal to all processes of the step, as Ctrl-C
in a terminal does, and no second one, after which Terraform would give up. Standard library only.
"""

import os
import signal
import subprocess
import sys
from types import FrameType

BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
"""As GitHub runs `shell: bash`."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(script: str) -> int:
    """Run a step's script. Return its exit code; 128 and the number of the signal that ended it."""
    asked = False

    def ask(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        name = signal.Signals(number).name
        if asked:
            os.write(2, f"\n{name}: the step is stopping already\n".encode())
            return
        asked = True
        os.write(2, f"\n{name}: asking the step to stop and to write its state\n".encode())
        os.killpg(process.pid, signal.SIGINT)

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # until the process is there to be asked
    process = subprocess.Popen(
        [*BASH, script],
        process_group=0,
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, mask),  # noqa: PLW1509 - it has no threads
    )
    for each in ENDING:
        signal.signal(each, ask)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
