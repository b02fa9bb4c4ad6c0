"""The recorder walks what passes the proxy, and notices what the model does not allow."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aws_json_client import AwsClient, RetryPolicy
from aws_json_client.transport import Answer as Reply
from order_shared.aws.dynamodb import Dynamo
from order_shared.storage.orders import DynamoOrderRepository
from tests.chaos.recorder import Recorder
from tests.chaos.wire import TARGET_HEADER, Answer, Call, json_answer
from tests.factories import NOON, make_order, make_product, make_record
from tests.fakes import TABLES, MemoryStore

WORKER = "processor-1"


class Wire:
    """Tables in memory behind a recorder, as one process reaches them."""

    name = "dynamodb"

    def __init__(self, store: MemoryStore, recorder: Recorder, caller: str) -> None:
        self._store = store
        self._recorder = recorder
        self._caller = caller

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Reply:
        headers = {TARGET_HEADER: f"DynamoDB_20120810.{operation}"}
        call = Call.read(self._caller, "POST", "/", headers, json.dumps(payload).encode())

        async def forward(call: Call) -> Answer:
            return json_answer(self._store.tables.request(call.operation, call.content))

        return Reply((await self._recorder.pass_on(call, forward)).content, None)

    def repository(self) -> DynamoOrderRepository:
        return DynamoOrderRepository(Dynamo(AwsClient(self, RetryPolicy())), TABLES, self._store.clock)


async def test_writes_walk_the_model_and_a_write_without_reason_is_refused() -> None:
    recorder, store = Recorder(sweep_base_seconds=1.0, visibility_seconds=4), MemoryStore(lambda: NOON)
    store.set_stock("acme", "TEA", [5])
    order = make_order(lines=[(make_product(stock_shards=1), 2)], at=NOON, payment_token="a-token")
    await Wire(store, recorder, "api-1").repository().add(order, make_record(order))
    orders = Wire(store, recorder, WORKER).repository()
    held = await orders.move(order, order.reserve(NOON, owner="attempt", lease_until=NOON + timedelta(minutes=1)))
    assert recorder.take_refusals() == []
    assert recorder.walker.taken == {"accept": 1, "reserve": 1}
    await orders.move(held, held.confirm(NOON))
    (refusal,) = recorder.take_refusals()
    assert "no step of the table" in refusal, "the provider has confirmed no payment"


async def test_a_change_past_the_proxy_is_refused_unless_it_is_overlooked() -> None:
    for overlooked in (True, False):
        recorder, store = Recorder(sweep_base_seconds=1.0, visibility_seconds=4), MemoryStore(lambda: NOON)
        store.set_stock("acme", "TEA", [5])
        order = make_order(lines=[(make_product(stock_shards=1), 2)], at=NOON, payment_token="a-token")
        await Wire(store, recorder, "api-1").repository().add(order, make_record(order))
        past = DynamoOrderRepository(store.tables.client(), TABLES, store.clock)
        held = await past.move(order, order.reserve(NOON, owner="crashed", lease_until=NOON))
        if overlooked:
            recorder.overlook(order.order_id)
        orders = Wire(store, recorder, WORKER).repository()
        await orders.move(held, held.take_over(owner="attempt", lease_until=NOON + timedelta(minutes=1)))
        assert (recorder.refusals == []) is overlooked, recorder.refusals
