"""Rules of a single write of an order: parking, sweeps, leases, due times, payments, and why an order is rejected."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

from order_processor import schedule
from order_processor.payments.gateway import PaymentStatus
from order_processor.payments.stripe_gateway import idempotency_key
from order_processor.schedule import JITTER, SweepSchedule
from order_shared.domain.clock import from_text, to_millis
from order_shared.domain.order.models import LEASE_GRACE_MS, MAX_ATTEMPTS
from order_shared.domain.order.payments import PaymentCall
from order_shared.storage.inventory import product_key
from order_shared.storage.order_items import to_order
from tests.simulation.clock import START
from tests.simulation.invariants import Item, Watch
from tests.simulation.plans import Plan
from tests.simulation.world import World

OPERATOR = "operator"
KEPT_WHILE_PARKED = ("due_at", "sweeps", "lease_owner", "lease_until", "attempts", "parked", "payment_id", "undo")
OWNED = ("status", "payment_id", "undo")
MARGIN_MS = 1000


class Rules:
    def __init__(self, world: World, plan: Plan, watch: Watch) -> None:
        self._world = world
        self._provider = world.provider
        self._plan = plan
        self._watch = watch
        settings = world.processor_settings
        sweeps = SweepSchedule(timedelta(seconds=settings.sweep_base_seconds))
        self._overdue = next(number for number in count() if sweeps.is_overdue(number))
        longest = max(
            schedule.CAP.total_seconds() * (1 + JITTER),
            settings.lease_seconds + LEASE_GRACE_MS / 1000,
            settings.retry_cap_seconds + 5.0,
            15.0,
        )
        self._longest_ms = 1000 * (longest + (max(map(abs, plan.skews)) if any(plan.skews) else 0.0)) + MARGIN_MS
        self._lease_hosts: dict[str, str] = {}
        """Machine of each owner of a lease."""

    def __call__(self, before: Item, after: Item, by: str) -> Iterator[str]:
        """Return what is wrong with a write of an order by a machine."""
        now = to_millis(self._world.fleet.clock_of(by)())
        yield from self._parking_faults(before, after, by)
        yield from self._lease_faults(before, after, by, now)
        yield from self._owner_faults(before, after)
        yield from self._payment_faults(before, after)
        if after.get("sweeps", 0) > min(before.get("sweeps", 0) + 1, self._overdue + 1):
            yield f"{before.get('sweeps', 0)} sweeps became {after['sweeps']}"
        if "due_at" in after and "parked" not in after and after["due_at"] - now > self._longest_ms:
            yield f"is due in {(after['due_at'] - now) / 1000:.0f} s"
        if after["status"] == "rejected" != before["status"]:
            yield from self._rejection_faults(after, by)

    def _parking_faults(self, before: Item, after: Item, by: str) -> Iterator[str]:
        attempts, were = after.get("attempts", 0), before.get("attempts", 0)
        if self._plan.is_sound and attempts not in {were, were + 1, 0}:
            yield f"{were} failed attempts became {attempts}"
        if "parked" in before:
            if "parked" in after:
                changed = [name for name in KEPT_WHILE_PARKED if before.get(name) != after.get(name)]
                if changed or before["status"] != after["status"]:
                    yield f"changed while parked: {changed}"
            elif by != OPERATOR and "cancel_requested_at" not in after and after["status"] != "cancelled":
                yield f"went on from {before['parked']} without an operator"
        if attempts >= MAX_ATTEMPTS and attempts > were and "parked" not in after:
            yield f"goes on after {attempts} failed attempts"
        if "parked" in after and "parked" not in before:
            reason = after["parked"]["reason"]
            if not self._is_reason(reason, before, after):
                yield f"was parked for {reason}, which is not so"

    def _is_reason(self, reason: str, before: Item, after: Item) -> bool:
        """Return whether an order is parked for a reason that holds."""
        match reason:
            case "unexpected_errors":
                attempts: int = after.get("attempts", 0)
                return attempts >= MAX_ATTEMPTS and attempts == before.get("attempts", 0) + 1
            case "overdue":
                return bool(before.get("sweeps", 0) > self._overdue)
            case _:
                return "cancel_requested_at" not in after and "payment_id" in after and self._was_paid_wrongly(after)

    def _was_paid_wrongly(self, item: Item) -> bool:
        payment = self._provider.payments[item["payment_id"]]
        return payment.status is PaymentStatus.SUCCEEDED and payment.amount != to_order(item).total

    def _lease_faults(self, before: Item, after: Item, by: str, now: int) -> Iterator[str]:
        owner, until = before.get("lease_owner"), before.get("lease_until", 0)
        new_owner = after.get("lease_owner")
        if new_owner is not None and new_owner != owner:
            self._lease_hosts[new_owner] = by
        if owner is None or until < now or not by.startswith("processor") or "parked" in before:
            return
        delivery = self._world.fleet.delivery_at_work()
        if new_owner is not None and new_owner != owner:
            yield f"was taken over {(until - now) / 1000:.1f} s before the end of its lease"
        elif after.get("lease_until") == 0 and (
            self._lease_hosts.get(owner) != by or (delivery is not None and delivery.attempt_id != owner)
        ):
            yield f"lost its lease to an attempt that did not have it, at {by}"

    def _owner_faults(self, before: Item, after: Item) -> Iterator[str]:
        """Check that only the owner of an order with reserved stock changes its status, its payment or its undo."""
        delivery = self._world.fleet.delivery_at_work()
        if delivery is None or before["status"] == "pending" or before.get("lease_owner") == delivery.attempt_id:
            return
        changed = [name for name in OWNED if before.get(name) != after.get(name)]
        if changed:
            yield f"{changed} changed by an attempt that is not its owner"

    def _payment_faults(self, before: Item, after: Item) -> Iterator[str]:
        payment_id, was = after.get("payment_id"), before.get("payment_id")
        if payment_id is not None and payment_id != was:
            if was is not None:
                yield f"payment {was} was replaced by {payment_id}"
            if self._provider.payments[payment_id].order_id != after["order_id"]:
                yield f"has the payment {payment_id} of another order"
        is_replaced = before.get("undo", {}).get("kind") == "replace" and payment_id is None
        if is_replaced and "cancel_requested_at" in before:
            yield "got a new payment, although its cancellation was requested"
        forgotten = was if payment_id is None else None
        if forgotten is not None and self._provider.payments[forgotten].status is not PaymentStatus.CANCELLED:
            yield f"forgot the payment {was}, which is not cancelled"
        if "undo" in before and "undo" not in after and "open_shard" in after and payment_id is not None:
            yield "forgot its decision to undo"
        yield from self._attempt_faults(before, after, is_replaced=forgotten is not None)

    def _attempt_faults(self, before: Item, after: Item, *, is_replaced: bool) -> Iterator[str]:
        raised = after.get("payment_attempts", {})
        were = before.get("payment_attempts", {})
        for call in PaymentCall:
            number, was = raised.get(str(call), 0), were.get(str(call), 0)
            if number == was:
                continue
            if number != was + 1:
                yield f"attempt {was} at {call} became {number}"
            elif not (is_replaced and call is PaymentCall.CREATE) and self._key(before, call) not in self._spent:
                yield f"has a new key for {call}, although the old one is not spent"

    @property
    def _spent(self) -> dict[str, object]:
        return dict(self._provider.failures)

    def _key(self, item: Item, call: PaymentCall) -> str:
        return idempotency_key(to_order(item).charge, call)

    def _rejection_faults(self, after: Item, by: str) -> Iterator[str]:
        reason = after.get("reason", {})
        match reason.get("code"):
            case "out_of_stock":
                line = next(line for line in after["lines"] if line["sku"] == reason["sku"])
                tenant = after["customer_key"].partition("#")[0]
                since = (from_text(after["created_at"]) - START).total_seconds() - max(map(abs, self._plan.skews)) - 1
                least = self._watch.least(product_key(tenant, reason["sku"]), since)
                if least >= line["quantity"]:
                    yield f"rejected for {line['quantity']} {reason['sku']}, of which there were never below {least}"
            case "payment_declined":
                payments = [each for each in self._provider.payments.values() if each.order_id == after["order_id"]]
                if not any(payment.declined for payment in payments):
                    yield "rejected for a payment that nobody declined"
            case "rejected_by_operator":
                if by != OPERATOR:
                    yield f"rejected in the name of an operator by {by}"
            case other:
                yield f"rejected for {other}"
