"""The fake of ECS for tests: with an event loop, or with a clock that the test moves."""

import asyncio
import copy
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fake_ecs.engine import State, next_due
from fake_ecs.routing import listener_url
from fake_ecs.running import Ecs, running_ecs
from fake_ecs.seed import TEST_PORT, Seed, api_host
from tests.factories import NOON
from tests.fakes import HandClock

CHANGING = (dict, list, set, Counter, State)
"""Types of the attributes that requests and time change; all others are constant."""


@asynccontextmanager
async def open_ecs(seed: Seed | None = None, **options: Any) -> AsyncIterator[Ecs]:
    """Start and stop the fake in a thread, because both calls block."""
    running = running_ecs(seed, **options)
    ecs = await asyncio.to_thread(running.__enter__)
    try:
        yield ecs
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


@dataclass(frozen=True)
class SteppedEcs(Ecs):
    """A fake whose time the test moves, and whose state it can restore."""

    clock: HandClock
    start: Sequence[Mapping[str, Any]]

    def step(self, seconds: float) -> None:
        """Advance the clock through every moment at which an event is due."""
        end = self.clock.now + timedelta(seconds=seconds)
        self.engine.tick()
        while (due := self._next_due()) is not None and due <= end:
            self.clock.now = due
            self.engine.tick()
        self.clock.now = end
        self.engine.tick()

    def skip(self) -> bool:
        """Advance the clock to the next moment at which an event is due. Return False if there is none."""
        self.engine.tick()
        due = self._next_due()
        if due is not None:
            self.clock.now = due
            self.engine.tick()
        return due is not None

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Without late reads and empty pages: what a test itself looks at."""
        faults = self.engine.faults
        random, late = faults._random, faults._stale_left.copy()
        faults._random = None
        faults._stale_left.clear()
        try:
            yield
        finally:
            faults._random = random
            faults._stale_left.update(late)

    def reset(self) -> None:
        """Restore the state of the start, but not the clock. No request may be in progress."""
        for part, state in zip(self.parts, self.start, strict=True):
            vars(part).update(copy.deepcopy(state))

    def _next_due(self) -> datetime | None:
        with self.engine.lock:
            dues = [next_due(service, self.clock.now) for service in self.engine.state.services.values()]
        return min((due for due in dues if due is not None), default=None)


@contextmanager
def stepped_ecs(seed: Seed | None = None, *, start: datetime = NOON) -> Iterator[SteppedEcs]:
    """Serve a fake that changes only by requests, `step` and `skip`."""
    clock = HandClock(start)
    with running_ecs(seed, clock=clock, ticking=False) as ecs:
        start_state = [copy.deepcopy(changing(part)) for part in ecs.parts]
        yield SteppedEcs(**vars(ecs), clock=clock, start=start_state)


def green_url(ecs: Ecs, environment: str) -> str:
    """Return the URL of the test listener under the API's name."""
    return listener_url(ecs.address, port=TEST_PORT, host=api_host(environment))


def changing(part: object) -> dict[str, Any]:
    """Return the attributes with the state of a part."""
    return {name: value for name, value in vars(part).items() if isinstance(value, CHANGING)}
