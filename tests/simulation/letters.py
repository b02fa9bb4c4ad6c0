"""Messages that no release can process. Each must end in the dead-letter queue, with its reason."""

from collections.abc import Callable, Iterator

from order_shared.domain.order.messages import CancellationRequested, ProcessingRequested
from order_shared.domain.order.models import Customer, Order
from order_shared.messaging.queue import OutgoingMessage
from tests.factories import NOON, make_order
from tests.simulation.customers import TENANT
from tests.simulation.queue import StandardQueue

STRANGER = Customer(tenant=TENANT, id="nobody")


def _absent() -> Order:
    """Return an order that was never stored."""
    return make_order(at=NOON, customer=STRANGER, payment_token="pm_card_visa")


def _changed(old: str, new: str) -> str:
    return ProcessingRequested.of(make_order(at=NOON, customer=STRANGER)).to_json().replace(old, new)


LETTERS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("not_an_event", lambda: "{"),
    ("unknown_type", lambda: _changed("order.processing_requested.v1", "order.processing_requested.v9")),
    ("order_not_found", lambda: ProcessingRequested.of(_absent()).to_json()),
    ("order_not_found", lambda: _changed("", "")),
    ("order_not_found", lambda: CancellationRequested.of(_absent()).to_json()),
    ("invalid_event", lambda: _changed("ord_", "order-")),
)
"""Reason and body of each kind."""


class Letters:
    def __init__(self, queue: StandardQueue) -> None:
        self._queue = queue
        self._sent: list[tuple[str, str]] = []

    def send(self, which: int) -> None:
        reason, make = LETTERS[which % len(LETTERS)]
        body = make()
        self._sent.append((reason, body))
        self._queue.put(OutgoingMessage(body), by="stranger", sweeps=False, is_order=False)

    def faults(self, *, once: bool, in_outage: bool) -> Iterator[str]:
        """Return what is wrong with the dead letters. `once`: the queue loses no response, so each is there once.

        `in_outage`: the tables were down for a time. The message of an order that never existed may then be deleted
        after its last delivery, because a processor that cannot read the order takes it to be in the outbox.
        """
        left = list(self._queue.dead_letters)
        for reason, body in self._sent:
            found = [each for each in left if each.body == body and each.attributes.get("reason") == reason]
            if not found and not (in_outage and reason == "order_not_found"):
                yield f"a message that is {reason} is not among the dead letters"
            elif found and once and len(found) != sum(body == other for _, other in self._sent):
                yield f"a message that is {reason} is {len(found)} times among the dead letters"
            if any(
                each.attributes.get("detail", "-") == "-" or not each.attributes["detail"].isascii() for each in found
            ):
                yield f"a dead letter that is {reason} has no detail that SQS takes"
        bodies = {body for _, body in self._sent}
        for letter in left:
            if letter.body not in bodies:
                yield f"a message of an order is among the dead letters: {dict(letter.attributes)}"
