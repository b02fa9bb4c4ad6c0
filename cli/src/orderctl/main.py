"""Command line `orderctl`, with one file per command or group of commands.

A command only connects other modules and prints their results.
"""

import os
from collections.abc import Mapping
from importlib.metadata import entry_points, version
from typing import Annotated, Any, ClassVar

import typer

from order_shared.runtime.program import settle_environment
from orderctl.commands import dlq, environments, events, migrate, orders, payments, top, webhooks
from orderctl.commands.deployment.deploy import deploy
from orderctl.commands.deployment.diff import diff
from orderctl.commands.deployment.finish import finish
from orderctl.commands.deployment.freeze import freeze
from orderctl.commands.deployment.history import history
from orderctl.commands.deployment.proceed import abort, proceed
from orderctl.commands.deployment.promote import promote
from orderctl.commands.deployment.rollback import rollback
from orderctl.commands.deployment.status import status
from orderctl.commands.deployment.verify import verify
from orderctl.commands.deployment.wait import wait
from orderctl.commands.listen import listen
from orderctl.commands.migrate_keys import migrate_keys
from orderctl.commands.trigger import trigger
from orderctl.terminal import RenamedGroup

DEPLOYMENTS = "Deployments"
EXTENSIONS = "orderctl.commands"
"""Entry point group for the commands of other packages, such as `orderctl local` of devstack."""


class Commands(RenamedGroup):
    """Top-level commands of `orderctl`."""

    renamed: ClassVar[Mapping[str, str]] = {"pause": "freeze"}

    def main(self, *arguments: Any, **options: Any) -> Any:
        settle_environment(os.environ)
        return super().main(*arguments, **options)


app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(orders.app, name="orders")
app.add_typer(dlq.app, name="dlq")
app.add_typer(events.app, name="events")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(payments.app, name="payments")
app.add_typer(environments.app, name="env")
app.command()(migrate.migrate)
app.command()(migrate_keys)
app.command()(top.top)
app.command()(listen)
app.command()(trigger)
for verb in (deploy, promote, rollback, finish, freeze, abort, status, history, verify, diff, wait):
    app.command(rich_help_panel=DEPLOYMENTS)(verb)
app.command("continue", rich_help_panel=DEPLOYMENTS)(proceed)
for extension in entry_points(group=EXTENSIONS):
    app.add_typer(extension.load(), name=extension.name)


def _answer_version(*, asked: bool) -> None:
    if asked:
        typer.echo(f"orderctl {version('orderctl')}")
        raise typer.Exit


ShowVersion = Annotated[
    bool, typer.Option("--version", callback=_answer_version, is_eager=True, help="Print the version and exit.")
]


@app.callback()
def main(*, show_version: ShowVersion = False) -> None:
    """Run and operate the order platform."""


if __name__ == "__main__":
    app()
