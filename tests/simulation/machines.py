"""Machines of a plan: they are started with the plan's clocks in turn."""

from datetime import timedelta

from tests.simulation.fleet import ApiMachine, ProcessorMachine
from tests.simulation.plans import Plan
from tests.simulation.world import World


class Machines:
    def __init__(self, world: World, plan: Plan) -> None:
        self._world = world
        self._plan = plan
        self._started = 0

    def start_api(self) -> ApiMachine:
        return self._world.fleet.start_api(self._next_skew())

    def start_processor(self) -> ProcessorMachine:
        return self._world.fleet.start_processor(self._next_skew())

    def _next_skew(self) -> timedelta:
        self._started += 1
        return timedelta(seconds=self._plan.skews[self._started % len(self._plan.skews)])
