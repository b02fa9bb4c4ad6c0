"""What stands on the terminal: always 80 columns and 24 lines, and words for what is not known."""

import io
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from order_operations.live.queues import Depth
from order_operations.live.view import (
    Latency,
    OpenOrders,
    OrderLine,
    PerSecond,
    Quantiles,
    Source,
    View,
)
from orderctl.commands import figures
from orderctl.commands.top_screen import HEIGHT, WIDTH, Screen, lines
from tests.factories import NOON


def order_line(order_id: str, **others: Any) -> OrderLine:
    line = OrderLine(
        id=order_id, tenant="acme", status="confirmed", parked=False, total=0, currency="EUR", age_seconds=0.0
    )
    return replace(line, **others)


STATUSES = ("confirmed", "rejected", "cancelled")
NOTHING = Quantiles(p50=None, p99=None)
UNKNOWN = View(
    at=NOON,
    where="on this machine",
    per_second=PerSecond(
        accepted=None, ended=dict.fromkeys(STATUSES), requests=None, errors_5xx=None, aws_retries=None
    ),
    history=[],
    history_seconds=0.0,
    latency=Latency(accept=NOTHING, end=NOTHING, queued=NOTHING),
    queue=Depth(),
    open_orders=OpenOrders(None, capped=False, oldest_seconds=None, parked=None),
    sources=[Source(name=name, up=0, of=0) for name in ("order-api", "order-processor", "sqs", "dynamodb")],
    last_orders=[],
)
BUSY = replace(
    UNKNOWN,
    per_second=PerSecond(
        accepted=12.3,
        ended={"confirmed": 10.0, "rejected": 1.5, "cancelled": 0.01},
        requests=30.0,
        errors_5xx=0.5,
        aws_retries=0.0,
    ),
    history=[0.0, 4.0, 8.0, 12.3],
    history_seconds=95.0,
    latency=Latency(accept=Quantiles(p50=0.0041, p99=0.12), end=Quantiles(p50=0.5, p99=75.0), queued=NOTHING),
    queue=Depth(visible=1234, in_flight=7, dead_letters=1),
    open_orders=OpenOrders(3, capped=True, oldest_seconds=61.0, parked=2),
    sources=[
        Source(name="order-api", up=2, of=3, versions=["0.1.0"], fault="HTTP 503", detail="…"),
        Source(name="order-processor", up=0, of=0),
        Source(name="sqs", up=0, of=1, fault="AccessDenied", detail="…"),
        Source(name="dynamodb", up=1, of=1),
    ],
    last_orders=[
        order_line(
            "ord_01a20054ea637231a2dd4d5a2a41bd52", status="reserved", parked=True, total=1180, age_seconds=3700.0
        ),
        order_line("ord_01a20054ea637231a2dd4d5a2a41bd53", tenant="globex", total=590, age_seconds=2.0),
    ],
)

numbers = st.none() | st.floats(0, 1e12)
counts = st.none() | st.integers(0, 10**12)
tasks = st.integers(0, 99)
quantiles = st.builds(Quantiles, p50=numbers, p99=numbers)
words = st.text(max_size=200)
views = st.builds(
    View,
    at=st.just(NOON),
    where=words,
    per_second=st.builds(
        PerSecond,
        accepted=numbers,
        ended=st.fixed_dictionaries(dict.fromkeys(STATUSES, numbers)),
        requests=numbers,
        errors_5xx=numbers,
        aws_retries=numbers,
    ),
    history=st.lists(st.floats(0, 1e6), max_size=100),
    history_seconds=st.floats(0, 1e6),
    latency=st.builds(Latency, accept=quantiles, end=quantiles, queued=quantiles),
    queue=st.builds(Depth, visible=counts, in_flight=counts, dead_letters=counts),
    open_orders=st.builds(OpenOrders, counts, st.booleans(), numbers, counts),
    sources=st.lists(
        st.builds(
            Source, name=words, up=tasks, of=tasks, versions=st.lists(words, max_size=3), fault=st.none() | words
        ),
        min_size=4,
        max_size=4,
    ),
    last_orders=st.lists(
        st.builds(
            OrderLine,
            id=words,
            tenant=words,
            status=words,
            parked=st.booleans(),
            total=st.integers(0, 10**15),
            currency=words,
            age_seconds=st.floats(0, 1e12),
        ),
        max_size=8,
    ),
)


WITH_ANOTHER_SERVICE = replace(
    BUSY, sources=[Source(name="order-notifier", up=1, of=1), *BUSY.sources], last_orders=[order_line("ord_1")] * 6
)


def shown(view: View, width: int = WIDTH, height: int = HEIGHT) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, markup=False, emoji=False, highlight=False)
    with console.capture() as capture:
        console.print(Screen(view))
    return capture.get()


@given(views)
def test_it_is_as_large_as_it_says_whatever_it_shows(view: View) -> None:
    assert [cell_len(line.plain) for line in lines(view)] == [WIDTH] * HEIGHT
    assert all(line.plain.isprintable() for line in lines(view))


@pytest.mark.parametrize("view", [BUSY, WITH_ANOTHER_SERVICE], ids=["busy", "another service"])
def test_on_a_terminal_of_its_size_it_fills_every_line(view: View) -> None:
    assert [len(line) for line in shown(view).splitlines()] == [WIDTH] * HEIGHT


def test_a_further_service_takes_the_place_of_an_order() -> None:
    assert shown(WITH_ANOTHER_SERVICE).count("ord_1") == 5


def test_a_larger_terminal_changes_nothing() -> None:
    assert [line.rstrip() for line in shown(BUSY, 200, 60).splitlines()] == [
        line.rstrip() for line in shown(BUSY).splitlines()
    ]


@pytest.mark.parametrize(("width", "height"), [(79, 24), (80, 23), (20, 5), (1, 1)])
def test_a_smaller_terminal_is_told_what_is_needed(width: int, height: int) -> None:
    told = "".join(shown(BUSY, width, height).split())
    assert told == f"orderctltopneeds80x24;thisterminalis{width}x{height}"


def test_numbers_stand_beside_their_names() -> None:
    text = shown(BUSY)
    for expected in ("accepted                          12.3", "cancelled                         <0.1"):
        assert expected in text
    for expected in ("accept                 4.1 ms   120 ms", "accepted to ended      500 ms    1 min"):
        assert expected in text
    for expected in ("visible                          1,234", "open                                3+"):
        assert expected in text
    assert "last 1:35, peak 12.3" in text


def test_what_is_down_is_told_in_a_word() -> None:
    text = shown(BUSY)
    for expected in (
        "order-api        2 of 3 up, 0.1.0, HT…",
        "order-processor  no address given",
        "sqs              down, AccessDenied",
        "dynamodb         up",
    ):
        assert expected in text


def test_an_order_is_one_line_that_names_it_in_full() -> None:
    parked, confirmed = (line for line in shown(BUSY).splitlines() if line.startswith("ord_"))
    assert parked.split() == ["ord_01a20054ea637231a2dd4d5a2a41bd52", "acme", "parked", "11.80", "EUR", "1", "h"]
    assert confirmed.split() == ["ord_01a20054ea637231a2dd4d5a2a41bd53", "globex", "confirmed", "5.90", "EUR", "2", "s"]


def test_what_is_not_known_is_no_zero() -> None:
    body = "\n".join(shown(UNKNOWN).splitlines()[5:])  # below the titles
    assert not any(character.isdigit() for character in body.replace("5xx", ""))
    assert body.count(figures.UNKNOWN) == 19


@given(st.lists(st.floats(0, 1e9), max_size=100), st.integers(1, 90))
def test_bars_end_with_the_newest_and_grow_with_the_value(values: list[float], width: int) -> None:
    upper, lower = figures.bars(values, width)
    assert len(upper) == len(lower) == width
    heights = [figures.BARS.index(top) + figures.BARS.index(bottom) for top, bottom in zip(upper, lower, strict=True)]
    recent = values[-width:]
    assert heights[: width - len(recent)] == [0] * (width - len(recent))
    drawn = sorted(zip(recent, heights[width - len(recent) :], strict=True))
    assert [height for _, height in drawn] == sorted(height for _, height in drawn)
    assert all(height >= 1 for _, height in drawn)
    if any(recent):
        assert drawn[-1][1] == figures.LEVELS


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0.0 ms"),
        (0.0041, "4.1 ms"),
        (0.12, "120 ms"),
        (2.5, "2.5 s"),
        (60.0, "1 min"),
        (7200.0, "2 h"),
        (200_000.0, "2 d"),
        (None, figures.UNKNOWN),
    ],
)
def test_durations(seconds: float | None, expected: str) -> None:
    assert figures.duration(seconds) == expected
