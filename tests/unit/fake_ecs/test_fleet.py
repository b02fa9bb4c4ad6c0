"""Start, stop and failure count of tasks. Pure, with a clock that the test sets."""

from datetime import timedelta

import pytest

from fake_ecs import fleet, machine
from fake_ecs.model import Configuration, Image, Observation, Revision, Service, Strategy, Task, TaskStatus
from fake_ecs.timing import Timing
from tests.factories import NOON

DIGEST = "sha256:1"
TIMING = Timing(start=20, health=5, drain=30, retry=10)


@pytest.fixture
def revision() -> Revision:
    return Revision(
        task_definition="app:1",
        images=[Image(container="app", reference="r/app:live", digest=DIGEST, pulled=DIGEST)],
        created_at=NOON,
        target_group=None,
    )


@pytest.fixture
def service(revision: Revision) -> Service:
    configuration = Configuration(strategy=Strategy.ROLLING)
    return Service(
        name="app",
        cluster="dev",
        task_definition="app:1",
        desired=2,
        configuration=configuration,
        created_at=NOON,
        live=revision,
        revisions=[revision],
    )


def _at(service: Service, seconds: int, *, broken: str | None = None) -> list[TaskStatus]:
    seen = Observation(broken={DIGEST: broken} if broken else {})
    fleet.advance(service, NOON + timedelta(seconds=seconds), seen, TIMING)
    return [task.status for task in service.tasks]


def test_a_task_takes_its_time_to_start_and_to_drain(service: Service, revision: Revision) -> None:
    revision.desired = 1
    assert _at(service, 0) == [TaskStatus.PENDING]
    assert _at(service, 19) == [TaskStatus.PENDING]
    assert _at(service, 20) == [TaskStatus.RUNNING]

    revision.desired = 0
    assert _at(service, 21) == [TaskStatus.DEACTIVATING]
    assert _at(service, 50) == [TaskStatus.DEACTIVATING]
    assert _at(service, 51) == [TaskStatus.STOPPED]


def test_pending_tasks_stop_first(service: Service, revision: Revision) -> None:
    revision.desired = 2
    _at(service, 0)
    _at(service, 20)
    older = list(service.tasks)
    service.tasks[:] = []
    revision.desired = 4
    _at(service, 21)
    service.tasks.extend(older)  # the order of the list says nothing

    revision.desired = 2
    _at(service, 22)

    assert [task.status for task in older] == [TaskStatus.RUNNING, TaskStatus.RUNNING]


def test_failures_in_a_row_are_counted(service: Service, revision: Revision) -> None:
    revision.desired = 2
    _at(service, 0)
    assert _at(service, 20, broken="exit 1") == [TaskStatus.STOPPED] * 2
    assert revision.failures == 2
    assert _at(service, 29) == [TaskStatus.STOPPED] * 2
    assert _at(service, 30)[2:] == [TaskStatus.PENDING] * 2

    assert _at(service, 50)[2:] == [TaskStatus.RUNNING] * 2
    assert revision.failures == 2
    _at(service, 55)
    assert revision.failures == 0


def test_addresses_are_each_tasks_own(service: Service, revision: Revision) -> None:
    revision.desired = 100
    _at(service, 0)

    assert len({task.address for task in service.tasks}) == 100


def test_only_the_last_stopped_tasks_are_kept(service: Service, revision: Revision) -> None:
    gone = [Task(revision_id=revision.id, address="10.0.0.4", due=None, status=TaskStatus.STOPPED) for _ in range(60)]
    service.tasks.extend(gone)
    _at(service, 0)

    assert service.tasks == gone[-fleet.KEPT_STOPPED :]


@pytest.mark.parametrize(("desired", "threshold"), [(1, 3), (6, 3), (7, 4), (25, 13), (400, 200), (800, 200)])
def test_the_breaker_opens_at_half_the_tasks(desired: int, threshold: int) -> None:
    assert machine.threshold(desired) == threshold


def test_a_speed_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="speed must be above 0"):
        Timing(speed=0)
