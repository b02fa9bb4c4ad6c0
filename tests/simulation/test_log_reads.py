"""The doubles around the log of events: reads beside transactions, and the change feed."""

import asyncio
from random import Random

import pytest

from aws_json_client import RetryPolicy
from order_shared.aws.encoding import attributes
from order_shared.domain.clock import to_text
from order_shared.domain.order.events import OrderEvents
from order_shared.domain.order.positions import Position
from order_shared.storage.event_log.append import DynamoEventLogWriter
from order_shared.storage.event_log.items import Head, LogPage, head_item, page_item
from order_shared.storage.event_log.read import DynamoEventLogReader, EventFilter
from tests.factories import make_order
from tests.fakes import TABLES
from tests.memory_dynamo import Change, ItemKey, Json
from tests.simulation.events.feed import ChangeFeed
from tests.simulation.events.visibility import EventReads
from tests.simulation.history import Border, History
from tests.simulation.loop import Host
from tests.simulation.queue import QueueRules, StandardQueue
from tests.simulation.tables import TableRules
from tests.simulation.world import Rules, World, simulate

SECONDS = 5.0
SLOW_TRANSACTIONS = Rules(tables=TableRules(log_seconds=SECONDS))


def open_log(world: World) -> tuple[DynamoEventLogWriter, DynamoEventLogReader, EventReads]:
    reads = EventReads(world.store.tables, Random(1), world.loop.time, SECONDS)  # noqa: S311 - reproducible
    world.dynamo.event_reads = reads
    world.dynamo.on_changes = lambda changes, _: reads.committed(changes)
    dynamo = world.dynamo.client(world.link(Host("here"), 0.01, Border.TABLES), RetryPolicy(deadline=60.0))
    return DynamoEventLogWriter(dynamo, TABLES, world.clock), DynamoEventLogReader(dynamo, TABLES, world.clock), reads


@pytest.mark.parametrize("seed", range(5))
def test_a_query_shows_a_page_late_and_a_reader_gets_it_all_the_same(seed: int) -> None:
    """The reader asks within the transaction, and is answered by the read that is isolated from it."""

    async def play(world: World) -> tuple[int, list[str]]:
        writer, reader, reads = open_log(world)
        await writer.begin()
        order = make_order(at=world.clock())
        await writer.append(order.customer.tenant, [order])
        position = await reader.earliest(order.customer.tenant)
        found = await reader.read(order.customer.tenant, position, limit=10, matching=EventFilter())
        assert (position.sequence, found.more) == (1, False)
        return reads.hidden, [each.event.order_id for each in found.events]

    hidden, found = simulate(str(seed), SLOW_TRANSACTIONS, play)
    assert len(found) == 1
    assert hidden >= 0


def test_queries_show_some_items_of_a_transaction_before_others_and_all_after_it() -> None:
    """A later page is shown before an earlier one, but only to a query that began before the earlier was there."""

    async def play(world: World) -> None:
        _, _, reads = open_log(world)
        seen = set()
        for number in range(50):
            keys = [ItemKey("events", f"log{number}", str(sequence)) for sequence in (1, 2)]
            for key in keys:
                item = {"feed": {"S": key.hash}, "sequence": {"N": key.range}}
                world.store.tables.store(key, item)
                reads.committed([Change(key, None, item)])
            payload = {
                "TableName": TABLES.events,
                "KeyConditionExpression": "#n0 = :v0",
                "ExpressionAttributeNames": {"#n0": "feed"},
                "ExpressionAttributeValues": {":v0": {"S": f"log{number}"}},
                "Limit": 10,
            }
            await asyncio.sleep(0.3 * SECONDS)
            answer = reads.read("Query", payload, world.loop.time())
            seen.add("".join(item["sequence"]["N"] for item in answer["Items"]))
            await asyncio.sleep(0.7 * SECONDS)
            assert len(reads.read("Query", payload, world.loop.time())["Items"]) == 2
        assert seen == {"", "1", "2", "12"}

    simulate("1", SLOW_TRANSACTIONS, play)


def test_a_batch_of_reads_shows_each_item_as_it_was_at_some_time_of_the_request() -> None:
    async def play(world: World) -> None:
        _, _, reads = open_log(world)
        key = ItemKey("events", "acme", "0")
        for number in range(3):
            before = world.store.tables.items.get(key)
            item = {"feed": {"S": "acme"}, "sequence": {"N": "0"}, "next": {"N": str(number)}}
            world.store.tables.store(key, item)
            reads.committed([Change(key, before, item)])
            await asyncio.sleep(1.0)
        request = {"Keys": [{"feed": {"S": "acme"}, "sequence": {"N": "0"}}]}
        payload = {"RequestItems": {TABLES.events: request}}
        for sent_at, numbers in ((1.5, {"1", "2"}), (2.5, {"2"})):
            answers = [reads.read("BatchGetItem", payload, sent_at)["Responses"][TABLES.events] for _ in range(50)]
            assert {item["next"]["N"] for (item,) in answers} == numbers

    simulate("1", Rules(), play)


def test_a_position_before_the_log_began_continues_at_its_first_event() -> None:
    async def play(world: World) -> None:
        writer, reader, _ = open_log(world)
        before = await reader.latest("acme")
        assert before == Position(epoch=0, sequence=1)
        await writer.begin()
        order = make_order(at=world.clock())
        await writer.append(order.customer.tenant, [order])
        found = await reader.read(order.customer.tenant, before, limit=10, matching=EventFilter())
        assert len(found.events) == 1

    simulate("1", SLOW_TRANSACTIONS, play)


class HiddenPages(EventReads):
    """Reads in which no query shows some pages, as if their transactions were under way."""

    hidden_pages: frozenset[str] = frozenset()

    def read(self, operation: str, payload: Json, sent_at: float) -> Json:
        answer = super().read(operation, payload, sent_at)
        if operation == "Query":
            answer["Items"] = [item for item in answer["Items"] if item["sequence"]["N"] not in self.hidden_pages]
        return answer


@pytest.mark.parametrize("hidden", [{"1"}, {"1", "2"}, {"1", "3"}, {"1", "2", "3"}])
def test_the_oldest_event_is_found_although_queries_do_not_show_its_page(hidden: set[str]) -> None:
    async def play(world: World) -> int:
        writer, reader, _ = open_log(world)
        await writer.begin()
        for _ in range(3):
            await writer.append("acme", [make_order(at=world.clock())])
        world.dynamo.event_reads = reads = HiddenPages(world.store.tables, Random(1), world.loop.time, 0.0)  # noqa: S311 - reproducible
        reads.hidden_pages = frozenset(hidden)
        return (await reader.earliest("acme")).sequence

    assert simulate("1", Rules(), play) == 1


def test_a_page_that_overlaps_the_one_before_it_is_not_read() -> None:
    """A log that failed over may have pages that two regions appended to the same head."""

    async def play(world: World) -> list[str]:
        _, reader, _ = open_log(world)
        head = Head(next=4, last=3, epoch=1, born=world.clock())
        world.store.tables.put(TABLES.events, attributes(head_item("acme", head)))
        orders = [make_order(at=world.clock()) for _ in range(3)]
        for order, sequence, events in zip(orders, (1, 2, 3), (2, 2, 1), strict=True):
            entry = OrderEvents(
                customer=order.customer, order_id=order.order_id, version=1, history=order.history * events
            )
            page = LogPage(sequence=sequence, previous=sequence - 1, entries=(entry,), expires_at=2**40)
            world.store.tables.put(TABLES.events, attributes(page_item("acme", page)))
        found = await reader.read("acme", Position(epoch=1, sequence=1), limit=10, matching=EventFilter())
        assert (found.next.sequence, found.more) == (4, False)
        names = {order.order_id: name for order, name in zip(orders, ("first", "overlapping", "last"), strict=True)}
        return [names[each.event.order_id] for each in found.events]

    assert simulate("1", Rules(), play) == ["first", "first", "last"]


def test_the_feed_loses_no_change_repeats_some_and_changes_their_order() -> None:
    async def play(world: World) -> None:
        dice = Random(1)  # noqa: S311 - reproducible
        queue = StandardQueue(QueueRules(any_order=False), dice, History(world.loop.time), world.loop.time)
        feed = ChangeFeed(
            queue, dice, lambda work: world.loop.start_on(world.loop.world, work), seconds=5.0, duplicates=0.5
        )
        keys = [ItemKey("orders", "acme#ada", to_text(make_order().created_at) + str(number)) for number in range(50)]
        for key in keys:
            feed.committed([Change(key, None, {"version": {"N": "1"}})])
        unchanged = {"version": {"N": "1"}}
        feed.committed([Change(keys[0], unchanged, unchanged), Change(ItemKey("inventory", "x"), None, unchanged)])
        assert feed.changes == 50
        assert await world.until(lambda: not feed.pending, within=5.0, every=0.1)
        bodies = [message.body for _ in range(20) for message in queue.take(10, 30.0, by="here")]
        order = [next(number for number, key in enumerate(keys) if key.range in body) for body in bodies]
        assert set(order) == set(range(50))
        assert len(order) > 60
        assert order != sorted(order)

    simulate("1", Rules(), play)
