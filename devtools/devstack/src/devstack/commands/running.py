"""Steps that the verbs share: watch a stack until Ctrl-C, and demonstrate in a folder that is removed afterwards."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from devstack.processes import ProcessGroup
from orderctl.terminal import console

WATCH_SECONDS = 0.2


def watch_until_interrupted(group: ProcessGroup) -> None:
    """Return at Ctrl-C. Raises ChildFailed if a process ends by itself."""
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            group.ensure_alive()
            time.sleep(WATCH_SECONDS)
    console.print("stopping", style="dim")


@contextlib.contextmanager
def demonstration(state: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder for a demonstration. It stays, with its logs, only if the block raises."""
    state.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=state))
    yield folder
    console.print("Everything went as it should, and everything has ended.", style="green")
    shutil.rmtree(folder)
