"""Proves that every event reaches every webhook endpoint, in order for each order, and exits with 1 if not.

Customers place, pay and cancel orders, while APIs, processors and notifiers are killed before and after each kind of
request that they make. Receivers answer 500, hang, redirect, answer without an end, vanish and come back. Once all is
quiet, what each receiver has accepted is held against the log of events.
"""

import argparse
import base64
import secrets
import shutil
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import uvloop

from devstack.stack import running_infrastructure
from order_shared.domain.clock import utc_now
from order_shared.domain.order.events import OrderEvent
from order_shared.domain.webhook.health import EndpointState, Health
from order_shared.domain.webhook.models import MAX_WAITING, Endpoint, SealedSecret, new_endpoint_id
from order_shared.domain.webhook.secret_box import FernetBox
from order_shared.domain.webhook.signing import new_secret
from order_shared.storage.event_log.read import ALL_EVENTS
from tests.chaos.events import PROCESSES, Outcome, report, run_events
from tests.chaos.receivers import Habit, Receiver, open_receivers
from tests.chaos.world import World, open_world
from tests.waiting import eventually

STATE = Path(".local/chaos-webhooks")
CROWD_SECONDS = 900.0
"""Time in which each kind of request must have been met by a kill. Deliveries slow the embedded AWS down."""
ARRIVAL_SECONDS = 400.0
"""Patience after the receivers have healed. Back-off may have grown to minutes."""


class Endpoints:
    """Endpoints of the shop, and their receivers."""

    def __init__(self, world: World, receivers: Sequence[Receiver], secret: str, box: FernetBox) -> None:
        self._world = world
        self._repository = world.books.endpoints
        self._receivers = receivers
        self._secret = box.seal(secret)
        self._created: list[Endpoint] = []
        self.duplicates = 0

    async def open(self, tenant: str) -> None:
        now = utc_now()
        position = await self._world.books.event_reader.latest(tenant)
        for receiver in self._receivers:
            endpoint = Endpoint(
                tenant=tenant,
                endpoint_id=new_endpoint_id(),
                url=receiver.url,
                types=frozenset(),
                description=str(receiver.habit),
                secrets=(SealedSecret(sealed=self._secret),),
                position=position,
                created_at=now,
                updated_at=now,
                health=Health().activated(),
            )
            await self._repository.create(endpoint)
            self._created.append(endpoint)

    async def faults(self, events: Sequence[OrderEvent]) -> list[str]:
        faults = await self._waiting_faults()
        for receiver in self._receivers:
            await receiver.heal()
        await self._look_at_once()
        log = list(events)

        async def has_arrived() -> bool:
            """Compare with the log as it is now: on a slow machine orders may still change."""
            log[:] = await self._log()
            return all({event.id for event in log} <= set(receiver.accepted) for receiver in self._receivers)

        with suppress(AssertionError):  # the comparison tells what is missing
            await eventually(has_arrived, "the events", patience=ARRIVAL_SECONDS, pause=1.0)
        for receiver in self._receivers:
            faults += receiver.judge(log)
            self.duplicates += len(receiver.accepted) - len(set(receiver.accepted))
        return faults

    async def _log(self) -> list[OrderEvent]:
        reader, tenant = self._world.books.event_reader, self._created[0].tenant
        position, found, more = await reader.earliest(tenant), list[OrderEvent](), True
        while more:
            part = await reader.read(tenant, position, limit=1000, matching=ALL_EVENTS)
            found += [each.event for each in part.events]
            position, more = part.next, part.more
        return found

    async def _waiting_faults(self) -> list[str]:
        stored = [await self._repository.get(each.tenant, each.endpoint_id) for each in self._created]
        return [
            f"{each.waiting} deliveries wait for {each.description}" for each in stored if each.waiting > MAX_WAITING
        ]

    async def _look_at_once(self) -> None:
        """Let what waits be attempted now, as the owner of a healed receiver may."""
        for each in self._created:
            for delivery in await self._world.books.endpoint_leases.waiting(each.tenant, each.endpoint_id):
                if delivery.due_at is not None:
                    await self._repository.redeliver(each.tenant, each.endpoint_id, delivery)
            stored = await self._repository.get(each.tenant, each.endpoint_id)
            if stored.state is EndpointState.FAILING:
                await self._repository.change(replace(stored, health=stored.health.activated()))


def settings_of(keys: str) -> dict[str, str]:
    return {
        "ORDER_WEBHOOK_KEYS": keys,
        "ORDER_WEBHOOK_LOCAL_RECEIVERS": "true",
        "ORDER_WEBHOOK_LEASE_SECONDS": "6",
        "ORDER_WEBHOOK_CHECK_SECONDS": "3",
    }


async def run_webhooks(
    world: World, seed: str, customers: int, *, box: FernetBox, habits: Collection[Habit], seconds: float
) -> Outcome:
    secret = new_secret()
    async with open_receivers(habits, secret, seed) as receivers:
        audience = Endpoints(world, receivers, secret, box)
        return await run_events(world, seed, customers, seconds=seconds, audience=audience)


def new_keys() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def main() -> int:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.webhooks", description=summary, epilog=rest)
    parser.add_argument("--orders", metavar="N", type=int, default=2000, help="customers, each with an order (2000)")
    parser.add_argument("--seed", default="seed 1", help="name of the run, from which all else follows")
    options = parser.parse_args()
    shutil.rmtree(STATE, ignore_errors=True)
    keys = new_keys()

    async def run() -> Outcome:
        async with open_world(stack, "webhooks-", PROCESSES, settings=settings_of(keys)) as world:
            box = FernetBox([keys])
            return await run_webhooks(
                world, options.seed, options.orders, box=box, habits=list(Habit), seconds=CROWD_SECONDS
            )

    with running_infrastructure(STATE) as stack:
        outcome = uvloop.run(run())
    return report(outcome, "each at every receiver, in order for each order", STATE)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
