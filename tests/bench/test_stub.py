"""The canned AWS as our own clients see it: shapes that they read, and queues that hand out what was released."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from aiodynamo.expressions import F
from aiodynamo.operations import Update

from aws_json_client import SQS, RetryPolicy, open_client
from devstack.issuer import Issuer
from devstack.processes import ProcessGroup
from devstack.stack import local_credentials
from order_shared.aws.dynamodb import Dynamo, open_dynamo
from order_shared.aws.sqs import SqsQueue, open_sqs
from order_shared.messaging.queue import MAX_BATCH, MAX_WAIT_SECONDS, OutgoingMessage, Visibility
from order_shared.storage.inventory import DynamoInventoryRepository
from order_shared.tables import TableNames
from tests.bench.machines import REGION, Lab, StubControl
from tests.bench.stub import PRICE
from tests.waiting import PATIENCE_SECONDS, eventually

HIDDEN_SECONDS = 30
AN_HOUR = 3600.0


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubControl]:
    """The process itself; each test has a queue of its own."""
    state = tmp_path_factory.mktemp("stub")
    with ProcessGroup(state / "logs") as group:
        yield Lab(group, Issuer.at(state / "issuer.pem"), jwks_url="").aws


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


@pytest.fixture
async def queue(aws: StubControl, name: str) -> AsyncIterator[SqsQueue]:
    async with open_sqs(
        local_credentials(), name=name, dead_letter_name=f"{name}-dead", region=REGION, endpoint=aws.url, pollers=4
    ) as opened:
        yield opened


@pytest.fixture
async def dynamo(aws: StubControl) -> AsyncIterator[Dynamo]:
    async with open_dynamo(local_credentials(), region=REGION, endpoint=aws.url, retries=RetryPolicy()) as opened:
        yield opened


@asynccontextmanager
async def release(aws: StubControl, name: str, count: int) -> AsyncIterator[asyncio.Task[None]]:
    """Under way during the block; at its end all of it has been deleted. Raises TimeoutError if it never is."""
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        yield group.create_task(aws.tell("Release", queue=name, count=count))


async def receive(queue: SqsQueue, limit: int = MAX_BATCH, wait_seconds: int = MAX_WAIT_SECONDS) -> list[str]:
    """Receipts."""
    return [message.receipt for message in await queue.receive(limit, wait_seconds, HIDDEN_SECONDS)]


async def test_what_is_released_is_received_once(aws: StubControl, queue: SqsQueue, name: str) -> None:
    async with release(aws, name, 25):
        batches = [await receive(queue) for _ in range(3)]
        assert [len(batch) for batch in batches] == [10, 10, 5]
        assert await receive(queue, wait_seconds=0) == []
        receipts = [receipt for batch in batches for receipt in batch]
        assert len(set(receipts)) == 25
        for batch in batches:
            assert await queue.delete(batch) == []


async def test_no_more_is_received_than_was_asked_for(aws: StubControl, queue: SqsQueue, name: str) -> None:
    async with release(aws, name, 4):
        receipts = [await receive(queue, limit) for limit in (1, 2, 10)]
        assert [len(batch) for batch in receipts] == [1, 2, 1]
        await queue.delete([receipt for batch in receipts for receipt in batch])


async def test_a_release_ends_when_all_of_it_is_deleted(aws: StubControl, queue: SqsQueue, name: str) -> None:
    async with release(aws, name, 3) as under_way:
        first, second, third = await receive(queue)
        await queue.delete([first, second])
        await aws.count("ReceiveMessage")  # had the release been answered, that would be here by now
        assert not under_way.done()
        await queue.delete([third])


async def test_a_poll_waits_for_a_release(aws: StubControl, queue: SqsQueue, name: str) -> None:
    before = await aws.count("ReceiveMessage")
    polls = [asyncio.create_task(receive(queue, limit=2)) for _ in range(2)]

    async def both_wait() -> bool:
        return await aws.count("ReceiveMessage") == before + len(polls)

    await eventually(both_wait, "both polls are there")
    assert not any(poll.done() for poll in polls)
    async with release(aws, name, 3):
        batches = await asyncio.gather(*polls)
        assert sorted(map(len, batches)) == [1, 2]
        await queue.delete([receipt for batch in batches for receipt in batch])


async def test_messages_say_in_turn_what_the_queue_was_filled_with(
    aws: StubControl, queue: SqsQueue, name: str
) -> None:
    await aws.tell("Fill", queue=name, bodies=["tea", "Kännchen"])
    async with release(aws, name, 3):
        messages = await queue.receive(MAX_BATCH, MAX_WAIT_SECONDS, HIDDEN_SECONDS)
        assert [message.body for message in messages] == ["tea", "Kännchen", "tea"]
        assert {message.receive_count for message in messages} == {1}
        await queue.delete([message.receipt for message in messages])


async def test_every_entry_of_a_batch_succeeds(aws: StubControl, queue: SqsQueue, name: str) -> None:
    messages = [OutgoingMessage("one"), OutgoingMessage("two", {"kind": "event"})]
    assert await queue.send(messages) == []
    assert await queue.dead_letter(messages) == []
    assert await queue.change_visibility([Visibility("receipt", 0)]) == []
    await queue.ping()
    assert await aws.tell("Sent", queue=name) == []  # what was sent in batches is not kept


async def test_what_was_sent_one_by_one_can_be_seen(aws: StubControl, name: str) -> None:
    async with open_client(SQS, credentials=local_credentials(), region=REGION, endpoint=aws.url) as sqs:
        for body in ("one", "two"):
            await sqs.request("SendMessage", {"QueueUrl": f"{aws.url}/000000000000/{name}", "MessageBody": body})
    assert await aws.tell("Sent", queue=name) == ["one", "two"]


async def test_requests_are_counted_by_operation(aws: StubControl, queue: SqsQueue, dynamo: Dynamo) -> None:
    operations = ("SendMessageBatch", "TransactWriteItems", "UpdateItem")
    before = [await aws.count(operation) for operation in operations]
    await queue.send([OutgoingMessage("one"), OutgoingMessage("two")])
    for _ in range(2):
        await dynamo.transact_write([Update("orders", {"k": "1"}, F("status").set("confirmed"))])
    after = [await aws.count(operation) for operation in operations]
    assert [late - early for early, late in zip(before, after, strict=True)] == [1, 2, 0]


async def test_every_product_is_known(dynamo: Dynamo) -> None:
    inventory = DynamoInventoryRepository(dynamo, TableNames.with_prefix("bench-"))
    products = await inventory.get_products("acme", ["TEA-GREEN-100", "POT#2"])
    assert set(products) == {"TEA-GREEN-100", "POT#2"}
    assert {product.tenant for product in products.values()} == {"acme"}
    assert {product.unit_price for product in products.values()} == {PRICE}


async def test_no_other_item_is_there(dynamo: Dynamo) -> None:
    assert await dynamo.get("orders", {"k": "1"}) is None


async def test_a_delay_is_dynamodbs_and_ends(aws: StubControl, queue: SqsQueue, dynamo: Dynamo) -> None:
    before = await aws.count("GetItem")

    async def is_asked() -> bool:
        return await aws.count("GetItem") > before

    await aws.tell("Delay", median=AN_HOUR, sigma=0.0)
    slow = asyncio.create_task(dynamo.get("orders", {"k": "1"}))
    try:
        await eventually(is_asked, "the request is there")
        await queue.ping()
        assert not slow.done()
    finally:
        slow.cancel()
        await aws.tell("Delay", median=0.0, sigma=0.0)
    assert await dynamo.get("orders", {"k": "2"}) is None
