"""What a run may cost, and what is counted of it: messages, writes, reads, provider calls, metrics, time."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from devstack.payments.bank import Token
from order_shared.domain.order.models import Order, OrderStatus
from order_shared.messaging.consumer.settlement import DELETE_ATTEMPTS
from tests.simulation.faults import Fault
from tests.simulation.fleet import api_metrics, processor_metrics
from tests.simulation.history import Border, What
from tests.simulation.invariants import Item
from tests.simulation.plans import EventKind, OrderPlan, Theme
from tests.simulation.rest import Rest
from tests.simulation.settling import CRASHES

QUIET_SECONDS = 2.0
"""Time in which an order ends that nothing disturbs. Each of its provider calls takes up to 0.2 s."""
SWEEP_REQUESTS_SECONDS = 3.0
"""Longest time between the two writes of a sweep whose message is refused."""
REPORT_SECONDS = 60.0 + 15.0
"""Longest time between two reports of the outbox, which follow sweeps."""
SETTLING_SECONDS = 3.0 + 5.0 + 2.0
"""Time to release messages, to flush sends, and to end a poll, after the drain time."""
OUTCOMES = ("acknowledged", "deferred", "retried", "dead_lettered")
CALLS_OF: Mapping[str | None, tuple[str, ...]] = {
    None: (),
    Token.WORKS: ("create", "confirm"),
    Token.DECLINED: ("create", "confirm", "cancel"),
}
WRITES_OF: Mapping[str | None, int] = {None: 2, Token.WORKS: 4, Token.DECLINED: 5}
"""Writes of an order from its placement to its end, by payment token."""


def readings() -> Counter[str]:
    """Return the counters of the services, by name and labels."""
    found: Counter[str] = Counter()
    for metrics in (api_metrics(), processor_metrics()):
        for family in metrics.registry.collect():
            if family.type == "counter" and family.name.startswith("order_"):
                for sample in family.samples:
                    found["/".join((sample.name, *sample.labels.values()))] += int(sample.value)
    return found


def count_faults(rest: Rest, counted: Counter[str]) -> Iterator[str]:
    """Return what was done too often, too late or not counted. `counted` is what the counters have gained."""
    orders = list(rest.world.store.orders.values())
    yield from _metric_faults(rest, counted, orders)
    yield from _crash_faults(rest)
    yield from _drain_faults(rest)
    yield from _queue_faults(rest, counted)
    yield from _report_faults(rest)
    if rest.plan.is_sound:
        yield from _sound_faults(rest)
    if rest.plan.theme is Theme.QUIET:
        yield from _quiet_faults(rest, orders)


def _metric_faults(rest: Rest, counted: Counter[str], orders: list[Order]) -> Iterator[str]:
    """Compare the counters on which alarms and service levels are based with what happened."""
    lines = rest.book.lines
    parked = Counter(order_id for order_id, life in rest.watch.lives.items() for _ in _parkings(life))
    wanted = {
        "order_payment_failures_total": lines["payment_call_failed"],
        "order_sweeps_total": lines["order_swept"],
        "order_publish_failures_total": lines["publish_failed"],
        "order_messages_total/dead_lettered": lines["message_dead_lettered"],
    }
    if rest.plan.is_sound:
        wanted |= {
            "order_accepted_total": len(orders),
            "order_ended_total": sum(not order.is_open for order in orders) + _ended_twice(rest),
            "order_parked lines": parked.total(),
            **{f"order_messages_total/{outcome}": rest.settling.outcomes[outcome] for outcome in OUTCOMES},
        }
    gained = Counter({"order_parked lines": rest.book.parked.total()})
    for name, count in counted.items():
        gained[name] += count
        if "/" in name:
            gained[name.partition("/")[0]] += count
    by_operators = len(rest.rejected)
    for name, count in wanted.items():
        if not count - by_operators * (name == "order_ended_total") <= gained[name] <= count:
            yield f"{name} counts {gained[name]} of {count}"


def _crash_faults(rest: Rest) -> Iterator[str]:
    """Check that each handling that crashes at the provider is logged as crashed, whatever else fails meanwhile."""
    rates, kinds = rest.plan.rates.keys(), {event.kind for event in rest.plan.events}
    if kinds & {EventKind.KILL_PROCESSOR, EventKind.STOP_PROCESSOR} or not rates.isdisjoint(CRASHES):
        return
    if rates and Border.PROVIDER in rest.plan.borders:
        return  # a machine that got no answer does not know of the crash
    crashed, logged = rest.world.provider.crashes.total(), rest.book.lines["handler_crashed"]
    if crashed != logged:
        yield f"{crashed} handlings crashed, and {logged} are logged"


def _parkings(life: list[tuple[float, dict[str, object]]]) -> Iterator[object]:
    before: object = None
    for _, item in life:
        parked = item.get("parked")
        if parked is not None and parked != before:
            yield parked
        before = parked


def _ended_twice(rest: Rest) -> int:
    """Return how many orders were confirmed and then cancelled: each is counted at both ends."""
    return sum(
        life[-1][1]["status"] == "cancelled" and any(item["status"] == "confirmed" for _, item in life)
        for life in rest.watch.lives.values()
    )


def _drain_faults(rest: Rest) -> Iterator[str]:
    ended = {drain.host for drain in rest.happenings.drains}
    limit = rest.world.processor_settings.drain_seconds + SETTLING_SECONDS + rest.plan.frozen_seconds
    for host, stopped in rest.happenings.stopped.items():
        if host not in ended and rest.world.loop.time() - stopped > limit:
            yield f"{host} was told to stop, and did not end"
        if rest.world.queue.polled_at.get(host, 0.0) >= stopped:
            yield f"{host} polled after it was told to stop"
    queue_fails = any(event.kind is EventKind.QUEUE_DOWN for event in rest.plan.events) or rest.plan.rates
    for drain in rest.happenings.drains:
        if drain.seconds > limit:
            yield f"{drain.host} took {drain.seconds:.1f} s to end"
        if not queue_fails:
            if drain.kept:
                yield f"{drain.host} ended and kept the messages of {drain.kept}"
            if drain.unsent:
                yield f"{drain.host} ended and did not send the messages of {drain.unsent}"


def _queue_faults(rest: Rest, counted: Counter[str]) -> Iterator[str]:
    """Check what machines made of the queue's answers."""
    queue, lines = rest.world.queue, rest.book.lines
    yield from (f"the queue was asked for a {request}" for request in sorted(queue.broken_limits))
    gone = sum(counted[f"order_messages_total/{outcome}"] for outcome in ("acknowledged", "deferred"))
    if gone > queue.answered_deletes:
        yield f"{gone} messages count as deleted, of {queue.answered_deletes}"
    failed, given_up = counted["order_messages_total/delete_failed"], lines["delete_failed"]
    if not given_up - lines["message_dead_lettered"] <= failed <= given_up:
        yield f"{failed} messages count as not deleted, of {given_up}"
    polls = rest.plan.processors * (10 + rest.plan.storm_seconds)
    if rest.plan.theme is Theme.LOST_MESSAGES and lines["receive_failed"] > polls:
        yield f"{lines['receive_failed']} polls failed, although they should wait longer and longer"
    for message_id in rest.book.undeleted:
        if queue.failed_deletes[message_id] < DELETE_ATTEMPTS:
            yield f"{message_id} was not deleted, although {queue.failed_deletes[message_id]} requests failed"
    yield from _send_faults(rest, counted)


def _send_faults(rest: Rest, counted: Counter[str]) -> Iterator[str]:
    queue, lines = rest.world.queue, rest.book.lines
    kinds = {event.kind for event in rest.plan.events}
    if not kinds & {EventKind.KILL_API, EventKind.KILL_PROCESSOR, EventKind.STOP_API}:
        failed = {host: count for host, count in queue.failed_sends.items() if host.startswith(("api", "processor"))}
        # A processor that ends cancels its sweep, and with it the wait for the result of a send.
        unnoticed = sum(count for host, count in failed.items() if host in rest.happenings.stopped)
        if not sum(failed.values()) - unnoticed <= lines["publish_failed"] <= sum(failed.values()):
            yield f"{lines['publish_failed']} sends count as failed, of {sum(failed.values())}"
    deferred = counted["order_messages_total/deferred"] + counted["order_messages_total/delete_failed"]
    if rest.plan.theme is Theme.CONTENDED and deferred < lines["message_deferred"]:
        yield f"{deferred} messages count as deferred, of {lines['message_deferred']}"
    if rest.plan.theme is Theme.LOST_MESSAGES:
        for order_id, life in rest.watch.lives.items():
            last = max((item.get("sweeps", 0) for _, item in life[-2:]), default=0)
            if last > rest.settling.resent_of[order_id] and not was_taken_in_a_sweep(life, last):
                yield f"{order_id} counts {last} sweeps, of {rest.settling.resent_of[order_id]}"


def was_taken_in_a_sweep(life: Sequence[tuple[float, Item]], sweeps: int) -> bool:
    """Return whether the order was rescheduled after the last sweep counted it, and before that sweep could uncount it.

    An earlier sweep may have counted as many, and uncounted them.
    """
    counted = [
        (at, item["due_at"])
        for (_, before), (at, item) in pairwise(life)
        if before.get("sweeps", 0) < item.get("sweeps", 0) == sweeps
    ]
    if not counted:
        return False
    since, due_at = counted[-1]
    return any(since < at < since + SWEEP_REQUESTS_SECONDS and item.get("due_at") != due_at for at, item in life)


def _report_faults(rest: Rest) -> Iterator[str]:
    """Check that each processor reports its outbox about once a minute."""
    if not rest.plan.is_sound:
        return
    for machine in rest.world.fleet.processors:
        reports = [0.0, *rest.book.reports.get(machine.host.name, []), rest.world.loop.time()]
        longest = max(later - earlier for earlier, later in pairwise(reports))
        if longest > REPORT_SECONDS:
            yield f"{machine.host.name} did not report its outbox for {longest:.0f} s"


def _sound_faults(rest: Rest) -> Iterator[str]:
    """Check what holds where queue, tables and machines work: no message is added, and no failure is counted twice."""
    added = rest.settling.resent_scheduled
    if rest.book.lines["lease_lost"]:
        yield f"{rest.book.lines['lease_lost']} messages were lost while they were handled"
    if Fault.DUPLICATE not in rest.plan.rates and added:
        yield f"{added} messages were added for orders that had one"
    if Fault.DUPLICATE in rest.plan.rates:
        return  # of two failures at a time, one may be counted
    for order_id in rest.world.provider.tried_again if Fault.LATE not in rest.plan.rates else ():
        yield f"{order_id}: a payment was confirmed again after it had ended"
    crashes = rest.world.provider.crashes
    for order_id, life in rest.watch.lives.items():
        counted = sum(
            after.get("attempts", 0) > before.get("attempts", 0) for (_, before), (_, after) in pairwise(life)
        )
        if counted != crashes[order_id]:
            yield f"{order_id}: {counted} failed attempts counted of {crashes[order_id]}"


def _quiet_faults(rest: Rest, orders: list[Order]) -> Iterator[str]:
    """Compare a run without faults with what it needs: one message, read and call for each purpose, and no wait."""
    totals = rest.world.history.totals
    plans = {plan.customer: plan for plan in rest.plan.orders}
    messages = len(orders) + sum(order.cancel_requested_at is not None for order in orders)
    for what in (What.SENT, What.DELIVERED, What.DELETED):
        if totals[what] != messages:
            yield f"{totals[what]} messages were {what}, of {messages}"
    for what in (What.RESENT, What.HIDDEN, What.DEAD_LETTER):
        if totals[what]:
            yield f"{totals[what]} messages were {what}"
    for order in orders:
        yield from _quiet_order_faults(rest, order, plans[order.customer.id])
    if not any(plan.cancels_after is not None for plan in plans.values()):
        reads = sum(order.payment.id is not None for order in orders)
        read = rest.world.dynamo.calls_of("GetItem", "processor")
        if read != reads:
            yield f"{read} orders were read, of {reads} with a payment"


def _quiet_order_faults(rest: Rest, order: Order, plan: OrderPlan) -> Iterator[str]:
    if plan.cancels_after is not None:
        return
    life = rest.watch.lives[order.order_id]
    if len(life) != WRITES_OF[plan.token]:
        yield f"{order.order_id} was written {len(life)} times, of {WRITES_OF[plan.token]}"
    if life[-1][0] - life[0][0] > QUIET_SECONDS:
        yield f"{order.order_id} took {life[-1][0] - life[0][0]:.1f} s"
    calls = tuple(rest.world.provider.calls_of[order.order_id])
    if calls != CALLS_OF[plan.token]:
        yield f"{order.order_id} needed the calls {calls}, not {CALLS_OF[plan.token]}"
    wanted = OrderStatus.REJECTED if plan.token == Token.DECLINED else OrderStatus.CONFIRMED
    if order.status is not wanted:
        yield f"{order.order_id} is {order.status}, not {wanted}"
