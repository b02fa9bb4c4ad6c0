"""Calls of the payment provider, along the transition table."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tests.model.evaluation import effects_of, may_happen, state_of
from tests.model.history import Call, Refused
from tests.model.knowledge import CREATED, KnownOrder
from tests.model.steps import TABLE
from tests.model.table import CONSTANTS, SPOILED, Step

CALLS: Mapping[str, list[Step]] = {
    call: [TABLE[name] for name in [*names.split(), "provider_away"]]
    for call, names in {
        "create": "create_again create create_replayed create_mismatched create_spoiled create_declined",
        "retrieve": "retrieve",
        "confirm": "confirm_payment confirm_ended confirm_replayed confirm_declined confirm_spoiled confirm_unanswered",
        "cancel": "cancel_payment cancel_ended cancel_replayed cancel_spoiled",
        "refund": "refund refund_replayed refund_spoiled",
    }.items()
}
RESULTS: Mapping[tuple[str, str], frozenset[int]] = {
    (call, outcome): frozenset(CONSTANTS[name] for name in names.split())
    for call, outcomes in {
        "create": {"declined": "DECLINED", "spent": "SPENT_CREATE", "unavailable": "UNAVAILABLE"},
        "retrieve": {"open": "NOTHING DECLINED DIFFERS", "succeeded": "PAID DIFFERS_PAID", "cancelled": "GONE",
                     "unavailable": "UNAVAILABLE"},
        "confirm": {"succeeded": "PAID", "cancelled": "GONE", "declined": "DECLINED", "spent": "SPENT_CONFIRM",
                    "unavailable": "UNAVAILABLE"},
        "cancel": {"cancelled": "GONE", "succeeded": "PAID DIFFERS_PAID", "spent": "SPENT_UNDO",
                   "unavailable": "UNAVAILABLE"},
        "refund": {"refunded": "GONE", "spent": "SPENT_UNDO", "unavailable": "UNAVAILABLE"},
    }.items()
    for outcome, names in outcomes.items()
}  # fmt: skip
"""Results of the table's steps by call and outcome."""


class ProviderCalls:
    """Walk of the calls. `taken` counts the steps, also the hidden ones that a result shows."""

    def __init__(self, constants: Mapping[str, int], taken: Counter[str]) -> None:
        self._constants = constants
        self._taken = taken

    def take(self, call: Call, order: KnownOrder) -> None:
        """Take the step that explains the call. Raises Refused if no step does."""
        if order.stored is None:
            raise Refused(f"a payment of an order that was never stored: {call}")
        step = next((step for step in CALLS[call.call] if self._makes(step, call, order)), None)
        if step is None:
            raise Refused(f"no step explains {call} of {order.versions[-1:]}, the provider has {order.provider}")
        self._taken[step.name] += 1

    def _makes(self, step: Step, call: Call, order: KnownOrder) -> bool:
        """Take the step if it explains the call."""
        payment = order.number(call.payment) if call.payment else 0
        undo = call.attempts.get("cancel", 0) + call.attempts.get("refund", 0)
        for version in reversed(order.versions):
            me = version["owner"]
            sent = (version["payment"], version["n_create"], version["n_confirm"], version["n_undo"])
            if order.hosts.get(me) != call.by or sent != (
                payment, call.attempts.get("create", 0), call.attempts.get("confirm", 0), undo,
            ):  # fmt: skip
                continue
            for created, result in order.memories(call.by, payment):
                for looked in (0, 1):
                    known = {"result": result, "created": created, "looked": looked, "receives": 0}
                    my = {**version, "paid": order.paid, **known}
                    if self._performs(step, call, order, my, me):
                        return True
        return False

    def _performs(self, step: Step, call: Call, order: KnownOrder, my: dict[str, Any], me: Any) -> bool:
        state = state_of(self._constants, order, my, me)
        state["p"] = provider = order.copy_of_provider()
        if step.name == "provider_away":
            provider.away = 1
        hidden = self._observe(call, state)
        if not may_happen(step.name, state):
            return False
        exec(effects_of(step.name), state)  # noqa: S102 - the table's own effects
        result = state["my"].result
        expected = RESULTS.get((call.call, call.result), frozenset())
        if call.call == "create" and call.created is not None:
            number = order.number(call.created)
            if state["my"].created != number:
                return False
            order.results[call.by].add((number, CREATED))
        elif result not in expected:
            return False
        else:
            order.results[call.by].add((my["payment"], result))
        provider.away = 0
        order.provider = provider
        self._taken.update(hidden)
        return True

    def _observe(self, call: Call, state: dict[str, Any]) -> list[str]:
        """Take the hidden steps of the provider that the result shows, and return those that are observable.

        An intent may have been changed by hand. A request to confirm that had no response may have taken effect.
        """
        provider, payment, attempt = state["p"], state["my"].payment, state["my"].n_create
        if call.call == "create" and call.result == "spent" and provider.by_key[attempt] not in (0, SPOILED):
            provider.differs[provider.by_key[attempt]] = 1
        if call.result == "cancelled" and call.call in {"retrieve", "confirm"} and provider.state[payment] == 1:
            provider.state[payment] = 3
        if call.call == "retrieve" and call.result != "unavailable" and payment:
            provider.differs[payment] = int(not call.matches)
        if call.result == "succeeded" and call.call in {"retrieve", "cancel"} and may_happen("confirm_late", state):
            exec(effects_of("confirm_late"), state)  # noqa: S102 - the table's own effects
            return ["confirm_late"]
        return []
