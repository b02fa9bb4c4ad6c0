"""Webhook endpoints in a run: receivers that fail until it is calm, and what must have arrived at the end."""

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from random import Random
from typing import Any

from aiodynamo.utils import dy2py

from order_shared.aws.encoding import attributes
from order_shared.domain.clock import Clock
from order_shared.domain.order.events import OrderEvent
from order_shared.domain.order.positions import Position
from order_shared.domain.webhook.attempt import Attempt, AttemptError
from order_shared.domain.webhook.health import Health
from order_shared.domain.webhook.models import MAX_WAITING, Endpoint, SealedSecret, new_endpoint_id
from order_shared.domain.webhook.secret_box import FernetBox
from order_shared.domain.webhook.signing import new_secret
from order_shared.storage.event_log.read import BEFORE_LOG
from order_shared.storage.webhooks.items import IDLE, directory_key, endpoint_item
from order_shared.tables import WEBHOOKS
from tests.arrivals import arrival_faults
from tests.fakes import TABLES, MemoryStore
from tests.memory_dynamo import Change
from tests.simulation.clock import START
from tests.simulation.customers import TENANT

KEY = base64.urlsafe_b64encode(b"a key of Fernet for simulations!").decode()
SHARE = 0.4
"""Share of the runs with a log that have endpoints."""
TIMEOUT_SECONDS = 20.0
TRAVEL_SECONDS = 0.05


class Habit(StrEnum):
    STEADY = "steady"
    ERRORS = "errors"
    """Refuses half of the events."""
    DEAD = "dead"
    """Refuses every event."""
    HANGS = "hangs"
    """Does not answer one request in four, of which it has taken half."""


class Receiver:
    def __init__(self, habit: Habit, dice: Random) -> None:
        self.habit = habit
        self.accepted: list[str] = []
        self.is_bad = True
        self._dice = dice

    async def take(self, event_id: str) -> int | AttemptError:
        """Return the status of the response, or the reason why there is none."""
        await asyncio.sleep(TRAVEL_SECONDS * self._dice.random())
        is_taken, answer = True, 200
        if self.is_bad:
            match self.habit:
                case Habit.ERRORS if self._dice.random() < 0.5:
                    is_taken, answer = False, 500
                case Habit.DEAD:
                    is_taken, answer = False, 503
                case Habit.HANGS if self._dice.random() < 0.25:
                    if self._dice.random() < 0.5:
                        self.accepted.append(event_id)
                    await asyncio.sleep(TIMEOUT_SECONDS)
                    return AttemptError.TIMED_OUT
        if is_taken:
            self.accepted.append(event_id)
        await asyncio.sleep(TRAVEL_SECONDS * self._dice.random())
        return answer


class Sender:
    """Sender of one machine."""

    def __init__(self, receivers: Mapping[str, Receiver], clock: Clock) -> None:
        self._receivers = receivers
        self._clock = clock

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        at = self._clock()
        assert json.loads(body)["id"] == headers["webhook-id"]
        answer = await self._receivers[url].take(headers["webhook-id"])
        status, error = (None, answer) if isinstance(answer, AttemptError) else (answer, None)
        return Attempt(at=at, status=status, error=error, milliseconds=1, response="")


class WebhookLife:
    """Endpoints of the shop, one for each habit."""

    def __init__(self, store: MemoryStore, seed: str) -> None:
        self._store = store
        self.receivers = {f"https://{habit}.example": Receiver(habit, Random(f"{seed}/{habit}")) for habit in Habit}  # noqa: S311 - reproducible

    def begin(self) -> None:
        """Store the endpoints."""
        box = FernetBox([KEY])
        secret = box.seal(new_secret())
        ids = []
        for url in self.receivers:
            endpoint = Endpoint(
                tenant=TENANT,
                endpoint_id=new_endpoint_id(),
                url=url,
                types=frozenset(),
                description="",
                secrets=(SealedSecret(sealed=secret),),
                position=Position(epoch=BEFORE_LOG, sequence=1),
                created_at=START,
                updated_at=START,
                health=Health().activated(),
            )
            ids.append(endpoint.endpoint_id)
            self._store.tables.put(TABLES.webhooks, attributes(endpoint_item(endpoint, IDLE)))
        self._store.tables.put(TABLES.webhooks, attributes({**directory_key(TENANT), "ids": ids, "revision": 1}))

    def sender(self, clock: Clock) -> Sender:
        return Sender(self.receivers, clock)

    def heal(self) -> None:
        for receiver in self.receivers.values():
            receiver.is_bad = False

    def check(self, changes: Sequence[Change]) -> Iterator[str]:
        """Return what is wrong with a write of an endpoint."""
        for key, before, after in changes:
            if key.table != WEBHOOKS.name or before is None or after is None or "url" not in after:
                continue
            old, new = dy2py(before, int), dy2py(after, int)
            if new["epoch"] == old["epoch"] and new["position"] < old["position"]:
                yield f"the position of an endpoint went back from {old['position']} to {new['position']}"
            if new["fence"] < old["fence"] or not 0 <= new["waiting"] <= MAX_WAITING:
                yield f"an endpoint has the fence {new['fence']}, and {new['waiting']} deliveries wait"

    def is_at_rest(self, end: int) -> bool:
        return all(item["position"] == end and item["waiting"] == 0 for item in self._endpoints())

    def faults(self, events: Sequence[OrderEvent], *, is_quiet: bool) -> Iterator[str]:
        """Return what does not hold at rest. `events` is the log."""
        rows = sum(key.range != "0" and "-" not in key.range for key, _ in self._items())
        if rows != sum(item["waiting"] for item in self._endpoints()):
            yield f"{rows} deliveries are stored as waiting"
        for receiver in self.receivers.values():
            yield from arrival_faults(str(receiver.habit), receiver.accepted, events)
            if is_quiet and len(receiver.accepted) != len(set(receiver.accepted)):
                yield f"{receiver.habit}: an event came twice, and nothing had failed"

    def _items(self) -> Iterator[tuple[Any, Any]]:
        return ((key, item) for key, item in self._store.tables.of_table(WEBHOOKS.name) if "/" in key.hash)

    def _endpoints(self) -> list[dict[str, Any]]:
        return [dy2py(item, int) for _, item in self._items() if "url" in item]
