"""Counts the tasks that ran, where the benchmark can read it: a consumer that only deleted would be fast too."""

import mmap
import os
import threading
from pathlib import Path

TALLY_BYTES = 8

_lock = threading.Lock()


def _open_tally() -> memoryview:
    """One unsigned number in the file that `TALLY` names; in memory only, if it names none."""
    path = os.environ.get("TALLY")
    if path is None:
        return memoryview(bytearray(TALLY_BYTES)).cast("Q")
    with Path(path).open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), TALLY_BYTES)).cast("Q")


_tally = _open_tally()


def count() -> None:
    """About a fifth of a microsecond. For the threads of one process."""
    with _lock:
        _tally[0] += 1
