"""orderctl: one file per group of verbs; each verb only wires and shows."""

import typer

from orderctl.commands import dlq, local, migrate, orders

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(local.app, name="local")
app.add_typer(orders.app, name="orders")
app.add_typer(dlq.app, name="dlq")
app.command()(migrate.migrate)


@app.callback()
def main() -> None:
    """Run and operate the order platform."""


if __name__ == "__main__":
    app()
