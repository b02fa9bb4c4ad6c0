"""What a process knows about the messages that wait in the queue."""

import random

import pytest

from order_shared.messaging.backlog import BURST, IN_FLIGHT_QUOTA, MEMORY_SECONDS, Backlog
from order_shared.messaging.queue import Depth

NOW = 1_700_000_000_000
"""Epoch milliseconds."""


class Observed:
    """A backlog on a clock that the test moves. Times are seconds since NOW."""

    def __init__(self) -> None:
        self.now = 0.0
        self.backlog = Backlog(lambda: self.now)

    def count(self, visible: int, in_flight: int = 0) -> None:
        self.backlog.counted(Depth(work=visible, in_flight=in_flight, dead=0))

    def receive(self, *sent_at: float) -> None:
        for each in sent_at:
            self.backlog.received([NOW + int(each * 1000)], NOW + int(self.now * 1000))

    @property
    def sweep_before(self) -> float | None:
        before = self.backlog.sweep_before(NOW + int(self.now * 1000))
        return None if before is None else (before - NOW) / 1000


@pytest.fixture
def observed() -> Observed:
    return Observed()


class TestSweepBefore:
    def test_an_empty_queue_holds_nothing_back(self, observed: Observed) -> None:
        observed.count(0)
        assert observed.sweep_before == 0

    def test_the_longest_wait_of_the_last_minute_is_held_back(self, observed: Observed) -> None:
        observed.count(0)
        observed.receive(-40, -1)
        observed.now = 30
        observed.count(0)
        assert observed.sweep_before == 30 - 40
        observed.now = MEMORY_SECONDS + 2
        observed.count(0)
        assert observed.sweep_before == observed.now

    def test_in_its_first_minute_a_process_leaves_a_backlog_alone(self, observed: Observed) -> None:
        observed.count(5)
        observed.receive(*[-3.0] * 100)
        observed.now = MEMORY_SECONDS - 1
        assert observed.sweep_before == -NOW / 1000
        observed.now = MEMORY_SECONDS
        assert observed.sweep_before is not None
        assert observed.sweep_before > -NOW / 1000

    def test_a_backlog_holds_back_what_is_younger_than_its_oldest_message(self, observed: Observed) -> None:
        """However the queue orders its messages, and however long the backlog lasts."""
        dice = random.Random(1)  # noqa: S311 - reproducible, not secret
        waiting = [float(-each) for each in range(900)]
        dice.shuffle(waiting)
        for _ in range(890):
            observed.now += 1
            observed.count(len(waiting))
            observed.receive(waiting.pop())
            before = observed.sweep_before
            assert before is None or before < min(waiting)

    def test_a_count_of_zero_is_not_an_empty_queue_near_the_quota(self, observed: Observed) -> None:
        """Polls return nothing there, although messages wait."""
        observed.now = MEMORY_SECONDS
        observed.count(0, in_flight=IN_FLIGHT_QUOTA // 2)
        assert observed.sweep_before is None

    def test_a_queue_that_was_not_counted_is_unknown_and_not_empty(self, observed: Observed) -> None:
        observed.count(0)
        observed.now = 2 * MEMORY_SECONDS
        assert observed.sweep_before is None


class TestAllowance:
    def test_an_empty_queue_takes_a_burst_until_it_is_carried_out(self, observed: Observed) -> None:
        observed.count(0)
        assert observed.backlog.allowance() == BURST
        for _ in range(BURST):
            observed.backlog.added()
        assert observed.backlog.allowance() == 1
        for _ in range(300):
            observed.backlog.finished()
        assert observed.backlog.allowance() == 300

    def test_beside_a_backlog_as_much_is_added_as_has_left_the_queue(self, observed: Observed) -> None:
        observed.count(1000)
        observed.backlog.allowance()
        for _ in range(70):
            observed.backlog.finished()
        assert observed.backlog.allowance() == 70

    def test_one_message_a_second_is_always_allowed(self, observed: Observed) -> None:
        observed.count(1000)
        observed.backlog.allowance()
        observed.now += 5
        assert observed.backlog.allowance() == 5


def test_counts_older_than_a_minute_are_not_kept(observed: Observed) -> None:
    """An empty queue is counted for months."""
    for _ in range(1_000):
        observed.now += 15
        observed.count(0)
    assert len(observed.backlog._counts) <= MEMORY_SECONDS / 15 + 1
