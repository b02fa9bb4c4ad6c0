"""Progress report of a deployment: a line for each change, and on a terminal a spinner with the remaining time."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from order_operations.deployments.checks import Check, Verdict
from order_operations.deployments.fleet import Deployment, Event, Revision, Stage, Status
from order_operations.deployments.freeze import Freeze
from order_operations.deployments.status import State
from orderctl.deploy.context import DeployContext
from orderctl.terminal import errors

if TYPE_CHECKING:
    from rich.status import Status as Spinner

STYLES = {Verdict.OK: "green", Verdict.SKIP: "yellow", Verdict.FAIL: "red"}


class Report:
    """Progress report of a deployment on stderr. stdout is for the result only."""

    def __init__(self, record: Callable[[str, str], None], events: Callable[[], Sequence[Event]] = tuple) -> None:
        """`record` writes to the audit trail; `events` returns the service's latest events, newest first."""
        self._record = record
        self._events = events
        self._known: frozenset[str] | None = None
        self._last = ""
        self._began = time.monotonic()
        self._bake_began: float | None = None
        self._spinner: Spinner | None = None

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show a spinner during the block if stderr is a terminal."""
        if not sys.stderr.isatty():
            yield
            return
        with errors.status("…") as spinner:
            self._spinner = spinner
            try:
                yield
            finally:
                self._spinner = None

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Hide the spinner during the block: it would overwrite a question."""
        if self._spinner is None:
            yield
            return
        self._spinner.stop()
        try:
            yield
        finally:
            self._spinner.start()

    def checked(self, checks: Sequence[Check]) -> None:
        for check in checks:
            errors.print(f"  {check.verdict:<4} {check.name}: {check.detail}", style=STYLES[check.verdict])
            if check.remedy:
                errors.print(f"       {check.remedy}")

    def noted(self, message: str) -> None:
        errors.print(message)

    def recorded(self, verb: str, detail: str) -> None:
        self._record(verb, detail)

    def observed(self, deployment: Deployment) -> None:
        line = describe(deployment)
        if line != self._last:
            self._last = line
            errors.print(f"  {self._elapsed():>5}  {line}")
        self._show_events()
        if deployment.stage is Stage.BAKE_TIME and self._bake_began is None:
            self._bake_began = time.monotonic()
        if self._spinner is not None:
            self._spinner.update(f"{self._elapsed()}  {self._waiting_for(deployment)}")

    def _show_events(self) -> None:
        """Print the service's events since the previous call. The first call prints none."""
        latest = self._events()
        for event in reversed(latest):
            if self._known is not None and event.id not in self._known:
                errors.print(f"  {self._elapsed():>5}  ECS: {event.message}", style="dim")
        self._known = frozenset(event.id for event in latest)

    def _elapsed(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        return f"{minutes}:{seconds:02d}"

    def _waiting_for(self, deployment: Deployment) -> str:
        if deployment.hook is not None and deployment.hook.expires_at is not None:
            left = (deployment.hook.expires_at - datetime.now(UTC)).total_seconds()
            return f"paused; {max(0, left) / 60:.0f} min until it is rolled back"
        if self._bake_began is not None and _at(deployment) is Stage.BAKE_TIME:
            left = deployment.bake_minutes * 60 - (time.monotonic() - self._bake_began)
            return f"baking; up to {max(0, left) / 60:.0f} min left"
        return _shown(_at(deployment))


def describe(deployment: Deployment) -> str:
    """Return one line with the stage, the tasks and traffic of green and blue, alarms, and the reason of a rollback."""
    parts = [_shown(_at(deployment)), f"green {_fleet(deployment.target)}"]
    parts += [f"blue {_fleet(source)}" for source in deployment.sources]
    if deployment.hook is not None:
        parts.append("paused, waiting for approval")
    if deployment.is_unwatched:
        parts.append("ECS watches no alarm")
    if deployment.triggered_alarms:
        parts.append(f"alarms: {', '.join(deployment.triggered_alarms)}")
    reason = deployment.rollback_reason or (deployment.reason if deployment.status.is_over else "")
    return " · ".join([*parts, *([reason] if reason else [])])


def summarize(context: DeployContext, state: State, freeze: Freeze | None) -> str:
    """Return one sentence with the running image, the deployment under way, the decision needed and its deadline."""
    runs = _running(state)
    deployment = state.under_way
    if deployment is None:
        waits = "no deployment is under way"
    elif deployment.hook is not None:
        until = deployment.hook.expires_at
        when = f" until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if until is not None else ""
        then = "is rolled back" if deployment.hook.timeout_action == "ROLLBACK" else "continues"
        waits = (
            f"deployment {deployment.id} is paused and waits for an operator (`orderctl continue {context.ref.place}` "
            f"or `orderctl abort {context.ref.place}`){when}, and then {then}"
        )
    elif _at(deployment) is Stage.BAKE_TIME:
        waits = (
            f"deployment {deployment.id} bakes for {deployment.bake_minutes} minutes and needs no operator "
            f"(`orderctl finish {context.ref.place}` follows it)"
        )
    else:
        waits = (
            f"deployment {deployment.id} is in {_shown(_at(deployment)) or deployment.state} and waits for ECS "
            f"(`orderctl finish {context.ref.place}` follows it)"
        )
    frozen = f"; {freeze.actor} has frozen deployments: {freeze.reason}" if freeze is not None else ""
    return f"{context.ref} runs {runs}; {waits}{frozen}"


def _running(state: State) -> str:
    if state.running is not None:
        return f"{state.running} in {state.service.running} of {state.service.desired} tasks"
    if state.images:
        return f"{' and '.join(state.images)} in {state.service.running} tasks"
    if state.is_unknown:
        return f"{state.service.running} of {state.service.desired} tasks whose digest ECS does not know"
    return "no task"


def _at(deployment: Deployment) -> Stage | str:
    """Return the stage of a deployment in progress, otherwise its status: a rollback does not change the stage."""
    is_in_progress = deployment.status is Status.IN_PROGRESS
    return deployment.stage if is_in_progress and deployment.stage is not None else deployment.state


def _shown(at: str) -> str:
    return at.lower().replace("_", " ")


def _fleet(revision: Revision) -> str:
    traffic = f", {revision.production_weight:.0f} % of the traffic" if revision.production_weight else ""
    testing = ", tested" if revision.test_weight and not revision.production_weight else ""
    return f"{revision.running} of {revision.requested}{traffic}{testing}"
