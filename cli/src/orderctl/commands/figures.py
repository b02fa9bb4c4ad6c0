"""Formatting of rates, counts, durations, ages and bar charts."""

from collections.abc import Sequence

UNKNOWN = "\N{EN DASH}"
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))
BARS = " ▁▂▃▄▅▆▇█"
LEVELS = 2 * (len(BARS) - 1)


def rate(per_second: float | None) -> str:
    """Format a rate per second: `12.3`, `1,234`. A rate below 0.05 that is not zero is `<0.1`."""
    if per_second is None:
        return UNKNOWN
    if 0 < per_second < 0.05:
        return "<0.1"
    return f"{per_second:,.1f}" if per_second < 1000 else f"{per_second:,.0f}"


def count(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"


def duration(seconds: float | None) -> str:
    """Format a latency: `4.1 ms`, `120 ms`, `2.5 s`, `3 min`."""
    if seconds is None:
        return UNKNOWN
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else age(seconds)


def age(seconds: float | None) -> str:
    """Format an age in whole units, rounded down: `45 s`, `12 min`, `3 h`, `2 d`."""
    if seconds is None:
        return UNKNOWN
    for unit, length in UNITS:
        if seconds >= length:
            return f"{int(seconds) // length} {unit}"
    return f"{int(seconds)} s"


def bars(values: Sequence[float], width: int) -> tuple[str, str]:
    """Return the upper and the lower line of a bar chart of the last `width` values, the newest at the right.

    The highest value fills both lines. A zero is a thin line; columns without a value, at the left, are blank.
    """
    shown = values[-width:]
    peak = max(shown, default=0.0)
    levels = [max(1, round(value / peak * LEVELS)) if peak > 0 else 1 for value in shown]
    half = LEVELS // 2
    upper = "".join(BARS[max(0, level - half)] for level in levels)
    lower = "".join(BARS[min(half, level)] for level in levels)
    return upper.rjust(width), lower.rjust(width)
