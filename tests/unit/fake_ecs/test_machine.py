"""State machine of a deployment without I/O, with a clock that the test sets."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from fake_ecs import fleet, machine
from fake_ecs.engine import next_due
from fake_ecs.model import (
    Balancing,
    Configuration,
    Deployment,
    HookAction,
    HookStatus,
    Image,
    Observation,
    PauseHook,
    Revision,
    Service,
    Stage,
    Status,
    Strategy,
    TaskStatus,
)
from fake_ecs.timing import Timing
from tests.factories import NOON

OLD, NEW = "sha256:old", "sha256:new"
TIMING = Timing()
PAUSE = PauseHook(frozenset({Stage.POST_TEST_TRAFFIC_SHIFT}), timeout_minutes=60)
BLUE_GREEN = Configuration(
    strategy=Strategy.BLUE_GREEN,
    bake_minutes=10,
    hooks=(PAUSE,),
    alarms=("errors", "latency"),
    alarms_enabled=True,
    alarms_roll_back=True,
)
ROLLING = Configuration(strategy=Strategy.ROLLING, bake_minutes=5, breaker_enabled=True, breaker_rolls_back=True)
BALANCING = Balancing(container="app", port=80, target_groups=("blue", "green"), production_rule="p", test_rule="t")


class World:
    """Service with one running revision, and the current time."""

    def __init__(self, configuration: Configuration, *, desired: int = 2, timing: Timing = TIMING) -> None:
        self.now = NOON
        self.seen = Observation()
        self.timing = timing
        live = self._revision(OLD, "blue")
        live.desired = desired
        balancing = BALANCING if configuration.strategy is Strategy.BLUE_GREEN else None
        self.service = Service(
            name="app",
            cluster="dev",
            task_definition="app:1",
            desired=desired,
            configuration=configuration,
            created_at=NOON,
            live=live,
            balancing=balancing,
            revisions=[live],
        )
        self.service.production_id = self.service.test_id = live.id
        for _ in range(desired):
            task = fleet.launch(self.service, live, NOON)
            task.status, task.due = TaskStatus.RUNNING, None
        self.live = live
        self.most = self.fewest = desired

    def deploy(self) -> Deployment:
        base = self.service.live
        target = self._revision(NEW, "green")
        self.service.revisions.append(target)
        sources = [each for each in self.service.revisions if each.desired]
        due = self.timing.after(self.now, self.timing.request)
        deployment = Deployment(
            target=target,
            sources=sources,
            base=base,
            configuration=self.service.configuration,
            created_at=self.now,
            due=due,
        )
        self.service.deployments.append(deployment)
        return deployment

    def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(200):
            machine.advance(self.service, self.now, self.seen, self.timing)
            self._count()
            if condition():
                return
            due = next_due(self.service, self.now)
            assert due is not None, f"nothing is due, and it is {self.service.deployments[-1]}"
            self.now = due
        raise AssertionError(f"it does not come to that: {self.service.deployments[-1]}")

    def reach(self, deployment: Deployment, stage: Stage) -> None:
        self.until(lambda: deployment.stage is stage)

    def end(self, deployment: Deployment) -> Status:
        self.until(lambda: deployment.status.is_finished)
        return deployment.status

    def resolve(self, deployment: Deployment, action: HookAction) -> None:
        self.until(lambda: deployment.awaiting is not None)
        assert deployment.awaiting is not None
        machine.resolve(deployment, deployment.awaiting, action, self.now, self.timing)

    def running(self) -> dict[str | None, int]:
        return {each.digests[0]: self.service.running(each) for each in self.service.active()}

    def _count(self) -> None:
        running = [task for task in self.service.tasks if task.status is TaskStatus.RUNNING]
        self.fewest = min(self.fewest, len(running))
        self.most = max(self.most, sum(task.is_alive for task in self.service.tasks))

    def _revision(self, digest: str, group: str) -> Revision:
        return Revision(
            task_definition="app:1",
            images=[Image(container="app", reference="r/app:live", digest=digest, pulled=digest)],
            created_at=self.now,
            target_group=group,
        )


def test_blue_green_goes_through_its_stages_and_moves_first_tests_then_customers() -> None:
    world = World(BLUE_GREEN)
    deployment = world.deploy()
    passed: list[tuple[Stage | None, bool, bool]] = []

    def look() -> bool:
        place = (deployment.stage, world.service.test_id == deployment.target.id, on_new())
        if deployment.stage is not None and place not in passed:
            passed.append(place)
        return deployment.awaiting is not None or deployment.status.is_finished

    def on_new() -> bool:
        return world.service.production_id == deployment.target.id

    world.until(look)
    world.resolve(deployment, HookAction.CONTINUE)
    world.until(look)

    assert deployment.status is Status.SUCCESSFUL
    assert passed == [
        (Stage.PRE_SCALE_UP, False, False),
        (Stage.SCALE_UP, False, False),
        (Stage.POST_SCALE_UP, False, False),
        (Stage.TEST_TRAFFIC_SHIFT, True, False),
        (Stage.POST_TEST_TRAFFIC_SHIFT, True, False),
        (Stage.PRODUCTION_TRAFFIC_SHIFT, True, True),
        (Stage.POST_PRODUCTION_TRAFFIC_SHIFT, True, True),
        (Stage.BAKE_TIME, True, True),
        (Stage.CLEAN_UP, True, True),
    ]
    assert world.running() == {NEW: 2}
    assert world.fewest == 2
    assert world.most == 4
    assert world.service.live is deployment.target


@pytest.mark.parametrize(("speed", "bake"), [(1, timedelta(minutes=10)), (60, timedelta(seconds=10))])
def test_it_bakes_as_long_as_configured_or_faster(speed: float, bake: timedelta) -> None:
    world = World(replace(BLUE_GREEN, hooks=()), timing=Timing(speed=speed))
    deployment = world.deploy()
    world.reach(deployment, Stage.BAKE_TIME)
    began = world.now

    world.reach(deployment, Stage.CLEAN_UP)

    assert world.now - began == bake


@pytest.mark.parametrize("stage", [Stage.SCALE_UP, Stage.POST_TEST_TRAFFIC_SHIFT, Stage.BAKE_TIME])
def test_an_alarm_rolls_back_at_any_stage(stage: Stage) -> None:
    world = World(replace(BLUE_GREEN, hooks=()))
    deployment = world.deploy()
    world.reach(deployment, stage)

    world.seen = Observation(alarming=frozenset({"latency"}))
    world.until(lambda: deployment.status is Status.ROLLBACK_IN_PROGRESS)

    assert world.service.production_id == world.service.test_id == world.live.id  # customers first
    assert world.end(deployment) is Status.ROLLBACK_SUCCESSFUL
    assert deployment.triggered_alarms == ("latency",)
    assert world.running() == {OLD: 2}
    assert world.fewest == 2
    assert deployment.rollback is not None
    assert deployment.rollback.revision_id == world.live.id


def test_an_alarm_that_was_in_alarm_before_is_not_watched() -> None:
    world = World(replace(BLUE_GREEN, hooks=()))
    world.seen = Observation(alarming=frozenset({"errors"}))

    assert world.end(world.deploy()) is Status.SUCCESSFUL


def test_without_rollback_an_alarm_stops_it_where_it_is() -> None:
    world = World(replace(BLUE_GREEN, hooks=(), alarms_roll_back=False))
    deployment = world.deploy()
    world.reach(deployment, Stage.BAKE_TIME)

    world.seen = Observation(alarming=frozenset({"errors"}))
    world.until(lambda: deployment.status is Status.STOP_REQUESTED)

    assert world.end(deployment) is Status.STOPPED
    assert deployment.stopped_at == world.now
    assert world.running() == {OLD: 2, NEW: 2}
    assert world.service.production_id == deployment.target.id


@pytest.mark.parametrize(
    ("action", "end"), [(HookAction.ROLLBACK, Status.ROLLBACK_SUCCESSFUL), (HookAction.CONTINUE, Status.SUCCESSFUL)]
)
def test_an_unresolved_pause_times_out(action: HookAction, end: Status) -> None:
    world = World(replace(BLUE_GREEN, hooks=(replace(PAUSE, action=action),)))
    deployment = world.deploy()
    world.until(lambda: deployment.awaiting is not None)
    began = world.now

    assert world.end(deployment) is end
    assert deployment.hooks[0].expires_at - began == timedelta(minutes=60)
    assert deployment.hooks[0].status is HookStatus.TIMED_OUT


def test_blue_green_without_a_breaker_tries_on() -> None:
    world = World(replace(BLUE_GREEN, hooks=()))
    world.seen = Observation(broken={NEW: "exit 1"})
    deployment = world.deploy()

    world.until(lambda: deployment.target.failures > 10)

    assert deployment.stage is Stage.SCALE_UP
    world.seen = Observation()
    assert world.end(deployment) is Status.SUCCESSFUL


@pytest.mark.parametrize(
    ("desired", "minimum", "maximum", "fewest", "most"), [(4, 100, 200, 4, 8), (4, 100, 125, 4, 5), (4, 50, 100, 2, 4)]
)
def test_rolling_keeps_within_its_limits(desired: int, minimum: int, maximum: int, fewest: int, most: int) -> None:
    limits = replace(ROLLING, minimum_healthy_percent=minimum, maximum_percent=maximum)
    world = World(limits, desired=desired)

    assert world.end(world.deploy()) is Status.SUCCESSFUL
    assert world.running() == {NEW: desired}
    assert (world.fewest, world.most) == (fewest, most)


def test_the_breaker_rolls_back_an_image_that_does_not_start() -> None:
    world = World(ROLLING)
    world.seen = Observation(broken={NEW: "exit 1"})
    deployment = world.deploy()

    assert world.end(deployment) is Status.ROLLBACK_SUCCESSFUL
    assert deployment.breaker_tripped
    assert world.running() == {OLD: 2}
    assert world.fewest == 2


def test_no_task_starts_after_the_circuit_breaker() -> None:
    world = World(replace(ROLLING, breaker_rolls_back=False))
    world.seen = Observation(broken={NEW: "exit 1"})
    deployment = world.deploy()
    assert world.end(deployment) is Status.STOPPED
    tried = len(world.service.tasks)

    world.now += timedelta(hours=1)
    machine.advance(world.service, world.now, world.seen, world.timing)

    assert len(world.service.tasks) == tried
    assert world.running() == {OLD: 2}


def test_an_alarm_takes_a_rolled_fleet_back_step_by_step() -> None:
    world = World(replace(ROLLING, alarms=("errors",), alarms_enabled=True, alarms_roll_back=True, maximum_percent=150))
    deployment = world.deploy()
    world.reach(deployment, Stage.BAKE_TIME)

    world.seen = Observation(alarming=frozenset({"errors"}))

    assert world.end(deployment) is Status.ROLLBACK_SUCCESSFUL
    assert world.running() == {OLD: 2}
    assert (world.fewest, world.most) == (2, 3)


def test_a_rollback_fails_if_the_old_image_does_not_start_either() -> None:
    world = World(replace(ROLLING, alarms=("errors",), alarms_enabled=True, alarms_roll_back=True))
    deployment = world.deploy()
    world.reach(deployment, Stage.BAKE_TIME)

    world.seen = Observation(alarming=frozenset({"errors"}), broken={OLD: "no such image"})

    assert world.end(deployment) is Status.ROLLBACK_FAILED
    assert world.running()[NEW] == 2  # what runs, runs on


def test_a_newer_deployment_takes_over_and_clears_up_first() -> None:
    world = World(replace(BLUE_GREEN, hooks=()))
    first = world.deploy()
    world.reach(first, Stage.POST_TEST_TRAFFIC_SHIFT)

    machine.supersede(world.service, first, world.now, world.timing)
    second = world.deploy()
    world.reach(second, Stage.RECONCILE_SERVICE)

    assert first.status is Status.STOPPED
    assert world.service.test_id == world.live.id
    world.reach(second, Stage.PRE_SCALE_UP)
    assert world.running() == {OLD: 2}
    assert world.end(second) is Status.SUCCESSFUL
    assert world.running() == {NEW: 2}
