"""Steps shared by the commands: watch a stack until Ctrl-C, and run a demonstration in a temporary folder."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from devstack.processes import ProcessGroup
from orderctl.exceptions import UsageError
from orderctl.terminal import console

WATCH_SECONDS = 0.2


def watch_until_interrupted(group: ProcessGroup) -> None:
    """Wait for Ctrl-C. Raises ChildFailed if a process exits."""
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            group.ensure_alive()
            time.sleep(WATCH_SECONDS)
    console.print("stopping", style="dim")


def usable(state: Path) -> Path:
    """Create the state folder if it is missing, and return it. Raises UsageError if it cannot be written."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=state).close()
    except OSError as error:
        raise UsageError(
            f"--state: the folder {state} cannot be used ({error.strerror}): choose one that you can write, such as "
            f"--state {Path(tempfile.gettempdir()) / 'order-platform'}"
        ) from error
    return state


@contextlib.contextmanager
def demonstration(state: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder for a demonstration. The folder and its logs are kept only if the block raises."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=usable(state)))
    yield folder
    console.print("All checks passed; everything has been shut down.", style="green")
    shutil.rmtree(folder)
