"""`orderctl top`: how the platform is doing, now."""

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
"""Rich's pictures fetch a font from another site. Any monospaced one will do."""

REDRAWS_PER_SECOND = 4
"""How soon a change of the terminal's size is followed."""


def top(
    *,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
    api: Annotated[
        list[str] | None,
        typer.Option("--api", metavar="URL", help="A task of the API, such as http://10.0.1.7:8080; repeatable."),
    ] = None,
    processor: Annotated[
        list[str] | None,
        typer.Option("--processor", metavar="URL", help="A processor, such as http://10.0.2.9:8081; repeatable."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="With --customer: whose last orders are shown.")] = None,
    customer: Annotated[str | None, typer.Option(help="With --tenant: whose last orders are shown.")] = None,
    every: Annotated[float, typer.Option(min=0.5, max=60, help="Seconds from one look to the next.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look twice, show one view, and end.")] = False,
    output: OutputOption = Output.TEXT,
    svg: Annotated[
        Path | None, typer.Option(dir_okay=False, help="At the end, write the last view to this file, as a picture.")
    ] = None,
) -> None:
    """Watch the platform: rates, latency, queue, dead letters, parked and open orders, the last orders.

    \b
    orderctl top --local
    orderctl top --api http://10.0.1.7:8080 --processor http://10.0.2.9:8081
    orderctl top --local --once --output json | jq .queue.dead_letters

    Rates and latencies are of the time between two looks, over all tasks that
    are named. Name the tasks themselves, not their load balancer: it answers
    with another one each time. Without --api and --processor there is still
    what SQS and DynamoDB know. What does not answer is shown as down.

    The last orders are open ones, of all customers; with --tenant and
    --customer, and with --local, they are whatever became of them.

    It needs a terminal of 80x24, and without one does as --once does. A look
    costs one request to each task, two to SQS and up to forty small ones to
    DynamoDB. Ctrl-C ends it.
    """
    if local and (api or processor):
        raise typer.BadParameter("--local finds its own tasks: it takes no --api and no --processor")
    if (tenant is None) != (customer is None):
        raise typer.BadParameter("--tenant and --customer go together")
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
    """On the whole terminal, until Ctrl-C."""
    first = Text("looking …")
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
    """Shows view after view: that many, or for ever."""
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
    """As large as one view, whatever the terminal is."""
    return Console(file=file, record=record, width=WIDTH, height=HEIGHT, highlight=False, markup=False, emoji=False)
