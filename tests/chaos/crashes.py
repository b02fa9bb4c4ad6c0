"""Crash points: the process is killed before and after each request that it makes, and started again.

Nobody lists the points. Each scene, something that happens to an order (scenes.py), is first run undisturbed while the
requests of every process are recorded; what was seen is what there is to kill at. A request that a change of the code
adds is therefore killed at as well. The services know nothing of it: they are killed from outside, at the proxy.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devstack.lab.history import Fault
from tests.chaos.scenarios import Result, Trial
from tests.chaos.scenes import CLEAR, Scene, Stage
from tests.chaos.wire import CHANGE_VISIBILITY, RECEIVE, Answer, Call, Forward, Reset
from tests.chaos.world import API, PROCESSOR, VISIBILITY_SECONDS, World
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.chaos.proxy import Plan

ONE_OF_EACH = (API, PROCESSOR)
STOCK = {"PLENTY": 100, "SPLIT": 2, "SINGLE": 1}
SHARDS = {"SPLIT": 2}
RECORDINGS = 3
TRIES = 6
"""How often a script is run until it passes the point: a request may fall together with another, or not be needed."""

COUNTS = {"GetQueueUrl", "GetQueueAttributes"}
"""What a processor asks once a minute, wherever it is then."""

SETTINGS = {"ORDER_SWEEP_BASE_SECONDS": "2"}


@dataclass(frozen=True)
class Step:
    """The nth (from 0) request of an operation that a process makes in a scene, and how it was answered."""

    process: str
    operation: str
    ordinal: int
    status: int


@dataclass(frozen=True)
class CrashPoint:
    """Before or after the nth (from 0) request of an operation that a process makes in a scene."""

    scene: Scene
    process: str
    operation: str
    ordinal: int
    after: bool

    def __str__(self) -> str:
        when = "after" if self.after else "before"
        return f"{self.scene.name}: {self.process} {when} {self.operation} {self.ordinal + 1}"


def has_effect(call: Call, answer: Answer) -> bool:
    """Return False for a count, a heartbeat, an empty poll and an empty look: only time decides how many there are."""
    if call.operation in COUNTS:
        return False
    if call.operation == CHANGE_VISIBILITY:
        return any(change["VisibilityTimeout"] != VISIBILITY_SECONDS for change in call.content["Entries"])
    if call.operation == RECEIVE:
        return bool(answer.content.get("Messages"))
    if call.operation == "Query":
        return bool(answer.content.get("Items"))
    return True


class Director:
    """The plan of a lane: counts the requests that a process makes once the scene has begun, and kills it at one."""

    def __init__(self, kill: Callable[[str], None]) -> None:
        self._kill = kill
        self._weather: Plan = CLEAR
        self._point: CrashPoint | None = None
        self._has_begun = False
        self.has_polled = False
        self.seen: Counter[tuple[str, str]] = Counter()
        self.begun: Counter[tuple[str, str]] = Counter()
        self.steps: list[Step] = []
        self.killed = asyncio.Event()

    def prepare(self, scene: Scene, point: CrashPoint | None = None) -> None:
        self._weather = scene.weather
        self._point = point
        self._has_begun = False
        self.seen = Counter()
        self.begun = Counter()
        self.steps = []
        self.killed = asyncio.Event()

    def begin(self) -> None:
        self._has_begun = True

    def end(self) -> None:
        """Kill nobody any more: from now on nobody would start a killed process again."""
        self._point = None

    async def meet(self, call: Call, forward: Forward) -> Answer:
        self.has_polled |= call.operation == RECEIVE
        if self._is_at_point(call, after=False):
            self._strike(call.caller)
        self.begun[call.caller, call.operation] += self._has_begun
        answer = await self._weather.meet(call, forward)
        if self._has_begun and has_effect(call, answer):
            if self._is_at_point(call, after=True):
                self._strike(call.caller)
            ordinal = self.seen[call.caller, call.operation]
            self.seen[call.caller, call.operation] += 1
            self.steps.append(Step(call.caller, call.operation, ordinal, answer.status))
        return answer

    def _is_at_point(self, call: Call, *, after: bool) -> bool:
        point = self._point
        if point is None or not self._has_begun or self.killed.is_set():
            return False
        if (call.caller, call.operation, after) != (point.process, point.operation, point.after):
            return False
        if after:
            return self.seen[call.caller, call.operation] == point.ordinal
        # Of looks that may find nothing only those are counted that found something. Of all else what has begun counts:
        # two workers' requests may be under way at once. A poll that began before the scene may have brought its
        # message: then it is before the next one.
        passed = self.seen if call.operation in {RECEIVE, "Query"} else self.begun
        return passed[call.caller, call.operation] >= point.ordinal

    def _strike(self, process: str) -> None:
        self.killed.set()
        self._kill(process)
        raise Reset


def steps_of_all(recordings: Sequence[Sequence[Step]]) -> list[Step]:
    """Return the steps that every recording of a scene has, in the order of the first."""
    first, *others = recordings
    return [step for step in first if all(step in other for other in others)]


def find_points(recorded: Mapping[Scene, Sequence[Step]]) -> list[CrashPoint]:
    """Before and after every request; once, if two scenes have come the same way so far."""
    points: dict[tuple[object, ...], CrashPoint] = {}
    for scene, steps in recorded.items():
        for process in scene.killed:
            way: tuple[Step, ...] = ()
            for step in (step for step in steps if step.process == process):
                for after in (False, True):
                    point = CrashPoint(scene, process, step.operation, step.ordinal, after)
                    reached = (*way, step) if after else (*way, (step.operation, step.ordinal))
                    points.setdefault((process, type(scene.weather), reached), point)
                way = (*way, step)
    return list(points.values())


class Lane:
    """A world with one process of each kind, in which scenes are played one after another."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._director = Director(world.kill)

    async def record(self, scene: Scene) -> list[Step]:
        """Play the scene undisturbed; return the requests of the processes that are killed in it, in their order.

        It is played `RECORDINGS` times. A request that only some of the recordings have, such as a second worker's on
        a slow machine, does not belong to the scene.
        """
        recordings = []
        for _ in range(RECORDINGS):
            result = await self._play(scene, None)
            if not result.verdict.holds:
                raise AssertionError(f"undisturbed, {scene.name} goes wrong: {result.verdict.details}")
            recordings.append([step for step in self._director.steps if step.process in scene.killed])
        return steps_of_all(recordings)

    async def run(self, point: CrashPoint) -> Result:
        """Plays the scene, kills at the point and starts the process again; the rest is the platform's."""
        result = await self._play(point.scene, point)
        for _ in range(TRIES - 1):
            if result.injected or not result.verdict.holds:
                return result
            result = await self._play(point.scene, point)
        if not result.injected:
            result.verdict.add(Fault.OTHER, f"in {TRIES} runs the point was never reached")
        return result

    async def _play(self, scene: Scene, point: CrashPoint | None) -> Result:
        """Until all that comes of it is done: the last requests are made when the order has long ended."""
        director = self._director
        trial = Trial(self._world, str(point or scene.name), STOCK, SHARDS)
        director.prepare(scene, point)
        failure: str | None = None
        async with trial.under(director, director):
            await eventually(lambda: director.has_polled, "a poll under the director's eyes")
            reviving = asyncio.create_task(self._revive())
            try:
                await scene.script(Stage(trial, director.begin))
            except AssertionError as error:
                failure = str(error)
            await trial.become_quiet()
            director.end()
            if not director.killed.is_set():
                reviving.cancel()
            await asyncio.wait([reviving])
        result = await trial.result(int(director.killed.is_set()))
        if failure is not None:
            result.verdict.add(Fault.OTHER, failure)
        return result

    async def _revive(self) -> None:
        await self._director.killed.wait()
        await self._world.revive()
