"""`orderctl dlq`: list, redrive and discard the messages that the processor could not process."""

import asyncio
import json
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from order_operations.dead_letters import DeadLetters, open_dead_letters
from order_operations.letters import NO_REASON, DeadLetter, Outcome, QueueInfo, Refusals, Result
from order_operations.target import Target
from order_shared.domain.clock import to_text, utc_now
from order_shared.domain.order.exceptions import OrderNotFound
from order_shared.runtime.adapters import Adapters
from order_shared.storage.audit_trail import Operation
from orderctl.commands import figures
from orderctl.exceptions import ExitCode
from orderctl.profile import DEFAULT_STATE, LocalOption, StateOption, announce_target, make_target, reported_failures
from orderctl.terminal import (
    DryRunOption,
    Output,
    OutputOption,
    YesOption,
    checked_reason,
    confirm,
    console,
    errors,
    print_json,
)

SHOWN_TEXTS = frozenset(
    {
        "specversion",
        "type",
        "id",
        "source",
        "subject",
        "time",
        "datacontenttype",
        "traceparent",
        "tenantid",
        "sku",
        "currency",
    }
)
"""Members of a message whose text is shown. Every other text may come from a customer."""
REDACTED = "•••"

app = typer.Typer(
    no_args_is_help=True,
    help="""List, redrive and discard dead letters.

    The processor dead-letters a message, with a reason, when no retry can help. Find the cause with `list` and
    `show`, fix it, then `redrive`. No open order is lost meanwhile: the sweeper republishes its message. `discard`
    letters that no order needs.
    """,
)

LimitOption = Annotated[int, typer.Option("--limit", min=1, help="Read this many letters at most.")]
IdOption = Annotated[list[str] | None, typer.Option("--id", help="Message id from `dlq list`; may be repeated.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Reason, kept in the audit trail with your name.")]


@app.command("list")
def list_letters(
    *,
    limit: LimitOption = 100,
    output: OutputOption = Output.TEXT,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """List the dead letters, oldest first. They stay in the queue, hidden from other readers for a moment.

    Type `unreadable`: this version cannot read the body as an event. Reason `-`: SQS moved the message, after too
    many deliveries.
    """
    with reported_failures(), _opened(make_target(local, state)) as letters:
        found = letters.peek(limit)
        if output is Output.JSON:
            print_json([_summary(letter) for letter in found])
        elif found:
            console.print(_table(found, utc_now()))
            if len(found) == limit:
                console.print(f"There may be more: these are the first {limit} (--limit).", style="dim")
        else:
            console.print("There are no dead letters.")


@app.command()
def show(
    message_id: Annotated[str, typer.Argument(help="Message id from `dlq list`.")],
    *,
    unredacted: Annotated[
        bool, typer.Option("--unredacted", help="Show customers' data too. Make sure that only you see the screen.")
    ] = False,
    limit: LimitOption = 1000,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Show one dead letter: its reason and its body.

    Without --unredacted, texts that may come from a customer are replaced by •••, and a body that is not a JSON object
    is not shown.
    """
    with reported_failures(), _opened(make_target(local, state)) as letters:
        letter = letters.find(message_id, limit)
        if letter is None:
            _print_missing([message_id], limit)
            raise typer.Exit(ExitCode.FAILED)
        for name, value in _summary(letter).items():
            console.print(f"{name:>13}  {NO_REASON if value is None else value}")
        console.print()
        console.print(_pretty(letter.body) if unredacted else _redacted(letter.body))


@app.command()
def redrive(
    *,
    reason: ReasonOption,
    every: Annotated[bool, typer.Option("--all", help="Redrive every readable letter in the queue.")] = False,
    ids: IdOption = None,
    rate: Annotated[float, typer.Option(min=0.1, help="Letters per second; keep it low after an outage.")] = 10.0,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    limit: LimitOption = 1000,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Send dead letters to the work queue again, with unchanged bodies. Fix the cause first.

    Safe to repeat: no order takes effect twice. An unreadable letter is moved only if it is named with --id: unless
    a new version can read it, it becomes a dead letter again.
    """
    select = _selected(ids, every=every)
    with reported_failures():
        checked_reason(reason, required=True)
        target = make_target(local, state)
        with _opened(target) as letters:
            info = letters.info()
            _announce(target, info, f"to the work queue {target.settings.queue_name}, {rate:g} per second")
            confirm(f"Redrive {_how_many(select, info, limit)}?", yes=yes or dry_run)
            verb = _Verb("redrive", "redriven", target, reason)
            letters.redrive(
                select, rate=rate, limit=limit, record=verb.record, dry_run=dry_run, on_progress=verb.print_outcome
            )
        verb.conclude(select, limit)


@app.command()
def discard(
    *,
    reason: ReasonOption,
    ids: IdOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    limit: LimitOption = 1000,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Delete dead letters permanently.

    A letter is refused while its order is open. Redrive the letter, or end the order with `orderctl orders reject`.
    """
    select = _selected(ids, every=False)
    assert select is not None  # noqa: S101 - for mypy: without --all there are ids
    with reported_failures():
        checked_reason(reason, required=True)
        target = make_target(local, state)
        with _opened(target) as letters:
            info = letters.info()
            _announce(target, info, "deleted permanently")
            confirm(f"Discard {_how_many(select, info, limit)}?", yes=yes or dry_run)
            verb = _Verb("discard", "discarded", target, reason)
            letters.discard(
                select,
                limit=limit,
                record=verb.record,
                refuse=_needed_by_open_orders(target),
                dry_run=dry_run,
                on_progress=verb.print_outcome,
            )
        verb.conclude(select, limit)


class _Verb:
    """Recorder and printer for one run of `redrive` or `discard`: audit entries, results, totals and exit code."""

    def __init__(self, name: str, done: str, target: Target, reason: str) -> None:
        self._name = name
        self._words = {Result.DONE: done, Result.PLANNED: f"would be {done}"}
        self._target = target
        self._reason = reason
        self._outcomes: list[Outcome] = []

    def record(self, letters: Sequence[DeadLetter]) -> None:
        for letter in letters:
            self._target.audit.record(self._operation(letter))

    def _operation(self, letter: DeadLetter) -> Operation:
        return Operation(
            subject=letter.message_id,
            at=utc_now(),
            actor=self._target.actor,
            verb=f"dlq.{self._name}",
            reason=self._reason,
            detail=letter.order_id or "-",
        )

    def print_outcome(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        word = self._words.get(outcome.result, str(outcome.result))
        detail = f"; {outcome.detail}" if outcome.detail else ""
        console.print(f"{word}: {outcome.letter.message_id} ({outcome.letter.order_id or 'unreadable'}){detail}")

    def conclude(self, select: Collection[str] | None, limit: int) -> None:
        """Print the totals. Raises typer.Exit if a letter was not found or refused, or its handling failed."""
        counts = {result: sum(each.result is result for each in self._outcomes) for result in Result}
        totals = [f"{count} {self._words.get(result, str(result))}" for result, count in counts.items() if count]
        console.print(", ".join(totals) or "There was nothing to do.")
        if select is None and len(self._outcomes) == limit:
            console.print(f"There may be more: these were the first {limit} (--limit).", style="dim")
        missing = sorted(set(select or ()) - {outcome.letter.message_id for outcome in self._outcomes})
        if missing:
            _print_missing(missing, limit)
        if missing or counts[Result.FAILED] or counts[Result.REFUSED]:
            raise typer.Exit(ExitCode.FAILED)


def _opened(target: Target) -> AbstractContextManager[DeadLetters]:
    return open_dead_letters(target, lambda text: errors.print(text, style="yellow"))


def _needed_by_open_orders(target: Target) -> Callable[[Sequence[DeadLetter]], Refusals]:
    async def is_open(adapters: Adapters, letter: DeadLetter) -> bool:
        if letter.customer is None or letter.order_id is None:
            return False
        try:
            order = await adapters.orders.get(letter.customer, letter.order_id)
        except OrderNotFound:
            return False
        return order.is_open

    def refuse(letters: Sequence[DeadLetter]) -> Refusals:
        async def read(adapters: Adapters) -> list[bool]:
            return list(await asyncio.gather(*(is_open(adapters, letter) for letter in letters)))

        return {
            letter.message_id: "its order is open"
            for letter, needed in zip(letters, target.run(read), strict=True)
            if needed
        }

    return refuse


def _selected(ids: list[str] | None, *, every: bool) -> Collection[str] | None:
    """Return the selected message ids, or None for all letters.

    Raises:
        BadParameter: unless exactly one of `ids` and `every` is given.
    """
    if every and ids:
        raise typer.BadParameter("--all and --id exclude each other")
    if not every and not ids:
        raise typer.BadParameter("no letters are selected: give their ids with --id (`dlq list` shows them)")
    return None if every else dict.fromkeys(ids or ())


def _announce(target: Target, info: QueueInfo, what: str) -> None:
    queue = f"{info.url}, about {info.letters} letters"
    announce_target(target, target.settings.sqs_endpoint, queue=queue, letters=what)


def _how_many(select: Collection[str] | None, info: QueueInfo, limit: int) -> str:
    if select is None:
        return f"all of about {info.letters} letters, {limit} at most"
    return "1 letter" if len(select) == 1 else f"{len(select)} letters"


def _print_missing(ids: Sequence[str], limit: int) -> None:
    for message_id in ids:
        errors.print(
            f"no letter {message_id} among the first {limit}: it was handled, is hidden for some minutes because "
            "another operator reads it, or is further back (--limit)",
            style="red",
        )


def _summary(letter: DeadLetter) -> dict[str, str | int | None]:
    """Return a letter's fields by name, without its body and its customer."""
    return {
        "message_id": letter.message_id,
        "type": letter.type,
        "order_id": letter.order_id,
        "reason": letter.reason,
        "detail": letter.detail,
        "sent_at": to_text(letter.sent_at),
        "receive_count": letter.receive_count,
        "original_id": letter.original_id,
    }


def _table(letters: Sequence[DeadLetter], now: datetime) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("id", no_wrap=True)
    table.add_column("type", overflow="fold")
    table.add_column("order", no_wrap=True)
    table.add_column("reason", overflow="fold")
    table.add_column("age", justify="right", no_wrap=True)
    for letter in letters:
        cells = (letter.message_id, letter.type or "unreadable", letter.order_id or "-", letter.reason)
        age = figures.age(max(0.0, (now - letter.sent_at).total_seconds()))
        table.add_row(*cells, age)
    return table


def _redacted(body: str) -> str:
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return f"(not a JSON object, {len(body)} characters; --unredacted shows it)"
    return json.dumps(_without_secrets(content), indent=2, ensure_ascii=False)


def _without_secrets(value: Any, name: str = "") -> Any:
    """Return the value of the member `name`, with the texts replaced that may come from a customer."""
    if isinstance(value, dict):
        return {key: _without_secrets(member, key) for key, member in value.items()}
    if isinstance(value, list):
        return [_without_secrets(member, name) for member in value]
    if isinstance(value, str) and (name not in SHOWN_TEXTS or value.lstrip().startswith(("{", "["))):
        return REDACTED
    return value


def _pretty(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
