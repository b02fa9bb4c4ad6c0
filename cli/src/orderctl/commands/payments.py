"""`orderctl payments`: payments at the provider that no order uses."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from order_operations.payment_sweep import SweepTally, run_sweep
from order_shared.domain.clock import to_text
from order_shared.runtime.config import PROVIDER
from orderctl.exceptions import ExitCode
from orderctl.profile import (
    DEFAULT_STATE,
    LocalOption,
    StateOption,
    announce_target,
    make_payment_settings,
    make_target,
    reported_failures,
)
from orderctl.terminal import (
    DryRunOption,
    Output,
    OutputOption,
    ReasonOption,
    YesOption,
    checked_reason,
    confirm,
    console,
    errors,
    print_json,
)

app = typer.Typer(no_args_is_help=True, help="Clean up payments at the payment provider that no order uses.")


@app.callback()
def payments() -> None:
    """Clean up payments at the payment provider that no order uses."""


@app.command()
def sweep(
    *,
    rate: Annotated[
        float, typer.Option(min=0.1, help="Calls of the provider per second. Services share the account's limit.")
    ] = 5.0,
    limit: Annotated[int, typer.Option(min=1, help="Payments examined in this run at most.")] = 100_000,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--from-start", help="Continue where the last run stopped, or examine every payment again."
        ),
    ] = True,
    dry_run: DryRunOption = False,
    reason: ReasonOption = None,
    yes: YesOption = False,
    output: OutputOption = Output.TEXT,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Cancel unconfirmed payments that no order can still use.

    A processor that is killed between two calls may leave a payment that was
    created but never confirmed. It moves no money, so this is not urgent. The
    sweep cancels such payments of this environment once they are 48 hours old,
    unless they are the payment of their order.

    \b
    orderctl payments sweep --dry-run
    orderctl payments sweep --reason "monthly"

    ORDER_PAYMENT_API_KEY is the processor's key; ORDER_PAYMENT_ENVIRONMENT and
    ORDER_PAYMENT_API_BASE are as in its task.

    It is safe while orders are placed, safe to interrupt at any point, safe to
    repeat, and safe for two operators at once. It lists each payment once: its
    progress is stored, and the next run continues there.
    """
    with reported_failures():
        why = None if dry_run else checked_reason(reason, required=True)
        target = make_target(local, state)
        settings = make_payment_settings(local, state)
        announce_target(
            target,
            target.settings.dynamodb_endpoint,
            environment=settings.environment_of_payments,
            provider=settings.payment_api_base or PROVIDER,
            tables=f"{settings.table_prefix}*",
        )
        confirm(f"Cancel abandoned payments of {settings.environment_of_payments}?", yes=yes or dry_run)
        with Progress(
            TextColumn("{task.description}"), TimeElapsedColumn(), console=errors, transient=True
        ) as progress:
            bar = progress.add_task("0 payments examined")
            tally = asyncio.run(
                run_sweep(
                    target,
                    settings,
                    calls_per_second=rate,
                    limit=limit,
                    from_start=not resume,
                    reason=why,
                    on_progress=lambda tally: progress.update(bar, description=f"{tally.read} payments examined"),
                )
            )
        if output is Output.JSON:
            print_json({**asdict(tally), "until": _time(tally), "dry_run": dry_run})
        else:
            _print_result(tally, dry_run=dry_run)
        if not tally.is_complete:
            raise typer.Exit(ExitCode.UNFINISHED)


def _print_result(tally: SweepTally, *, dry_run: bool) -> None:
    for payment_id in tally.cancelled:
        console.print(f"{'would cancel' if dry_run else 'cancelled'} {payment_id}")
    console.print(
        f"{tally.read} payments examined, created before {_time(tally)}: "
        f"{len(tally.cancelled)} {'to be cancelled' if dry_run else 'cancelled'}; "
        f"of the other unconfirmed ones {tally.kept} belong to orders, "
        f"and {tally.others} to other environments or systems"
    )
    if not tally.is_complete:
        errors.print("the limit was reached; run the command again to continue", style="yellow")


def _time(tally: SweepTally) -> str:
    return to_text(datetime.fromtimestamp(tally.until, UTC))
