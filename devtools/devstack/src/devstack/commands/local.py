"""Commands of `orderctl local`, which run the whole platform on this machine."""

import asyncio
import contextlib
import fcntl
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import Field
from rich import box
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from aws_json_client import CredentialsProvider
from devstack.commands.running import WATCH_SECONDS, demonstration, usable
from devstack.demo import DemoFailed, Row, run_demo
from devstack.emulator import EmulatorMissing
from devstack.issuer import ALL_SCOPES, DEFAULT_TTL_SECONDS, BrokenKey, Issuer
from devstack.kept_data import DataOutdated
from devstack.ports import PortTaken
from devstack.processes import ChildFailed
from devstack.receiver import Received, Receiver, serve_receiver
from devstack.seed import SeedFileInvalid, SeedProduct, default_files, load, read_products
from devstack.stack import ISSUER_KEY_FILE, Stack, published, running_stack
from order_shared.runtime.config import Settings
from order_shared.runtime.settings import ProgramSettings, Variable, load_settings
from orderctl.profile import DEFAULT_STATE, STACK_FILE, make_target, reported_failures
from orderctl.terminal import console, printable


class SeedSettings(ProgramSettings):
    """Target of `seed`."""

    aws_endpoint_url: Annotated[
        str | None, Variable("AWS_ENDPOINT_URL"), Field(title="a URL", examples=["http://127.0.0.1:4566"])
    ] = None
    """If set, it and the settings of the services select the target instead of the running stack."""


class AlreadyRunning(Exception):
    def __init__(self, state: Path) -> None:
        super().__init__(f"a local stack is already running; its addresses are in {state / STACK_FILE}")


app = typer.Typer(no_args_is_help=True, help="Run the whole platform on this machine: no Docker, no AWS account.")

StateOption = Annotated[Path, typer.Option("--state", help="Folder for addresses, keys and logs.")]


@app.command()
def up(
    state: StateOption = DEFAULT_STATE,
    ports: Annotated[
        int | None,
        typer.Option(
            min=0, max=65000, help="Use the ports from this one on, or any free ones if it is 0. Default: fixed ports."
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove the data of earlier runs first.")] = False,  # noqa: FBT002
) -> None:
    """Start the embedded AWS and every service, load the seed products, and run until Ctrl-C.

    Prints the addresses and writes them to STATE/stack.json. A process that dies is started again. Orders, payments
    and events are kept in STATE/data, and the next run continues with them.
    """
    from devstack.commands.supervised import run_supervised  # noqa: PLC0415 - it imports boto3

    with _reported_failures(), _only_one(state):
        run_supervised(state, first_port=ports, is_fresh=fresh)


@app.command()
def demo(
    burst: Annotated[int, typer.Option(min=1, max=1000, help="Number of orders in the burst.")] = 200,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Start everything, place orders over HTTP, show the result of each, and stop everything.

    Exits with 0 only if all checks pass; then all files of the demonstration are removed.
    """
    with _reported_failures(), demonstration(state, "demo-") as folder:
        with _started(folder) as stack, published(stack, folder / STACK_FILE):
            rows = _demonstrate(stack, burst)
        console.print(_table(rows))


@app.command()
def seed(
    files: Annotated[
        list[Path] | None, typer.Argument(help="JSON or CSV files. Default: the products included in devstack.")
    ] = None,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Load products and stock. Existing products are not changed, so the command can be repeated.

    The target is the stack started by `up`. If AWS_ENDPOINT_URL is set, it and the ORDER_ settings select the target.
    """
    with _reported_failures():
        target = make_target(load_settings(SeedSettings).aws_endpoint_url is None, state)
        products = read_products(files or default_files())
        created = _load(products, target.settings, target.credentials)
        console.print(f"{created} products loaded, {len(products) - created} already existed")


@app.command()
def token(
    tenant: Annotated[str, typer.Option(help="Tenant of the token, such as acme.")],
    customer: Annotated[str, typer.Option(help="Customer of the token, such as ada.")],
    scope: Annotated[str, typer.Option(help="Scopes, separated by spaces.")] = ALL_SCOPES,
    ttl: Annotated[int, typer.Option(min=1, help="Seconds until the token expires.")] = DEFAULT_TTL_SECONDS,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Print a signed development token for the API of the local stack."""
    with _reported_failures():
        typer.echo(Issuer.at(usable(state) / ISSUER_KEY_FILE).token(tenant, customer, scope, ttl))


@app.command()
def receiver(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 selects a free one.")] = 9000,
    secret: Annotated[
        list[str] | None,
        typer.Option(envvar="WEBHOOK_SECRET", help="Secret of the endpoint, whsec_…; repeat it for a second one."),
    ] = None,
    body: Annotated[bool, typer.Option("--body", help="Print the body of each request too.")] = False,
) -> None:
    """Receive webhooks on this machine until Ctrl-C, answer challenges, and show the signature of each request.

    Without --secret every request is accepted; with it, one without a valid signature is refused.

    \b
    orderctl local receiver --port 9000
    """

    def show(received: Received) -> None:
        signatures = received.headers["webhook-signature"].split()
        console.print(f"{received.headers['webhook-id']}  {received.verdict}")
        for each in signatures:
            console.print(f"    {each}", style="dim")
        if body:
            console.print(f"    {received.body}")

    async def serve() -> None:
        async with serve_receiver(Receiver(secrets=secret or (), on_request=show), port=port) as started:
            console.print(f"receiving at {started.url}")
            await asyncio.Event().wait()

    with _reported_failures():
        asyncio.run(serve())


@app.command()
def ecs(
    speed: Annotated[
        float, typer.Option(min=0.1, help="Time factor: at 60 a bake time of ten minutes takes ten seconds.")
    ] = 60.0,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Serve a fake of ECS, ECR and the load balancer until Ctrl-C, to try `orderctl deploy` and related commands.

    Prints the environment variables that make orderctl in another terminal use the fake.
    """
    from devstack.commands.deployments import serve_ecs  # noqa: PLC0415 - it imports the fake and boto3

    with _reported_failures():
        serve_ecs(state, speed)


@app.command("demo-deploy")
def demo_deploy(state: StateOption = DEFAULT_STATE) -> None:
    """Deploy good and bad images to a fake of ECS, and show the results.

    A worker whose first image never starts is repaired by one deployment. Rolled back
    are an image that starts and is unhealthy, one that fails its test, and a canary
    during which an alarm rings.

    Exits with 0 only if all checks pass; then all files of the demonstration are removed.
    """
    from devstack.commands.deployments import demonstrate_deploy  # noqa: PLC0415 - it imports the fake and boto3

    with _reported_failures():
        demonstrate_deploy(state)


@contextlib.contextmanager
def _started(folder: Path) -> Iterator[Stack]:
    """Run the stack with the seed products and yield it."""
    with contextlib.ExitStack() as entered:
        with console.status("starting the embedded AWS and the services"):
            stack = entered.enter_context(running_stack(folder))
        created = _load(read_products(default_files()), stack.settings, stack.credentials)
        console.print(f"started, with {created} products", style="dim")
        yield stack


def _load(products: list[SeedProduct], settings: Settings, credentials: CredentialsProvider) -> int:
    with _progress() as progress:
        task = progress.add_task("loading products", total=len(products))
        return asyncio.run(load(products, settings, credentials, lambda _: progress.advance(task)))


def _demonstrate(stack: Stack, burst: int) -> list[Row]:
    with _progress() as progress:
        tasks: dict[str, TaskID] = {}

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=total)
            progress.update(tasks[step], completed=done)

        return asyncio.run(_watched(stack, run_demo(stack.api, stack.issuer, burst, show)))


async def _watched(stack: Stack, demo: Coroutine[Any, Any, list[Row]]) -> list[Row]:
    """Return the rows of the demonstration. Raises ChildFailed as soon as a process exits."""
    running = asyncio.create_task(demo)
    try:
        while not running.done():
            stack.group.ensure_alive()
            await asyncio.wait([running], timeout=WATCH_SECONDS)
        return running.result()
    except DemoFailed:
        await asyncio.sleep(WATCH_SECONDS)  # a connection breaks shortly before its process has exited
        stack.group.ensure_alive()
        raise
    finally:
        running.cancel()


def _progress() -> Progress:
    return Progress(TextColumn("{task.description:>16}"), BarColumn(), MofNCompleteColumn(), console=console)


def _table(rows: list[Row]) -> Table:
    table = Table(title="Results of the orders", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("", "order", "status"):
        table.add_column(heading, no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    for row in rows:
        seconds = "" if row.seconds is None else f"{row.seconds * 1000:.0f} ms"
        style = {"confirmed": "green", "rejected": "yellow", "cancelled": "yellow"}.get(row.status, "")
        order = Text.assemble(row.order, "\n", (row.remark, "dim"))
        table.add_row(row.what, order, Text(row.status, style=style), seconds)
    return table


@contextlib.contextmanager
def _only_one(state: Path) -> Iterator[None]:
    """Allow one stack per state folder: a second stack would overwrite the addresses of the first."""
    with (usable(state) / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(state) from None
        yield


@contextlib.contextmanager
def _reported_failures() -> Iterator[None]:
    """Print expected errors and exit with 1. If a process of the stack has exited, also print the end of its log."""
    with reported_failures():
        try:
            yield
        except ChildFailed as error:
            console.print(f"{error}; everything has been stopped", style="red")
            if error.log:
                console.print(Panel(Text(printable(error.log)), title="end of its log"))
            raise typer.Exit(1) from error
        except (
            *(AlreadyRunning, BrokenKey, DataOutdated, DemoFailed, EmulatorMissing, PortTaken, SeedFileInvalid),
        ) as error:
            console.print(str(error), style="red")
            raise typer.Exit(1) from error
