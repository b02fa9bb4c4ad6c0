"""Time limit of each test: one that exceeds it fails, and its report has the stack of every thread and task.

The limit is an alarm in the main thread, where tests and fixtures run: the suite continues with the next test. Where
the alarm cannot interrupt the test, pytest's fault handler ends the process a while later (see pyproject.toml).
"""

import asyncio
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any, Protocol

import pytest

MACHINERY = tuple(f"/site-packages/{name}/" for name in ("_pytest", "pluggy", "pytest_asyncio", "xdist", "execnet"))


class Settings(Protocol):
    """Settings of pytest-timeout for one test."""

    timeout: float
    method: str


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Settings) -> bool | None:
    """Start the alarm of a test; leave it to pytest-timeout if the test asks for another method."""
    if settings.method != "signal":
        return None

    def fail(_number: int, frame: FrameType | None) -> None:
        pytest.fail(f"the test exceeded its limit of {settings.timeout:g} s\n{stacks(frame)}", pytrace=False)

    def cancel() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    item.cancel_timeout = cancel  # type: ignore[attr-defined]  # where pytest-timeout looks for it
    signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, settings.timeout)
    return True


def stacks(interrupted: FrameType | None) -> str:
    """Return the stack of each thread, that of this one from `interrupted` on, and of each asyncio task."""
    return "\n".join([*_of_threads(interrupted), *_of_tasks()])


def _of_threads(interrupted: FrameType | None) -> Iterator[str]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        shown = interrupted if ident == threading.get_ident() else frame
        frames = [each for each in traceback.extract_stack(shown) if not _is_machinery(each.filename)]
        if frames:
            yield f"--- thread {names.get(ident, ident)}\n" + "".join(traceback.format_list(frames))


def _is_machinery(filename: str) -> bool:
    return any(part in filename for part in MACHINERY)


def _of_tasks() -> Iterator[str]:
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:  # no loop is running
        return
    for task in tasks:
        frames = [(frame, frame.f_lineno) for frame in _awaiting(task.get_coro())]
        written = traceback.StackSummary.extract(iter(frames))
        yield f"--- task {task.get_name()}\n" + "".join(traceback.format_list(written))


def _awaiting(coroutine: Any) -> Iterator[FrameType]:
    """Yield the frames of a coroutine, and of those that it waits for, from the outermost in."""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None:
            yield frame
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
