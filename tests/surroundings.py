"""Surroundings of the suite: the same for its tests, and for every process that they start, wherever it runs.

A test must not depend on what a terminal, a CI runner, a developer's AWS configuration or a proxy sets, and a child
must not inherit an ignored signal: under `nohup`, and on many runners, it would never end at the SIGINT of its test.
"""

import locale
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType

from devstack.signals import do_nothing, ignored_signals

KEPT = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME"),
        *("JAVA_HOME", "DYNAMODB_LOCAL_HOME", "LD_LIBRARY_PATH"),
    }
)
KEPT_PREFIXES = ("PYTEST_", "PYENV_", "COVERAGE_", "COV_CORE_")
"""Variables that locate programs and writable folders, or that pytest and its plugins pass to their processes."""

FIXED = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def settle() -> None:
    """Fix the environment and the signals of this process. Must come before anything reads them at import."""
    os.environ.update(cleaned(os.environ))
    for name in [name for name in os.environ if not _is_known(name)]:
        del os.environ[name]
    time.tzset()
    locale.setlocale(locale.LC_ALL, "")
    reset_signals()


def cleaned(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the kept variables of an environment, with the fixed ones."""
    return {name: value for name, value in environ.items() if _is_known(name)} | FIXED


def _is_known(name: str) -> bool:
    return name in KEPT or name in FIXED or name.startswith(KEPT_PREFIXES)


def reset_signals() -> None:
    """Start children with every signal at its default and none blocked, and this process as on a terminal.

    A program inherits an ignored signal, but not a handler. A handler that does nothing prevents SIGHUP from ending
    this process, as `nohup` requires, and its children get the default.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in ignored_signals():
        signal.signal(number, TAKES_EFFECT.get(number, do_nothing))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


TAKES_EFFECT: Mapping[int, Callable[[int, FrameType | None], object] | signal.Handlers] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGCHLD: signal.SIG_DFL,
}
"""Signals that tests send to their own process, or that report the end of a child."""
