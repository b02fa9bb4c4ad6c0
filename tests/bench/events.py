"""What the log of order events costs, how long an event takes, and how fast one tenant's log grows.

cost    an API, a processor and a notifier run over the embedded AWS with their normal settings; a proxy counts the
        write units and requests of the notifier. Alone, each order ends before the next one is placed; at load,
            orders come at a steady rate that the processor keeps up with
delay   from the end of an order to the append of its event. The share of the stream, pipe and topic is the time
        until SQS has the message: the emulator polls its stream each second
hot     four notifiers append to one log, over a DynamoDB in memory that evaluates every condition
streams an API has 1,000 open streams (tests/bench/streams.py)
"""

import json
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import cycle
from statistics import median

from aiodynamo.utils import dy2py

from devstack.stack import running_infrastructure
from order_shared.domain.clock import to_text
from order_shared.domain.order.history import OrderChange
from order_shared.domain.order.ids import created_at_of
from order_shared.domain.order.models import ENDED
from order_shared.storage.event_log.items import to_page
from tests.bench import streams
from tests.bench.cost import BUYERS, NORMAL, STOCK, port_of
from tests.bench.figures import Figure, Say
from tests.bench.load import open_loop
from tests.bench.machines import STATE, open_lab
from tests.bench.orders import Lines, order_requests
from tests.bench.units import Ledger
from tests.chaos.customers import Shop
from tests.chaos.wire import DYNAMODB, RECEIVE, SQS, TRANSACTION, Answer, Call, Forward
from tests.chaos.world import World, open_world
from tests.waiting import eventually

ALONE, AT_LOAD, HOT = "order alone", "at load", "one tenant, 4 notifiers"
ORDERS_ALONE = 10
ORDERS_AT_LOAD = 400
RATE = 100.0
"""Orders per second."""
HOT_ORDERS = 4000
NOTIFIERS = 4
ENDS = {OrderChange(str(status)) for status in ENDED}
QUEUE = "local-order-changes"


@dataclass
class Counts:
    """A plan that lets every call pass, and counts those of the notifier."""

    ledger: Ledger = field(default_factory=Ledger)
    units: int = 0
    events: int = 0
    appends: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    delays: list[float] = field(default_factory=list)
    """Seconds from each order's end to the append of its event."""
    feed_delays: list[float] = field(default_factory=list)
    """Seconds from each order's end to its message in SQS."""
    _sent_at: dict[str, float] = field(default_factory=dict)

    def restart(self) -> None:
        self.units = self.events = self.appends = 0
        self.requests.clear()
        self.delays, self.feed_delays = [], []

    async def meet(self, call: Call, forward: Forward) -> Answer:
        answer = await forward(call)
        if not call.caller.startswith("notifier"):
            return answer
        is_empty_poll = call.operation == RECEIVE and not answer.content.get("Messages")
        if call.service in {SQS, DYNAMODB} and not is_empty_poll:
            self.requests[call.service] += 1
        if call.operation == RECEIVE:
            self._note_messages(answer)
        elif call.operation == TRANSACTION:
            is_applied = answer.status == HTTPStatus.OK
            self.units += self.ledger.enter(call, applied=is_applied)
            if is_applied:
                self._note_append(call)
        return answer

    def _note_messages(self, answer: Answer) -> None:
        for message in answer.content.get("Messages", ()):
            keys = json.loads(message["Body"])["dynamodb"]["Keys"]
            self._sent_at[keys["customer_key"]["S"] + keys["created_at"]["S"]] = (
                int(message["Attributes"]["SentTimestamp"]) / 1000
            )

    def _note_append(self, call: Call) -> None:
        self.appends += 1
        now = time.time()
        for entry in call.content["TransactItems"]:
            item = entry.get("Put", {}).get("Item", {})
            if "entries" not in item:
                continue
            for event in (event for each in to_page(dy2py(item, int)).entries for event in each):
                self.events += 1
                if event.change in ENDS:
                    ended = event.at.timestamp()
                    self.delays.append(now - ended)
                    key = event.customer.key + to_text(created_at_of(event.order_id))
                    if key in self._sent_at:  # not of a poll that began before this plan
                        self.feed_delays.append(max(0.0, self._sent_at[key] - ended))


async def measure(rounds: int, say: Say) -> list[Figure]:
    return [
        *await _measure_cost(rounds, say),
        *await _measure_hot(rounds, say),
        *await streams.measure(rounds, say),
    ]


@dataclass(frozen=True)
class Cost:
    units: float
    per_append: float
    requests: float
    delay: float
    feed_delay: float


async def _measure_cost(rounds: int, say: Say) -> list[Figure]:
    alone: list[Cost] = []
    loaded: list[Cost] = []
    with running_infrastructure(STATE / "events") as stack:
        async with open_world(stack, "events-", ("api-1", "processor-1", "notifier-1"), settings=NORMAL) as world:
            world.proxy.plan = counts = Counts()
            shop = Shop(f"t-{uuid.uuid4().hex[:8]}", world.issuer, world.http, lambda: world.apis)
            await shop.open(STOCK, shards={})
            await _sell(world, shop.tenant, counts, 1)
            for number in range(1, rounds + 1):
                alone.append(await _sell_one_by_one(world, shop.tenant, counts))
                loaded.append(await _sell(world, shop.tenant, counts, ORDERS_AT_LOAD))
                say(
                    f"events, round {number}: alone {alone[-1].per_append:.1f} units per append, at load "
                    f"{loaded[-1].units:.2f} units and {loaded[-1].requests:.2f} requests per order, "
                    f"{1000 * loaded[-1].delay:.0f} ms to the event, {1000 * loaded[-1].feed_delay:.0f} of it the feed"
                )
    return [
        Figure(ALONE, "write_units_per_append", "units", tuple(each.per_append for each in alone)),
        Figure(ALONE, "requests_per_order", "requests", tuple(each.requests for each in alone)),
        Figure(AT_LOAD, "write_units_per_order", "units", tuple(each.units for each in loaded)),
        Figure(AT_LOAD, "requests_per_order", "requests", tuple(each.requests for each in loaded)),
        Figure(AT_LOAD, "delay", "ms", tuple(1000 * each.delay for each in loaded)),
        Figure(AT_LOAD, "delay_of_feed", "ms", tuple(1000 * each.feed_delay for each in loaded)),
    ]


async def _sell_one_by_one(world: World, tenant: str, counts: Counts) -> Cost:
    costs = [await _sell(world, tenant, counts, 1) for _ in range(ORDERS_ALONE)]
    return Cost(*(sum(values) / len(costs) for values in zip(*(vars(each).values() for each in costs), strict=True)))


async def _sell(world: World, tenant: str, counts: Counts, orders: int) -> Cost:
    """Place orders that need no payment, and wait until the log has the events of their end."""
    skus = cycle(STOCK)
    wanted: list[Lines] = [{next(skus): 2, next(skus): 1} for _ in range(orders)]
    counts.restart()
    requests = list(order_requests(world.issuer, tenant, wanted))
    load = await open_loop(port_of(world.apis[0]), requests, per_second=RATE, connections=min(BUYERS, orders))
    if load.statuses != {HTTPStatus.ACCEPTED: orders}:
        raise RuntimeError(f"not all were accepted: {dict(load.statuses)}")
    await eventually(lambda: len(counts.delays) >= orders, "the events of all orders", patience=60)
    return Cost(
        units=counts.units / orders,
        per_append=counts.units / counts.appends,
        requests=counts.requests.total() / orders,
        delay=median(counts.delays),
        feed_delay=median(counts.feed_delays or [0.0]),
    )


async def _measure_hot(rounds: int, say: Say) -> list[Figure]:
    rates: list[float] = []
    cpu: list[float] = []
    with open_lab("event-logs") as lab:
        aws = lab.start_stub("tables", "tests.bench.event_stub")
        notifiers = [
            lab.start_service("order_notifier", f"notifier-{number}", AWS_ENDPOINT_URL=aws.url)
            for number in range(NOTIFIERS)
        ]
        for number in range(rounds + 1):
            tenant = f"tenant-{number}"
            await aws.tell("Orders", queue=QUEUE, tenant=tenant, count=HOT_ORDERS)
            used = sum(each.cpu_seconds() for each in notifiers)
            started = time.perf_counter()
            await aws.tell("Release", queue=QUEUE, count=HOT_ORDERS)
            seconds = time.perf_counter() - started
            used = sum(each.cpu_seconds() for each in notifiers) - used
            log = await aws.tell("Events", tenant=tenant)
            if log["events"] != 2 * HOT_ORDERS or log["different"] != log["events"]:
                raise RuntimeError(f"the log has {log}, of {2 * HOT_ORDERS} events")
            if number == 0:
                continue  # warm-up
            rates.append(HOT_ORDERS / seconds)
            cpu.append(1000 * used / HOT_ORDERS)
            say(f"events, round {number}: {rates[-1]:.0f} orders/s into one log, {log['pages']} appends")
    return [
        Figure(HOT, "throughput", "orders/s", tuple(rates)),
        Figure(HOT, "cpu_per_order", "ms", tuple(cpu)),
    ]
