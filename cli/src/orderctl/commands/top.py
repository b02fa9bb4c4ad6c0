"""`orderctl top`: live figures of the platform."""

import asyncio
import contextlib
import re
import sys
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from io import StringIO
from itertools import count
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from order_operations.live.sources import Sources, open_sources
from order_operations.live.tasks import API, PROCESSOR, Task
from order_operations.live.view import View
from order_operations.live.watch import Watch
from order_shared.domain.order.models import Customer
from orderctl.commands.top_screen import HEIGHT, WIDTH, Screen
from orderctl.profile import DEFAULT_STATE, LocalOption, StackProfile, StateOption, make_target, reported_failures
from orderctl.terminal import Output, OutputOption, console, print_json

EXTERNAL_FONT = re.compile(r"\s*@font-face \{[^}]*\}")
"""CSS rule in Rich's SVG that loads a font from another site. It is removed: any monospaced font is sufficient."""

REDRAWS_PER_SECOND = 4
"""Redraws per second without new data, so that the screen adapts to a new terminal size."""


def top(
    *,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
    api: Annotated[
        list[str] | None,
        typer.Option("--api", metavar="URL", help="Task of the API, such as http://10.0.1.7:8080; may be repeated."),
    ] = None,
    processor: Annotated[
        list[str] | None,
        typer.Option(
            "--processor", metavar="URL", help="Task of the processor, such as http://10.0.2.9:8081; may be repeated."
        ),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="With --customer: tenant of that customer.")] = None,
    customer: Annotated[str | None, typer.Option(help="With --tenant: customer whose last orders are shown.")] = None,
    every: Annotated[float, typer.Option(min=0.5, max=60, help="Seconds between two polls.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Poll twice, print one view, and exit.")] = False,
    output: OutputOption = Output.TEXT,
    svg: Annotated[
        Path | None, typer.Option(dir_okay=False, help="At the end, write the last view to this SVG file.")
    ] = None,
) -> None:
    """Watch the platform: rates, latency, queue, dead letters, open and parked orders, last orders.

    \b
    orderctl top --local
    orderctl top --api http://10.0.1.7:8080 --processor http://10.0.2.9:8081
    orderctl top --local --once --output json | jq .queue.dead_letters

    Rates and latencies cover the time between two polls and all tasks given. Give
    the addresses of the tasks, not of the load balancer, which forwards each
    request to another task. Without --api and --processor, only figures from SQS
    and DynamoDB are shown. A task that does not respond is shown as down.

    The last orders are the open orders of all customers. With --tenant and
    --customer, or with --local, they include ended orders.

    The terminal must be 80x24 at least; without a terminal, --once is implied. A
    poll costs one request to each task, two to SQS and up to forty small ones to
    DynamoDB. Ctrl-C ends it.
    """
    if local and (api or processor):
        raise typer.BadParameter("--local finds the tasks itself: leave out --api and --processor")
    if (tenant is None) != (customer is None):
        raise typer.BadParameter("--tenant and --customer must be given together")
    with reported_failures():
        target = make_target(local, state)
        named = [
            *(Task(service=API, address=url) for url in api or ()),
            *(Task(service=PROCESSOR, address=url) for url in processor or ()),
        ]
        sources = open_sources(
            target,
            StackProfile.at(state).tasks if local else named,
            customer=Customer(tenant=tenant, id=customer) if tenant and customer else None,
            small=local,
        )
        settings = target.settings
        watch = Watch("on this machine" if local else f"{settings.table_prefix}* in {settings.aws_region}")
        views: deque[View] = deque(maxlen=1)
        if once or output is Output.JSON or not sys.stdout.isatty() or console.is_dumb_terminal:
            asyncio.run(_look(sources, watch, every, views.append, looks=2))
            if output is Output.JSON:
                print_json(views[-1].to_json(), indent=None)
            else:
                _page().print(Screen(views[-1]))
        else:
            _look_live(sources, watch, every, views.append)
        if svg is not None and views:
            _draw(views[-1], svg)


def _look_live(
    sources: AbstractAsyncContextManager[Sources], watch: Watch, every: float, also: Callable[[View], None]
) -> None:
    """Show views on the full screen until Ctrl-C, and pass each to `also`."""
    first = Text("loading …")
    with Live(first, console=console, screen=True, refresh_per_second=REDRAWS_PER_SECOND) as live:

        def show(view: View) -> None:
            also(view)
            live.update(Screen(view), refresh=True)

        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_look(sources, watch, every, show))


async def _look(
    opened: AbstractAsyncContextManager[Sources],
    watch: Watch,
    every: float,
    show: Callable[[View], None],
    looks: int | None = None,
) -> None:
    """Poll the sources every `every` seconds and show a view of each poll. Stop after `looks` polls; never if None."""
    async with opened as sources:
        for number in count(1):
            show(watch.see(await sources.look()))
            if number == looks:
                return
            await asyncio.sleep(every)


def _draw(view: View, path: Path) -> None:
    page = _page(file=StringIO(), record=True)
    page.print(Screen(view))
    picture = page.export_svg(title="orderctl top", unique_id="orderctl-top")
    path.write_text(EXTERNAL_FONT.sub("", picture), encoding="utf-8")


def _page(*, file: IO[str] | None = None, record: bool = False) -> Console:
    """Return a console of the size of one view, whatever the terminal's size."""
    return Console(file=file, record=record, width=WIDTH, height=HEIGHT, highlight=False, markup=False, emoji=False)
