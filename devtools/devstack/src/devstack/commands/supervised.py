"""Implementation of `orderctl local up`: the stack with kept data, fixed ports and a supervisor, until Ctrl-C."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from devstack.commands.running import WATCH_SECONDS, usable
from devstack.kept_data import DATA_FOLDER, KeptData
from devstack.lab.process import LAB, START, start_pages
from devstack.ports import chosen_ports
from devstack.seed import default_files, load, read_products
from devstack.stack import (
    Stack,
    StackOptions,
    local_credentials,
    local_settings,
    prepare,
    publish,
    published,
    running_infrastructure,
)
from devstack.supervisor import MAX_FAILED_STARTS, NotPrepared, Supervisor
from order_shared.domain.errors import PlatformError
from orderctl.profile import STACK_FILE
from orderctl.terminal import console, printable

EMULATOR = "emulator"


def run_supervised(state: Path, *, first_port: int | None, is_fresh: bool) -> None:
    """Run the stack until Ctrl-C. Raises ChildFailed, DataOutdated, EmulatorMissing, PortTaken."""
    data = KeptData(usable(state) / DATA_FOLDER)
    if is_fresh:
        data.remove()
    data.open()
    saved_before = data.saved_at
    options = StackOptions(ports=chosen_ports(first_port), data=data, attempts=MAX_FAILED_STARTS, announce=_announce)
    with _running(state, options) as stack, published(stack, state / STACK_FILE):
        start_pages(stack, state)
        publish(stack, state / STACK_FILE)
        _print_addresses(stack, state)
        _supervise(stack, state)
    if data.saved_at == saved_before:
        console.print(f"the embedded AWS could not save its data. {_lost_since(data)}", style="red")
    else:
        console.print(f"everything has been shut down; the data is kept in {data.folder}")


@contextlib.contextmanager
def _running(state: Path, options: StackOptions) -> Iterator[Stack]:
    data = options.data
    kept = "" if data is None or data.saved_at is None else f" with the data saved at {_clock(data.saved_at)}"
    with contextlib.ExitStack() as entered:
        with console.status("starting the embedded AWS and the services"):
            stack = entered.enter_context(running_infrastructure(state, options=options))
            stack.start_gate()
            stack.start_payments()
            stack.start_services()
        created = _seed(stack.aws)
        console.print(f"started{kept}; {created} new products", style="dim")
        yield stack


def _supervise(stack: Stack, state: Path) -> None:
    """Restart children that die, until Ctrl-C. Raises ChildFailed."""

    data = stack.options.data
    assert data is not None  # noqa: S101 - this command keeps data

    def remark(name: str) -> str:
        return f". {_lost_since(data)}" if name == EMULATOR else ""

    def make_usable(name: str) -> None:
        if name != EMULATOR:
            return
        try:
            prepare(stack.aws, stack.options)
            _seed(stack.aws)
        except (BotoCoreError, ClientError, PlatformError) as error:  # such as another death
            raise NotPrepared(str(error)) from error

    supervisor = Supervisor(
        stack.group,
        stack.children,
        stack.probes,
        _announce,
        on_death=remark,
        prepare=make_usable,
        on_change=lambda: publish(stack, state / STACK_FILE),
    )
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            supervisor.check()
            time.sleep(WATCH_SECONDS)
    console.print("stopping", style="dim")


def _seed(aws: str) -> int:
    return asyncio.run(load(read_products(default_files()), local_settings(aws), local_credentials(), lambda _: None))


def _lost_since(data: KeptData) -> str:
    """Return the sentence about the loss of data after the embedded AWS did not end in order."""
    lost = "all orders, messages and events"
    since = "" if data.saved_at is None else f" since {_clock(data.saved_at)}"
    return f"It saves its data only when it is stopped in order: {lost}{since} are lost"


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _announce(line: str) -> None:
    console.print(
        f"{datetime.now(UTC):%H:%M:%S} {printable(line)}", style="yellow", markup=False, highlight=False, soft_wrap=True
    )


def _print_addresses(stack: Stack, state: Path) -> None:
    lines = Table.grid(padding=(0, 2))
    for name, address in (
        ("start page", f"{stack.pages}{START}"),
        ("the Lab", f"{stack.pages}{LAB}"),
        ("API reference", f"{stack.api}/pages/api"),
        *stack.services.items(),
        ("embedded AWS", stack.aws),
        ("payment sandbox", stack.payments),
        ("addresses and process ids", str(state / STACK_FILE)),
        ("logs", str(state / "logs")),
        ("data", str(state / DATA_FOLDER)),
    ):
        lines.add_row(name, Text(address, style="bold"))
    lines.add_row("get a token", "orderctl local token --tenant acme --customer ada")
    lines.add_row("live figures", "orderctl top --local")
    console.print(Panel(lines, title="the order platform is running; Ctrl-C stops it", expand=False))
