"""The engine against the fake of ECS: what is deployed, what is rolled back, and where the tag stands afterwards."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from order_operations.deployments import fleet
from order_operations.deployments.checks import Check, Verdict
from order_operations.deployments.ecr_repository import EcrRepository
from order_operations.deployments.errors import DeploymentFailed, DeploymentRefused
from order_operations.deployments.fleet import Deployment, Fleet, Stage, Status
from order_operations.deployments.service_ref import ServiceRef
from orderctl.deploy.engine import Engine, HookDecision, Outcome, Step
from tests.ecs import SteppedEcs
from tests.integration.deploy_desk import FIRST, SECOND, Ground


class Watcher:
    def __init__(self) -> None:
        self.messages: list[str] = []
        self.audit: list[tuple[str, str]] = []
        self.stages: list[Stage | None] = []

    def checked(self, checks: Sequence[Check]) -> None:
        self.messages += [check.detail for check in checks]

    def noted(self, message: str) -> None:
        self.messages.append(message)

    def observed(self, deployment: Deployment) -> None:
        if not self.stages or self.stages[-1] != deployment.stage:
            self.stages.append(deployment.stage)

    def recorded(self, verb: str, detail: str) -> None:
        self.audit.append((verb, detail))


@dataclass
class OwnLock:
    """Ours, until `lost`."""

    lost: bool = False
    held: bool = False

    def take(self) -> None:
        self.held = True

    def extend(self) -> None:
        if self.lost:
            raise DeploymentFailed("the lock is lost")

    @contextmanager
    def kept(self) -> Iterator[None]:
        yield

    def release(self) -> None:
        self.held = False


@dataclass
class Desk:
    """An operator in front of the fake, whose clock moves on to whatever is due next with each look."""

    ecs: SteppedEcs
    ref: ServiceRef
    answer: HookDecision = HookDecision.CONTINUE
    reason: str | None = None
    watcher: Watcher = field(default_factory=Watcher)
    lock: OwnLock = field(default_factory=OwnLock)

    def __post_init__(self) -> None:
        self.repository = EcrRepository(self.ecs.client("ecr"), self.ref.repository)
        self.fleet = Fleet(self.ecs.client("ecs"), self.ref)
        self.engine = Engine(
            repository=self.repository,
            fleet=self.fleet,
            lock=self.lock,
            observer=self.watcher,
            check=lambda _: [],
            at_hook=lambda _: self.answer,
            rejected=lambda _: self.reason,
            accepts_unwatched=lambda _: True,
            poll_sleep=self.poll_sleep,
            clock=lambda: self.ecs.engine.clock().timestamp(),
        )

    def poll_sleep(self) -> None:
        self.ecs.skip()

    def lose_lock(self) -> None:
        self.lock.lost = True

    def deploy(self, tag: str, *, wait: bool = True) -> Outcome:
        return self.engine.deploy(self.repository.get(tag), wait=wait)

    def digest(self, tag: str) -> str | None:
        return self.repository.digest_of(tag)

    @property
    def live(self) -> str | None:
        return self.digest(self.ref.live_tag)

    @property
    def running(self) -> str | None:
        with self.ecs.quiet():
            revision = self.fleet.describe().current_revision
            return self.fleet.digest_of(revision) if revision else None


@pytest.fixture
def _described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "wait_until_described", lambda: None)


@pytest.fixture
def api(deploy_ground: Ground, _described: None) -> Desk:
    return Desk(deploy_ground.fake(), ServiceRef(environment="dev", kind="order-api"))


@pytest.fixture
def processor(deploy_ground: Ground, _described: None) -> Desk:
    return Desk(deploy_ground.fake(), ServiceRef(environment="dev", kind="order-processor"))


def test_a_good_image_is_deployed(api: Desk) -> None:
    before = api.running
    outcome = api.deploy(SECOND)
    assert outcome.succeeded
    assert api.running == api.live == api.digest(SECOND)
    assert api.digest("previous-dev") == before
    assert api.watcher.stages.index(Stage.POST_TEST_TRAFFIC_SHIFT) < api.watcher.stages.index(Stage.BAKE_TIME)
    assert [verb for verb, _ in api.watcher.audit] == ["deploy", "continue", "deployed"]
    assert (api.engine.step, api.lock.held) == (Step.DONE, False)


def test_one_that_fails_its_test_goes_back_and_the_tag_with_it(api: Desk) -> None:
    before = api.running
    api.answer = HookDecision.ROLLBACK
    outcome = api.deploy(SECOND)
    assert outcome.deployment is not None
    assert outcome.deployment.status is Status.ROLLBACK_SUCCESSFUL
    assert api.running == api.live == before
    assert [verb for verb, _ in api.watcher.audit] == ["deploy", "rollback", "rolled back"]


def test_an_image_that_does_not_start_goes_back(processor: Desk) -> None:
    before = processor.running
    broken = processor.digest(SECOND)
    assert broken is not None
    processor.ecs.break_image(broken)
    assert not processor.deploy(SECOND).succeeded
    assert processor.running == processor.live == before


def test_what_is_seen_during_the_roll_rolls_it_back(processor: Desk) -> None:
    processor.reason = "3 more dead letters"
    outcome = processor.deploy(SECOND)
    assert not outcome.succeeded
    assert "rolling back: 3 more dead letters" in processor.watcher.messages
    verb, detail = processor.watcher.audit[1]
    assert (verb, detail.endswith(": 3 more dead letters")) == ("rollback", True)
    assert processor.live == processor.digest(FIRST)


def test_what_is_live_already_is_left_alone(api: Desk) -> None:
    outcome = api.deploy(FIRST)
    assert (outcome.changed, api.watcher.audit) == (False, [])


def test_a_refused_check_changes_nothing(api: Desk) -> None:
    api.engine.check = lambda _: [Check("scan", Verdict.FAIL, "2 CRITICAL")]
    with pytest.raises(DeploymentRefused):
        api.deploy(SECOND)
    assert api.live == api.digest(FIRST)
    assert api.fleet.under_way() is None


def test_the_same_command_goes_on_with_what_was_interrupted(api: Desk) -> None:
    api.answer = HookDecision.WAIT
    waiting = api.deploy(SECOND)
    assert not waiting.over
    api.answer = HookDecision.CONTINUE
    outcome = api.deploy(SECOND)
    assert outcome.succeeded
    assert outcome.before == api.digest(FIRST) == api.digest("previous-dev")


def test_another_image_waits_for_a_deployment_to_end(api: Desk) -> None:
    api.answer = HookDecision.WAIT
    api.deploy(SECOND)
    with pytest.raises(DeploymentRefused, match="is under way"):
        api.deploy(FIRST)


def test_what_ecs_does_not_name_yet_is_what_the_tag_means(api: Desk) -> None:
    api.deploy(SECOND, wait=False)
    api.engine.poll_sleep = api.lose_lock  # at the first look, of which there is none
    assert not api.deploy(SECOND, wait=False).over
    with pytest.raises(DeploymentRefused, match=f"is under way, with another image: {api.digest(SECOND)}"):
        api.deploy(FIRST)


def test_an_interruption_after_the_tag_moved_is_made_good_by_the_same_command(api: Desk) -> None:
    digest = api.digest(SECOND)
    assert digest is not None
    api.repository.move(api.ref.live_tag, digest)
    assert api.deploy(SECOND).succeeded
    assert api.digest("previous-dev") == api.digest(FIRST)


def test_a_lost_lock_ends_it_and_says_so(api: Desk) -> None:
    api.engine.poll_sleep = api.lose_lock
    with pytest.raises(DeploymentFailed, match="the lock is lost"):
        api.deploy(SECOND)
    assert api.engine.step is Step.FOLLOWING


def test_what_ecs_tells_late_is_waited_for(api: Desk) -> None:
    api.ecs.lag(3)
    assert api.deploy(SECOND).succeeded


def test_throttled_calls_are_made_again(api: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))  # it waits between attempts
    api.ecs.engine.faults.throttle("DescribeServiceDeployments", 2)
    assert api.deploy(SECOND).succeeded


def test_an_alarm_during_the_bake_rolls_back(api: Desk) -> None:
    def ring() -> None:
        if api.watcher.stages[-1:] == [Stage.BAKE_TIME]:
            api.ecs.set_alarm("dev-api-errors", "ALARM")
        api.ecs.skip()

    api.engine.poll_sleep = ring
    outcome = api.deploy(SECOND)
    assert outcome.deployment is not None
    assert outcome.deployment.triggered_alarms == ("dev-api-errors",)
    assert api.running == api.live == api.digest(FIRST)


def test_a_pause_that_nobody_ends_rolls_back(api: Desk) -> None:
    asked: list[Deployment] = []

    def never(deployment: Deployment) -> HookDecision:
        asked.append(deployment)
        return HookDecision.WAIT

    api.engine.at_hook = never
    api.deploy(SECOND)
    api.ecs.skip()
    while api.fleet.under_way() is not None:
        api.ecs.skip()
    assert api.running == api.digest(FIRST)
    assert api.live == api.digest(SECOND)  # which `status` calls drift
