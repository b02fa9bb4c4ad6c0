"""What a batch of attempts means for an endpoint's position and its deliveries."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from order_shared.domain.webhook.attempt import Attempt
from order_shared.domain.webhook.health import GIVE_UP_AFTER, Jitter, delay
from order_shared.domain.webhook.models import Delivery, DeliveryState
from order_shared.storage.event_log.read import NumberedEvent


@dataclass(frozen=True, kw_only=True)
class Passed:
    """Events that a batch has passed, up to before number `cut`; None if it has passed all of them."""

    added: Sequence[Delivery]
    """Those that were not delivered, in order. They wait from now on."""
    cut: int | None


def by_order(deliveries: Iterable[Delivery]) -> Mapping[str, Sequence[Delivery]]:
    """Return deliveries by their order's id, each list and the orders by the number of their first event."""
    found: defaultdict[str, list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        found[delivery.event.order_id].append(delivery)
    return found


def number_of(event: NumberedEvent) -> int:
    return event.after.sequence - 1


def passed(
    events: Sequence[NumberedEvent],
    attempts: Mapping[int, Attempt],
    *,
    waiting: Mapping[str, Sequence[Delivery]],
    now: datetime,
    jitter: Jitter,
) -> Passed:
    """Return what follows from the attempts, by number, of new events.

    `waiting` are the deliveries that wait, by order. An event after one of them, or after a failed one of its order,
    waits too; in a replay it may wait already. The first event without an attempt ends the part that was passed.
    """
    added: list[Delivery] = []
    stuck = set(waiting)
    known = {delivery.sequence for group in waiting.values() for delivery in group}
    for each in events:
        number, event = number_of(each), each.event
        if number in known:
            continue
        if event.order_id in stuck:
            added.append(Delivery(sequence=number, event=event, created_at=now))
            continue
        attempt = attempts.get(number)
        if attempt is None:
            return Passed(added=added, cut=number)
        if not attempt.succeeded:
            stuck.add(event.order_id)
            failed = Delivery(sequence=number, event=event, created_at=now, due_at=now + delay(0, jitter))
            added.append(failed.after(attempt))
    return Passed(added=added, cut=None)


def after_attempt(delivery: Delivery, attempt: Attempt, now: datetime, jitter: Jitter) -> Delivery:
    """Return a waiting delivery after an attempt. One that was never accepted for three days is given up."""
    tried = delivery.after(attempt)
    if attempt.succeeded:
        return replace(tried, state=DeliveryState.DELIVERED, due_at=None)
    if now - delivery.created_at >= GIVE_UP_AFTER:
        return replace(tried, state=DeliveryState.FAILED, due_at=None)
    return replace(tried, due_at=now + delay(delivery.attempted, jitter))


def is_due(head: Delivery, now: datetime) -> bool:
    """Return whether the first waiting delivery of an order may be attempted."""
    return head.due_at is None or head.due_at <= now
