"""Judgement of what a receiver of webhooks has accepted."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from order_shared.domain.order.events import OrderEvent


def arrival_faults(name: str, accepted: Sequence[str], events: Sequence[OrderEvent]) -> Iterator[str]:
    """Return events that are missing, that are not in the log, or that first came out of the order of their order.

    `accepted` are the ids of events as they came; an event may have come several times.
    """
    expected = [event.id for event in events]
    first = list(dict.fromkeys(accepted))
    missing, strange = set(expected) - set(first), set(first) - set(expected)
    yield from (f"{name}: {each} is missing" for each in sorted(missing))
    yield from (f"{name}: {each} is not in the log" for each in sorted(strange))
    arrived, logged = _by_order(first), _by_order(expected)
    for order_id, ids in arrived.items():
        if ids != [each for each in logged[order_id] if each in ids]:
            yield f"{name}: {order_id} came as {', '.join(ids)}"


def _by_order(ids: Sequence[str]) -> defaultdict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for each in ids:
        found[each.partition(".")[0]].append(each)
    return found
