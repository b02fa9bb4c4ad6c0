"""What must hold when a message is settled: deleted, or hidden until its next delivery.

A message may be deleted once its order needs it no more: the order has ended, is parked, is another owner's, or waits
in the outbox. Where nothing is wrong with the tables, a message that is delivered again leaves its order released, and
due after that delivery.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from order_processor.order.flows import DEFER_AFTER, RETRY_GRACE
from order_processor.schedule import SweepSchedule
from order_shared.domain.clock import to_millis
from order_shared.messaging.delivery import Delivery
from tests.simulation.faults import Fault
from tests.simulation.invariants import Item, Watch
from tests.simulation.logbook import PAUSES, Logbook
from tests.simulation.plans import Plan, Theme
from tests.simulation.queue import Settling
from tests.simulation.world import World

SWEEP_SECONDS = 3.0
"""Time in which a sweep ends that was under way when its machine was told to stop."""
SETTLE_MS = 1500
"""Time from the write that reschedules an order to the deletion of its message."""
CRASHES = frozenset({Fault.UNEXPECTED, Fault.UNREADABLE})
"""Faults after which a failure cannot be noted, so that its message is delivered again without limit."""


@dataclass(frozen=True)
class _Handling:
    """How an order was stored while a machine had its message."""

    states: list[tuple[float, Item]]
    attempt: str
    now_ms: int
    received_ms: int


class SettlingCheck:
    """Checks each settled message of an order. Faults go to the watch."""

    def __init__(self, world: World, plan: Plan, watch: Watch, book: Logbook, stopped: Mapping[str, float]) -> None:
        """Create the check. `stopped` has the time at which each machine was told to stop."""
        self.outcomes: Counter[str] = Counter()
        """Messages by the way in which they were settled."""
        self.resent_of: Counter[str] = Counter()
        """Messages that sweepers sent, by order."""
        self.resent_scheduled = 0
        """Messages that sweepers sent for orders that had one, and that no request to cancel had made due."""
        self._resent_at: dict[str, float] = {}
        self._beats: dict[str, float] = {}
        """Time from which each delivery's visibility counts, by receipt."""
        self._released: set[str] = set()
        self._stopped = stopped
        self._schedule = SweepSchedule(timedelta(seconds=world.processor_settings.sweep_base_seconds))
        self._world = world
        self._plan = plan
        self._watch = watch
        self._book = book
        self._letters: set[str] = set()

    def buried(self, message_id: str) -> None:
        """Note that a message is among the dead letters."""
        self._letters.add(message_id)

    def settled(self, settling: Settling) -> None:
        for text in self._faults(settling):
            self._watch.add(f"{settling.order_id}: {text}")

    def resent(self, order_id: str, by: str) -> None:
        """Check a message that a sweeper sends."""
        now = self._world.loop.time()
        if now - self._stopped.get(by, now) > SWEEP_SECONDS:
            self._watch.add(f"{by} sweeps, although it was told to stop")
        if self._plan.theme is Theme.LOST_MESSAGES:
            base = self._world.processor_settings.sweep_base_seconds
            if now - self._resent_at.get(order_id, -base) < base - 1.0:
                self._watch.add(f"{order_id}: two sweeps sent its message")
        if self._world.queue.messages_of[order_id] and not self._is_due_by_request(order_id):
            self.resent_scheduled += 1
        self._resent_at[order_id] = now
        self.resent_of[order_id] += 1

    def _is_due_by_request(self, order_id: str) -> bool:
        """Return whether a request to cancel set the due time that a sweep has just postponed.

        The request may come while a worker has the message of the order for longer than the first wait of a sweep.
        """
        life = [item for _, item in self._watch.lives[order_id]][:-1]
        due_at = life[-1].get("due_at")
        first = next(number for number, item in enumerate(life) if item.get("due_at") == due_at)
        return first > 0 and "cancel_requested_at" in life[first] and "cancel_requested_at" not in life[first - 1]

    def hides(self, receipt: str, seconds: float, by: str) -> None:
        """Check a change of visibility that is about to be requested: none extends a message already released."""
        if seconds < self._world.processor_settings.visibility_seconds:
            self._released.add(receipt)
        elif receipt in self._world.queue.told_gone:
            self._watch.add(f"{by} extends a message that is gone")
        elif receipt in self._released:
            self._watch.add(f"{by} extends a message that it has released")

    def _faults(self, settling: Settling) -> Iterator[str]:
        if settling.by in self._stopped and settling.received_at > self._stopped[settling.by] and settling.seconds != 0:
            yield f"{settling.by} handles a message that it received after it was told to stop"
        if settling.message_id in self._letters:
            self.outcomes["dead_lettered"] += settling.seconds is None
            return
        if self._is_beat(settling):
            yield from self._beat_faults(settling)
            return
        delivery = self._delivery(settling)
        error = None if delivery is None else self._book.deferred.get(delivery.task)
        kind = "acknowledged" if error is None else "deferred"
        self.outcomes[kind if settling.seconds is None else "retried"] += 1
        if delivery is None:
            return  # it was given up before this request took effect
        is_limited = self._plan.has_sound_queue and self._plan.rates.keys().isdisjoint(CRASHES)
        if is_limited and settling.receive_count > DEFER_AFTER:
            yield f"its message was delivered {settling.receive_count} times"
        yield from self._order_faults(settling, delivery, error)

    def _order_faults(self, settling: Settling, delivery: Delivery, error: str | None) -> Iterator[str]:
        """Check the order of a message. `error` is the one after which the message is given up."""
        states = self._watch.life_since(settling.order_id, settling.received_at)
        if not states:
            if settling.seconds is None and error is None:
                yield "a message of an order that does not exist was deleted"
            return
        now = to_millis(self._world.fleet.clock_of(settling.by)())
        received = now - round(1000 * (self._world.loop.time() - settling.received_at))
        handling = _Handling(states, delivery.attempt_id, now, received)
        if settling.seconds is None and error is None and not _was_done(handling):
            yield f"its message was deleted, but the order is {_summary(states[-1][1])}"
        if self._plan.is_sound and settling.seconds != 0:
            yield from self._release_faults(settling, handling, error)
        if settling.seconds is None and error is not None and settling.receive_count < DEFER_AFTER:
            yield from self._early_faults(settling, states, error)

    @staticmethod
    def _early_faults(settling: Settling, states: list[tuple[float, Item]], error: str) -> Iterator[str]:
        """Check a message given up before its last delivery: a sweep has sent one before, or the provider is away."""
        if not any(item.get("sweeps", 0) for _, item in states) and not any(text in error for text in PAUSES):
            yield f"its message was deferred at delivery {settling.receive_count}: {error}"

    def _is_beat(self, settling: Settling) -> bool:
        visibility = self._world.processor_settings.visibility_seconds
        return settling.seconds is not None and settling.seconds >= visibility

    def _beat_faults(self, settling: Settling) -> Iterator[str]:
        """Check an extension of a visibility time-out: of a message in hand, and only when half of it is over."""
        now, half = self._world.loop.time(), self._world.processor_settings.visibility_seconds / 2
        is_regular = self._plan.is_sound or self._plan.theme is Theme.SLOW
        if is_regular and now - self._beats.get(settling.receipt, settling.received_at) < 0.8 * half:
            yield "its message was extended before half of its time was over"
        self._beats[settling.receipt] = now

    def _release_faults(self, settling: Settling, handling: _Handling, error: str | None) -> Iterator[str]:
        """Check an order whose handling ended without its end, by the state that the last write left."""
        item = handling.states[-1][1]
        if settling.seconds is None and error is None:
            return
        if "open_shard" not in item or "parked" in item:
            return
        if "cancel_requested_at" in item and "cancel_requested_at" not in handling.states[0][1]:
            return  # requested meanwhile: the order was not rescheduled, and is due soon
        if item.get("lease_owner") == handling.attempt and item["lease_until"] >= handling.now_ms:
            yield f"its message was given up, but it is leased for {item['lease_until'] - handling.now_ms} ms"
        left = item["due_at"] - handling.now_ms
        if item.get("lease_owner", handling.attempt) != handling.attempt or any(
            text in (error or "") for text in PAUSES
        ):
            return
        sweeps = item.get("sweeps", 0)
        wait = (
            self._schedule.wait(sweeps)
            if settling.seconds is None
            else timedelta(seconds=settling.seconds) + RETRY_GRACE
        )
        if abs(left - 1000 * wait.total_seconds()) > SETTLE_MS:
            yield f"its message comes in {settling.seconds} s; after {sweeps} sweeps it is due in {left / 1000:.1f} s"

    def _delivery(self, settling: Settling) -> Delivery | None:
        """Return the delivery that is being settled, if its machine still has it."""
        for delivery in self._world.fleet.deliveries_of(settling.by):
            if delivery.message.receipt == settling.receipt:
                return delivery
        return None


def _was_done(handling: _Handling) -> bool:
    """Return whether the order ended, was parked, or was another owner's at some time while the message was held."""
    return any(
        "open_shard" not in item
        or "parked" in item
        or (item.get("lease_owner") not in {None, handling.attempt} and item["lease_until"] >= handling.received_ms)
        for _, item in handling.states
    )


def _summary(item: Item) -> str:
    names = ("status", "attempts", "sweeps", "due_at", "lease_owner", "lease_until", "cancel_requested_at")
    return ", ".join(f"{name} {item[name]}" for name in names if name in item)
