"""Supervisor of the children of a running stack: a child that dies is started again on its port.

A child that was ready is restarted however often it dies, with a growing delay if it dies soon after each start. The
supervision ends if a child dies three times in a row before it is ready.
"""

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from devstack.probe import is_ready
from devstack.processes import READY_SECONDS, Child, ChildFailed, ProcessGroup

MAX_FAILED_STARTS = 3
FIRST_DELAY_SECONDS = 0.5
MAX_DELAY_SECONDS = 15.0
STABLE_SECONDS = 10.0
"""A child that has been ready for so long is restarted without a delay when it dies."""


class NotPrepared(Exception):
    """A child that is ready could not be prepared for use. The next check tries again."""


@dataclass(kw_only=True)
class _State:
    """State of one child. `failed_starts` are in a row; `quick_deaths` are in a row too, each soon after a start."""

    started_at: float
    ready_at: float | None
    restart_at: float | None = None
    failed_starts: int = 0
    quick_deaths: int = 0
    is_delay_announced: bool = False


@dataclass
class Supervisor:
    """Supervisor of children by name, each with the URL of its readiness probe.

    `announce` receives a line about each death and each return. `on_death` returns a remark about the death of a child.
    `prepare` is called for a child that is ready again, and may raise NotPrepared. `on_change` is called whenever
    `children` has changed.
    """

    group: ProcessGroup
    children: dict[str, Child]
    probes: Mapping[str, str]
    announce: Callable[[str], None]
    on_death: Callable[[str], str] = lambda _: ""
    prepare: Callable[[str], None] = lambda _: None
    on_change: Callable[[], None] = lambda: None
    is_ready: Callable[[str], bool] = is_ready
    monotonic: Callable[[], float] = time.monotonic
    _states: dict[str, _State] = field(default_factory=dict)

    def __post_init__(self) -> None:
        now = self.monotonic()
        self._states = {name: _State(started_at=now, ready_at=now) for name in self.children}

    def check(self) -> None:
        """Look at each child once. Raises ChildFailed if one cannot be started, or if the guard process has exited."""
        self.group.ensure_guarded()
        for name, state in self._states.items():
            child = self.children[name]
            if state.restart_at is not None:
                if self.monotonic() >= state.restart_at:
                    self._restart(child, state)
            elif not child.is_alive:
                self._died(child, state)
            elif state.ready_at is None:
                self._look_whether_ready(child, state)

    def _died(self, child: Child, state: _State) -> None:
        now = self.monotonic()
        if state.ready_at is None:
            state.failed_starts += 1
            if state.failed_starts == MAX_FAILED_STARTS:
                raise child.failed(f"died {MAX_FAILED_STARTS} times in a row before it was ready")
        is_quick = state.ready_at is None or now - state.ready_at < STABLE_SECONDS
        state.quick_deaths = state.quick_deaths + 1 if is_quick else 0
        delay = min(FIRST_DELAY_SECONDS * 2 ** (state.quick_deaths - 1), MAX_DELAY_SECONDS) if is_quick else 0.0
        state.restart_at = now + delay
        when = f"starting it again in {delay:g} s" if delay else "starting it again"
        self.announce(f"{child.name} {_ending(child)}; {when}{self.on_death(child.name)}")

    def _restart(self, child: Child, state: _State) -> None:
        self.children[child.name] = self.group.restart(child)
        state.started_at, state.ready_at, state.restart_at = self.monotonic(), None, None
        self.on_change()

    def _look_whether_ready(self, child: Child, state: _State) -> None:
        now = self.monotonic()
        if now - state.started_at > READY_SECONDS:
            raise ChildFailed(child.name, f"was not ready within {READY_SECONDS:.0f} s", child.log())
        if self.is_ready(self.probes[child.name]) and child.is_alive:
            try:
                self.prepare(child.name)
            except NotPrepared as error:
                if not state.is_delay_announced:
                    state.is_delay_announced = True
                    self.announce(f"{child.name} responds, and cannot be used yet: {error}")
                return
            self.announce(f"{child.name} is ready again after {now - state.started_at:.1f} s")
            state.ready_at, state.failed_starts, state.is_delay_announced = self.monotonic(), 0, False


def _ending(child: Child) -> str:
    code = child.process.returncode
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
