"""Times of the platform: timezone-aware UTC datetimes in microseconds, and one text format that sorts by time.

`datetime.isoformat` omits microseconds that are zero by default, so its texts do not sort by time. Use `to_text` and
`from_text` instead. Conversions use integer arithmetic, which is exact.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
MAX_MICROS = 253_402_300_799_999_999  # the last microsecond of the year 9999

Clock = Callable[[], datetime]
"""Function that returns the current time in UTC. Code that needs the time takes a clock, which tests can control."""

MICROSECOND = timedelta(microseconds=1)


def utc_now() -> datetime:
    return datetime.now(UTC)


def to_micros(at: datetime) -> int:
    """Return the exact number of microseconds from 1970 to an aware datetime."""
    return (at - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)


def to_millis(at: datetime) -> int:
    return to_micros(at) // 1000


@lru_cache(maxsize=1024)  # writes of an order repeat the same few times
def to_text(at: datetime) -> str:
    """Return a text such as `2026-01-31T09:05:00.000120Z`. These texts sort by time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def from_text(text: str) -> datetime:
    """Return the time of a text that `to_text` wrote. Raises ValueError for any other form."""
    if not _TEXT.fullmatch(text):  # `fromisoformat` also accepts formats that do not sort by time
        raise ValueError(f"{text!r:.60} is not a time such as 2026-01-31T09:05:00.000120Z")
    return datetime.fromisoformat(text)


class UniqueClock:
    """Clock that returns a later time at each call, at least one microsecond after the previous one."""

    def __init__(self, micros: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._micros = micros
        self._last = 0

    def __call__(self) -> datetime:
        self._last = max(self._micros(), self._last + 1)
        return from_micros(self._last)
