"""Event loop on a virtual clock. Time advances only when nothing is ready, and a schedule chooses what runs next.

All tasks of one host belong to it, also those that its tasks start. A host that is killed never runs again: its calls
do not return, and what it awaited meanwhile is not answered.

Of the tasks that are ready any may run next. Callbacks keep their order, as asyncio promises.

Written by hand: PyPI's `detangle` 0.1.0 keeps every task and every decision of a run, which hours of virtual time do
not allow. It also has no machines that die, and changes asyncio's locks for the whole process.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

Schedule = Callable[[int], int]
"""Chooses which of `n` ready tasks runs next, as a number below `n`."""


class Deadlock(Exception):
    """Nothing is ready and no timer is set, but the run has not ended."""


class TooManySteps(Exception):
    """The run is not at its end after the steps that it may take: something goes on and on, or far too often."""


MAX_STEPS = 20_000_000
UNNOTICED_SECONDS = 1.0
"""Time after which nobody is taken to look at the error of a task any more."""


def seeded(seed: str) -> Schedule:
    """Return the schedule of a seed."""
    draw = Random(seed).random  # noqa: S311 - reproducible, not secret
    return lambda choices: int(draw() * choices)


@dataclass(eq=False)
class Host:
    """A machine whose tasks live and die together."""

    name: str
    dead: bool = False
    paused: bool = False
    _unrun: list[asyncio.Handle] = field(default_factory=list, repr=False)


WORLD = "world"
"""Host of everything that outlives the machines: customers, queues, tables."""


class _Task(asyncio.Task[Any]):
    """A task that belongs to a host. Its hash is its number, so that a set of tasks has the same order in each run."""

    host: Host
    number: int

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other


class SimulationLoop(asyncio.AbstractEventLoop):
    """Runs until its main task is done. `steps` counts what it has run."""

    def __init__(self, schedule: Schedule, max_steps: int = MAX_STEPS) -> None:
        self.steps = 0
        self._max_steps = max_steps
        self._schedule = schedule
        self._now = 0.0
        self._ready_tasks: list[tuple[Host, asyncio.Handle]] = []
        self._ready_callbacks: deque[tuple[Host, asyncio.Handle]] = deque()
        self._timers: list[tuple[float, int, Host, asyncio.TimerHandle]] = []
        self._order = count()
        self._numbers = count()
        self.world = Host(WORLD)
        self._host = self.world
        self._tasks: dict[int, _Task] = {}
        self._failed: list[tuple[float, asyncio.Task[Any]]] = []
        """Tasks that ended with an error, and when."""
        self._closed = False
        self.errors: list[dict[str, Any]] = []

    # Hosts

    @property
    def host(self) -> Host:
        """The machine whose task runs now."""
        return self._host

    def start_on(self, host: Host, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start a task that belongs to `host`."""
        before, self._host = self._host, host
        try:
            return self.create_task(work)
        finally:
            self._host = before

    def kill(self, host: Host) -> None:
        """Let no task of the host run again."""
        host.dead = True

    def pause(self, host: Host) -> None:
        """Let no task of the host run until `resume`, as a machine that is frozen."""
        host.paused = True

    def resume(self, host: Host) -> None:
        host.paused = False
        if not host.dead:
            self._ready_callbacks.extend((host, handle) for handle in host._unrun)
            host._unrun.clear()

    # Running

    def run_until_complete(self, future: "Generator[Any, None, T] | asyncio.Future[T] | Any") -> T:
        main = self.create_task(future)
        asyncio._set_running_loop(self)
        try:
            while not main.done():
                self._run_next()
                if self.steps >= self._max_steps:
                    raise TooManySteps(f"{self.steps} steps, at {self._now:.0f} s")
            return main.result()  # type: ignore[no-any-return]
        finally:
            asyncio._set_running_loop(None)

    def close(self) -> None:
        """Cancel what is left, of dead hosts too, so that no coroutine is destroyed while it waits.

        The error of a task that nobody has looked at is added to `errors`. asyncio reports it when the task is
        destroyed, which need not be before the end of the run.
        """
        for failed_at, task in self._failed:
            if task._log_traceback and self._now - failed_at > UNNOTICED_SECONDS:
                self.errors.append({"message": "nobody looked at the error", "exception": task.exception()})
        asyncio._set_running_loop(self)
        try:
            left = [task for task in self._tasks.values() if not task.done()]
            for host in {id(task.host): task.host for task in self._tasks.values()}.values():
                host.dead = host.paused = False
                self._ready_callbacks.extend((host, handle) for handle in host._unrun)
            for task in left:
                task.cancel()
            while self._tasks:
                self._run_next()
        finally:
            asyncio._set_running_loop(None)
            self._closed = True

    def _run_next(self) -> None:
        if not self._ready_tasks and not self._ready_callbacks:
            self._advance()
            return
        choices = len(self._ready_tasks) + bool(self._ready_callbacks)
        chosen = self._schedule(choices) if choices > 1 else 0
        if chosen < len(self._ready_tasks):
            ready = self._ready_tasks
            ready[chosen], ready[-1] = ready[-1], ready[chosen]
            host, handle = ready.pop()
        else:
            host, handle = self._ready_callbacks.popleft()
        if host.dead or host.paused:
            host._unrun.append(handle)
        elif not handle.cancelled():
            self.steps += 1
            self._host = host
            handle._run()
            self._host = self.world

    def _advance(self) -> None:
        """Go to the next timer, and make all of its time ready."""
        while self._timers and self._timers[0][3].cancelled():
            heapq.heappop(self._timers)
        if not self._timers:
            raise Deadlock(f"nothing will happen after {self._now:.3f} s")
        self._now = max(self._now, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self._now:
            _, _, host, handle = heapq.heappop(self._timers)
            if not handle.cancelled():
                self._ready_callbacks.append((host, handle))

    # What asyncio asks of a loop

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override] # typeshed relates callback and arguments, which a test need not
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        owner = getattr(callback, "__self__", None)
        if isinstance(owner, _Task):  # a step of a task, whoever woke it
            self._ready_tasks.append((owner.host, handle))
        else:
            self._ready_callbacks.append((self._host, handle))
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment] # as above; there is one thread

    def call_later(  # type: ignore[override] # as above
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override] # as above
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._order), self._host, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Leave the timer: it is dropped when its time comes."""

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> "asyncio.Task[Any]":
        task = _Task.__new__(_Task)
        task.host, task.number = self._host, next(self._numbers)
        task.__init__(coro, loop=self, name=name or f"{self._host.name}-{task.number}", context=context)  # type: ignore[misc]
        self._tasks[task.number] = task
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        del self._tasks[task.number]  # type: ignore[attr-defined]
        if task._log_traceback:  # it failed, and its error has not been retrieved yet
            self._failed.append((self._now, task))

    async def run_in_executor(self, _executor: Any, work: Callable[..., T], *args: Any) -> T:  # type: ignore[override] # as above
        """Run the work at once: there is one thread."""
        return work(*args)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        return self._closed

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)


def new_loop(schedule: Schedule, max_steps: int = MAX_STEPS) -> SimulationLoop:
    return SimulationLoop(schedule, max_steps)  # type: ignore[abstract] # what it lacks is input and output
