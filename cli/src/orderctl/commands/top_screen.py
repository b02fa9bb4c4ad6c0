"""Screen of `orderctl top`: always 24 lines of 80 columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.align import AlignMethod
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from order_operations.live.view import OrderLine, Quantiles, Source, View
from order_shared.domain.money.currencies import format_amount
from orderctl.commands import figures
from orderctl.terminal import printable

WIDTH, HEIGHT = 80, 24
COLUMN = 38
ID = 36
QUANTILE = 9
NAME = 17

GOOD, BAD, QUIET, TITLE = "green", "bold red", "dim", "bold cyan"
STATUS_STYLES = {"confirmed": GOOD, "rejected": "yellow", "cancelled": "yellow", "parked": BAD}


@dataclass(frozen=True)
class Screen:
    """Rich renderable that shows a view, or an error message if the terminal is too small."""

    view: View

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.size
        if width < WIDTH or height < HEIGHT:
            yield Text(f"orderctl top needs {WIDTH}x{HEIGHT}; this terminal is {width}x{height}")
        else:
            yield from lines(self.view)


def lines(view: View) -> list[Text]:
    """Return HEIGHT lines, each WIDTH wide."""
    pairs = zip_longest(_left(view), _right(view), fillvalue=Text(" " * COLUMN))
    gap = " " * (WIDTH - 2 * COLUMN)
    above = [
        _row(f"orderctl top · {view.where}", f"{view.at:%Y-%m-%d %H:%M:%S} UTC", WIDTH, "bold"),
        *_history(view),
        *(Text.assemble(left, gap, right) for left, right in pairs),
        _title("last orders", ID).append(" tenant     status             total     age", QUIET),
    ]
    return [*above, *_last_orders(view.last_orders, HEIGHT - len(above))]


def _history(view: View) -> Iterator[Text]:
    minutes, seconds = divmod(int(view.history_seconds), 60)
    peak = figures.rate(max(view.history, default=None))
    yield _title(f"accepted per second, last {minutes}:{seconds:02d}, peak {peak}", WIDTH)
    for line in figures.bars(view.history, WIDTH):
        yield Text(line, GOOD)


def _left(view: View) -> Iterator[Text]:
    rates, queue = view.per_second, view.queue
    yield _title("orders per second", COLUMN)
    yield _row("accepted", figures.rate(rates.accepted))
    for status in ("confirmed", "rejected", "cancelled"):
        yield _row(status, figures.rate(rates.ended[status]))
    yield _title("requests per second", COLUMN)
    yield _row("from customers", figures.rate(rates.requests))
    yield _row("5xx responses", figures.rate(rates.errors_5xx), style=_alarming(rates.errors_5xx))
    yield _row("retries to AWS", figures.rate(rates.aws_retries))
    yield _title("queue", COLUMN)
    yield _row("visible", figures.count(queue.visible))
    yield _row("in flight", figures.count(queue.in_flight))
    yield _row("dead letters", figures.count(queue.dead_letters), style=_alarming(queue.dead_letters))


def _right(view: View) -> Iterator[Text]:
    orders, latency = view.open_orders, view.latency
    yield _title("latency", COLUMN - 2 * QUANTILE).append(f"{'p50':>{QUANTILE}}{'p99':>{QUANTILE}}", QUIET)
    yield _quantiles("accept", latency.accept)
    yield _quantiles("accepted to ended", latency.end)
    yield _quantiles("in the queue", latency.queued)
    yield _title("open orders", COLUMN)
    yield _row("open", figures.count(orders.count) + ("+" if orders.capped else ""))
    yield _row("oldest", figures.age(orders.oldest_seconds))
    yield _row("parked", figures.count(orders.parked), style=_alarming(orders.parked))
    yield _title("services", COLUMN)
    yield from map(_source, view.sources)


def _last_orders(orders: Sequence[OrderLine], count: int) -> Iterator[Text]:
    """Return `count` lines."""
    shown = [_order(order) for order in orders[:count]]
    yield from shown
    for _ in range(count - len(shown)):
        yield Text(" " * WIDTH)


def _order(order: OrderLine) -> Text:
    status = "parked" if order.parked else order.status
    return Text.assemble(
        _fit(order.id, ID + 1),
        _fit(order.tenant, 10),
        " ",
        _fit(status, 10, STATUS_STYLES.get(status, "")),
        _fit(format_amount(order.total, order.currency), 14, align="right"),
        _fit(figures.age(order.age_seconds), 8, align="right"),
    )


def _source(source: Source) -> Text:
    if source.of == 0:
        state, style = "no address given", QUIET
    else:
        up = f"{source.up} of {source.of} up" if source.of > 1 else "up" if source.up else "down"
        state = ", ".join(filter(None, [up, *source.versions, source.fault]))
        style = GOOD if source.up == source.of else BAD
    return Text.assemble(_fit(source.name, NAME), _fit(state, COLUMN - NAME, style))


def _quantiles(name: str, quantiles: Quantiles) -> Text:
    values = (_fit(figures.duration(each), QUANTILE, align="right") for each in (quantiles.p50, quantiles.p99))
    return Text.assemble(_fit(name, COLUMN - 2 * QUANTILE), *values)


def _alarming(number: float | None) -> str:
    return BAD if number else ""


def _title(name: str, width: int) -> Text:
    return Text.assemble(("── ", QUIET), (name, TITLE), (" " + "─" * (width - len(name) - 4), QUIET))


def _row(name: str, value: str, width: int = COLUMN, style: str = "") -> Text:
    room = width - len(value) - 1
    return Text.assemble(_fit(name, room, style), " ", _fit(value, len(value), style))


def _fit(text: str, width: int, style: str = "", *, align: AlignMethod = "left") -> Text:
    """Return the text cut or padded to `width`, with its control characters escaped."""
    fitted = Text(printable(text).translate({ord("\n"): " ", ord("\t"): " "}), style)
    fitted.truncate(width, overflow="ellipsis")
    fitted.align(align, width)
    return fitted
