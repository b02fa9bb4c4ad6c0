"""Simulated conflicts: which writes are refused while another one is under way."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from multidict import CIMultiDict

from tests.bench.conflicts import Cause, Conflicts
from tests.chaos.wire import TRANSACTION, UPDATE, Answer, Call, Json, json_answer


def call(operation: str, content: Json) -> Call:
    headers = CIMultiDict({"x-amz-target": f"DynamoDB_20120810.{operation}"})
    return Call.read("processor", "POST", "/", headers, json.dumps(content).encode())


def order(number: int) -> Json:
    key = {"customer_key": {"S": "acme#ada"}, "created_at": {"S": str(number)}}
    return {"TableName": "hot-orders", "Key": key}


def stock(shard: int) -> Json:
    return {"TableName": "hot-inventory", "Key": {"product_key": {"S": "acme#HOT"}, "record": {"S": f"stock#{shard}"}}}


def transaction(*writes: Json) -> Call:
    return call(TRANSACTION, {"TransactItems": [{"Update": write} for write in writes]})


def update(write: Json) -> Call:
    return call(UPDATE, write)


class There:
    """The other side. Counts what reaches it."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, _call: Call) -> Answer:
        self.calls += 1
        return json_answer({})


class Crossing:
    """Conflicts whose first write holds its items until the end of `under_way`; all others hold theirs for no time."""

    def __init__(self) -> None:
        self.there = There()
        self.plan = Conflicts(self._held)
        self._is_held = asyncio.Event()
        self._may_end = asyncio.Event()

    async def _held(self) -> None:
        if not self._is_held.is_set():
            self._is_held.set()
            await self._may_end.wait()

    @asynccontextmanager
    async def under_way(self, first: Call) -> AsyncIterator[None]:
        """The first write has passed at the end."""
        task = asyncio.create_task(self.plan.meet(first, self.there))
        await self._is_held.wait()
        yield
        self._may_end.set()
        assert (await task).status == 200

    async def meet(self, call: Call) -> Answer:
        return await self.plan.meet(call, self.there)


def codes(answer: Answer) -> list[str]:
    return [reason["Code"] for reason in answer.content["CancellationReasons"]]


async def test_two_transactions_on_one_item_conflict_there() -> None:
    crossing = Crossing()
    async with crossing.under_way(transaction(order(1), stock(0))):
        refused = await crossing.meet(transaction(order(2), stock(0)))
    assert refused.status == 400
    assert codes(refused) == ["None", "TransactionConflict"]
    assert crossing.there.calls == 1
    assert crossing.plan.refused == {Cause.TAKE: 1}


async def test_transactions_without_a_common_item_pass() -> None:
    crossing = Crossing()
    async with crossing.under_way(transaction(order(1), stock(0))):
        assert (await crossing.meet(transaction(order(2), stock(1)))).status == 200
    assert crossing.there.calls == 2
    assert not crossing.plan.refused


async def test_an_item_is_free_once_its_write_is_through() -> None:
    crossing = Crossing()
    async with crossing.under_way(transaction(stock(0))):
        pass
    assert (await crossing.meet(transaction(stock(0)))).status == 200


async def test_what_was_refused_holds_nothing() -> None:
    crossing = Crossing()
    async with crossing.under_way(transaction(order(1), stock(0))):
        await crossing.meet(transaction(order(2), stock(0)))
        assert (await crossing.meet(transaction(order(2), stock(1)))).status == 200


async def test_an_update_conflicts_with_a_transaction() -> None:
    crossing = Crossing()
    async with crossing.under_way(transaction(order(1), stock(0))):
        refused = await crossing.meet(update(order(1)))
    assert refused.content["__type"].endswith("#TransactionConflictException")
    assert crossing.plan.refused == {Cause.OTHER: 1}


async def test_a_transaction_conflicts_with_an_update() -> None:
    crossing = Crossing()
    async with crossing.under_way(update(order(1))):
        assert codes(await crossing.meet(transaction(order(1)))) == ["TransactionConflict"]


async def test_updates_do_not_conflict_with_each_other() -> None:
    crossing = Crossing()
    async with crossing.under_way(update(order(1))):
        assert (await crossing.meet(update(order(1)))).status == 200


async def test_reads_pass() -> None:
    crossing = Crossing()
    async with crossing.under_way(transaction(stock(0))):
        assert (await crossing.meet(call("TransactGetItems", {"TransactItems": [{"Get": stock(0)}]}))).status == 200


@pytest.mark.parametrize(
    ("writes", "cause"),
    [
        ([order(2), stock(0)], Cause.TAKE),
        ([stock(0), stock(1)], Cause.GATHER),
        ([order(1), stock(1)], Cause.OTHER),
    ],
    ids=["taking", "gathering", "the order itself"],
)
async def test_a_conflict_is_counted_by_what_it_was_about(writes: list[Json], cause: Cause) -> None:
    crossing = Crossing()
    async with crossing.under_way(transaction(order(1), stock(0))):
        await crossing.meet(transaction(*writes))
    assert crossing.plan.refused == {cause: 1}
