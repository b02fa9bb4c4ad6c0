"""The supervisor restarts a child that dies, and gives up on one that never becomes ready."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devstack.processes import READY_SECONDS, ChildFailed, ProcessGroup
from devstack.supervisor import MAX_DELAY_SECONDS, MAX_FAILED_STARTS, STABLE_SECONDS, NotPrepared, Supervisor

NAME = "child"


@dataclass(kw_only=True)
class Watched:
    """One child under supervision, whose readiness and clock the test sets."""

    group: ProcessGroup
    now: float = 0.0
    is_ready: bool = True
    is_prepared: bool = True
    lines: list[str] = field(default_factory=list)
    changes: int = 0
    preparations: int = 0

    def __post_init__(self) -> None:
        child = self.group.start(NAME, ["sleep", "600"], dict(os.environ))
        self.supervisor = Supervisor(
            self.group,
            {NAME: child},
            {NAME: "http://probe"},
            self.lines.append,
            on_death=lambda name: f". {name} has lost its data",
            prepare=self._prepare,
            on_change=self._changed,
            is_ready=lambda _: self.is_ready,
            monotonic=lambda: self.now,
        )

    def _prepare(self, _: str) -> None:
        if not self.is_prepared:
            raise NotPrepared("planted")
        self.preparations += 1

    def _changed(self) -> None:
        self.changes += 1

    @property
    def pid(self) -> int:
        return self.supervisor.children[NAME].pid

    def kill(self) -> None:
        child = self.supervisor.children[NAME]
        os.kill(child.pid, signal.SIGKILL)
        child.process.wait()
        self.supervisor.check()

    def restart(self) -> None:
        """Let the delay pass, after which the child is started."""
        self.now += MAX_DELAY_SECONDS
        self.supervisor.check()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with ProcessGroup(tmp_path) as group:
        yield Watched(group=group)


def test_a_child_that_dies_is_back_with_a_line(watched: Watched) -> None:
    watched.now = STABLE_SECONDS
    pid = watched.pid
    watched.kill()
    watched.supervisor.check()
    assert watched.pid != pid
    assert watched.changes == 1
    watched.now += 1.5
    watched.supervisor.check()
    assert watched.lines == [
        "child was killed by SIGKILL; starting it again. child has lost its data",
        "child is ready again after 1.5 s",
    ]


def test_the_delay_grows_while_it_dies_soon_after_each_start(watched: Watched) -> None:
    delays = []
    for _ in range(8):
        watched.kill()
        delays.append(watched.lines[-1].partition(" in ")[2].partition(". ")[0])
        watched.restart()
        watched.supervisor.check()
    assert delays == ["0.5 s", "1 s", "2 s", "4 s", "8 s", "15 s", "15 s", "15 s"]
    watched.now += STABLE_SECONDS
    watched.kill()
    assert watched.lines[-1].startswith("child was killed by SIGKILL; starting it again.")


def test_it_is_not_started_before_the_delay_is_over(watched: Watched) -> None:
    pid = watched.pid
    watched.kill()
    watched.now += 0.4
    watched.supervisor.check()
    assert watched.pid == pid
    watched.now += 0.2
    watched.supervisor.check()
    assert watched.pid != pid


def test_three_deaths_before_it_is_ready_end_the_supervision(watched: Watched) -> None:
    watched.kill()
    watched.is_ready = False
    for _ in range(MAX_FAILED_STARTS - 1):
        watched.restart()
        watched.kill()
    watched.restart()
    with pytest.raises(ChildFailed, match="child died 3 times in a row before it was ready"):
        watched.kill()


def test_a_start_that_succeeds_resets_the_count(watched: Watched) -> None:
    for _ in range(3):
        watched.is_ready = False
        watched.kill()
        for _ in range(MAX_FAILED_STARTS - 1):
            watched.restart()
            watched.kill()
        watched.is_ready = True
        watched.restart()
        watched.supervisor.check()
    assert watched.lines[-1].startswith("child is ready again")


def test_a_child_that_never_becomes_ready_ends_the_supervision(watched: Watched) -> None:
    watched.is_ready = False
    watched.kill()
    watched.restart()
    watched.now += READY_SECONDS + 1
    with pytest.raises(ChildFailed, match="was not ready within 120 s"):
        watched.supervisor.check()


def test_a_child_that_cannot_be_prepared_is_prepared_at_a_later_check(watched: Watched) -> None:
    watched.is_prepared = False
    watched.kill()
    watched.restart()
    for _ in range(3):
        watched.supervisor.check()
    assert watched.lines[1:] == ["child responds, and cannot be used yet: planted"]
    watched.is_prepared = True
    watched.supervisor.check()
    assert watched.preparations == 1
    assert watched.lines[-1].startswith("child is ready again")


def test_a_suspended_child_is_stopped_at_once(watched: Watched) -> None:
    os.kill(watched.pid, signal.SIGSTOP)
    assert watched.supervisor.children[NAME].stop() == -signal.SIGTERM
