"""Retries of requests to DynamoDB, over a scripted HTTP layer."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from aiodynamo.errors import TransactionCanceled
from aiodynamo.expressions import F, HashKey
from aiodynamo.operations import Put
from aiodynamo.utils import py2dy

from aws_json_client import (
    DYNAMODB,
    AwsClient,
    CredentialsProvider,
    Key,
    NoCredentials,
    RetryPolicy,
    ServiceError,
    SignedTransport,
    StaticCredentials,
)
from aws_json_client.http import Request, Response, Send
from order_shared.aws.dynamodb import Dynamo, Item
from order_shared.domain.clock import to_text
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.models import Order, Schedule
from order_shared.storage.inventory import DynamoInventoryRepository
from order_shared.storage.order_items import to_item
from order_shared.storage.orders import DynamoOrderRepository, OpenOrder
from order_shared.tables import TableNames
from tests.factories import NOON, make_order, make_record

Answer = Response | Exception
PUT = Put("orders", {"key": "k"}, F("key").does_not_exist())


def refusal(kind: str, status: int = 400, **more: Any) -> Response:
    return Response(status, json.dumps({"__type": f"com.amazonaws.dynamodb#{kind}", **more}).encode())


def cancelled(*codes: str) -> Response:
    reasons = [{"Code": code, "Message": code} for code in codes]
    return refusal("TransactionCanceledException", CancellationReasons=reasons)


OK = Response(200, b"{}")
TRANSIENT: list[Answer] = [
    refusal("ThrottlingException"),
    refusal("ProvisionedThroughputExceededException"),
    refusal("RequestLimitExceeded"),
    refusal("TransactionConflictException"),
    refusal("TransactionInProgressException"),
    refusal("ExpiredTokenException"),
    refusal("UnrecognizedClientException"),
    refusal("AccessDeniedException"),
    refusal("InvalidSignatureException"),
    refusal("ReplicatedWriteConflictException"),
    refusal("RequestTimeout", 408),
    Response(408, b""),
    Response(429, b""),
    Response(403, b"<html>a proxy's</html>"),
    Response(302, b""),
    Response(400, b""),
    Response(200, b"[]"),
    Response(200, b"<html>a portal's</html>"),
    cancelled("TransactionConflict", "None"),
    cancelled("ConditionalCheckFailed", "TransactionConflict"),
    cancelled("None", "ThrottlingError"),
    cancelled("ProvisionedThroughputExceeded"),
    Response(500, b""),
    Response(502, b"bad gateway"),
    Response(503, b""),
    TimeoutError(),
    ConnectionResetError(),
]


class Wire:
    """Fake HTTP layer that returns the scripted responses, then success, and keeps the requests."""

    def __init__(self, *script: Answer) -> None:
        self._script = list(script)
        self.sent: list[dict[str, Any]] = []

    def then(self, *script: Answer) -> None:
        self._script = list(script)

    async def __call__(self, request: Request) -> Response:
        self.sent.append(json.loads(request.body))
        answer = self._script.pop(0) if self._script else OK
        if isinstance(answer, Exception):
            raise answer
        return answer


def make_dynamo(
    wire: Send,
    deadline: float = 5.0,
    on_retry: Callable[[str], None] = lambda _: None,
    credentials: CredentialsProvider | None = None,
    attempt_grace: float = 1.0,
) -> Dynamo:
    credentials = credentials or StaticCredentials(Key("id", "secret"))
    transport = SignedTransport(DYNAMODB, wire, credentials, region="eu-central-1", host="dynamodb.test")
    retries = RetryPolicy(deadline=deadline, attempt_grace=attempt_grace, base=0.0, on_retry=on_retry)
    return Dynamo(AwsClient(transport, retries))


@pytest.mark.parametrize("answer", TRANSIENT, ids=repr)
async def test_errors_that_may_pass_are_retried_with_the_same_token_and_bytes(answer: Answer) -> None:
    wire = Wire(answer, answer)
    reasons: list[str] = []
    await make_dynamo(wire, on_retry=reasons.append).transact_write([PUT])
    assert len(wire.sent) == 3
    assert wire.sent[0] == wire.sent[1] == wire.sent[2]
    assert wire.sent[0]["ClientRequestToken"]
    assert len(reasons) == 2


@pytest.mark.parametrize("answer", [*TRANSIENT, cancelled("ConditionalCheckFailed")], ids=repr)
async def test_a_transaction_that_is_tried_is_sent_once(answer: Answer) -> None:
    wire = Wire(answer)
    assert not await make_dynamo(wire).try_transact_write([PUT])
    assert len(wire.sent) == 1
    assert await make_dynamo(wire).try_transact_write([PUT])


async def test_no_more_than_four_attempts_are_made() -> None:
    wire = Wire(*[Response(500, b"")] * 10)
    with pytest.raises(StorageUnavailable, match="server_error, after 4 attempts"):
        await make_dynamo(wire).transact_write([PUT])
    assert len(wire.sent) == 4


async def test_only_the_deadline_limits_retries_of_conflicts() -> None:
    """DynamoDB is healthy during conflicts: orders of a popular product must not fail."""
    wire = Wire(*[cancelled("TransactionConflict")] * 20)
    await make_dynamo(wire).transact_write([PUT])
    assert len(wire.sent) == 21


async def test_retries_do_not_multiply_the_load_in_an_outage() -> None:
    """The process's quota is used up after a hundred retries, and grows again with each success."""
    wire = Wire(*[Response(500, b"")] * 2100)
    dynamo = make_dynamo(wire)
    for _ in range(2000):
        with pytest.raises(StorageUnavailable):
            await dynamo.transact_write([PUT])
    assert 2000 < len(wire.sent) <= 1.1 * 2000
    await dynamo.transact_write([PUT])
    wire.sent.clear()
    for _ in range(10):
        await dynamo.transact_write([PUT])
    wire.then(Response(500, b""))
    await dynamo.transact_write([PUT])
    assert len(wire.sent) == 12


async def test_each_transaction_has_its_own_token() -> None:
    wire = Wire()
    dynamo = make_dynamo(wire)
    await dynamo.transact_write([PUT])
    await dynamo.transact_write([PUT])
    assert wire.sent[0]["ClientRequestToken"] != wire.sent[1]["ClientRequestToken"]


async def test_a_failed_condition_is_not_retried() -> None:
    wire = Wire(cancelled("ConditionalCheckFailed", "None"))
    with pytest.raises(TransactionCanceled) as caught:
        await make_dynamo(wire).transact_write([PUT])
    first, second = caught.value.cancellation_reasons
    assert first is not None
    assert (first.code, second) == ("ConditionalCheckFailed", None)
    assert len(wire.sent) == 1


async def test_an_invalid_request_is_not_retried() -> None:
    wire = Wire(refusal("ValidationException", message="wrong"))
    with pytest.raises(ServiceError, match="ValidationException"):
        await make_dynamo(wire).transact_write([PUT])
    assert len(wire.sent) == 1


@pytest.mark.parametrize("answer", [TimeoutError(), Response(503, b""), cancelled("TransactionConflict")], ids=repr)
async def test_at_the_deadline_the_outcome_is_unknown(answer: Answer) -> None:
    wire = Wire(*[answer] * 1000)
    with pytest.raises(StorageUnavailable):
        await make_dynamo(wire, deadline=0.0).transact_write([PUT])


async def test_missing_items_of_a_snapshot_are_none() -> None:
    wire = Wire(Response(200, json.dumps({"Responses": [{"Item": {"available": {"N": "3"}}}, {}]}).encode()))
    found = await make_dynamo(wire).transact_get([])
    assert found == [{"available": 3}, None]


async def test_a_batch_read_requests_unprocessed_items_again() -> None:
    def answer(found: list[str], left: list[str]) -> Response:
        body = {
            "Responses": {"inventory": [{"sku": {"S": sku}} for sku in found]},
            "UnprocessedKeys": {"inventory": {"Keys": [{"sku": {"S": sku}} for sku in left]}} if left else {},
        }
        return Response(200, json.dumps(body).encode())

    wire = Wire(answer(["a"], ["b", "c"]), answer(["b", "c"], []))
    found = await make_dynamo(wire).get_many("inventory", [{"sku": sku} for sku in "abc"])
    assert [item["sku"] for item in found] == ["a", "b", "c"]
    assert wire.sent[1]["RequestItems"]["inventory"]["Keys"] == [{"sku": {"S": "b"}}, {"sku": {"S": "c"}}]


async def test_a_query_reads_pages_until_it_has_enough_items() -> None:
    def page(skus: str, more: bool) -> Response:  # noqa: FBT001 - a local helper
        body: dict[str, Any] = {"Items": [{"sku": {"S": sku}} for sku in skus]}
        if more:
            body["LastEvaluatedKey"] = {"sku": {"S": skus[-1]}}
        return Response(200, json.dumps(body).encode())

    wire = Wire(page("ab", more=True), page("cd", more=True))
    found = await make_dynamo(wire).query("inventory", HashKey("tenant", "acme"), limit=4)
    assert [item["sku"] for item in found] == list("abcd")
    assert [sent["Limit"] for sent in wire.sent] == [4, 2]


async def test_unprocessed_items_are_retried_until_the_deadline() -> None:
    left = {"Responses": {}, "UnprocessedKeys": {"inventory": {"Keys": [{"sku": {"S": "a"}}]}}}
    wire = Wire(*[Response(200, json.dumps(left).encode())] * 1000)
    with pytest.raises(StorageUnavailable):
        await make_dynamo(wire, deadline=0.0).get_many("inventory", [{"sku": "a"}])


async def test_a_call_that_hangs_ends_soon_after_the_deadline() -> None:
    async def hang(_: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError("it never answers")

    with pytest.raises(StorageUnavailable):
        await make_dynamo(hang, deadline=0.0, attempt_grace=0.05).transact_write([PUT])


class TestLostAnswers:
    """The first attempt was applied and its response lost; the retry fails because of that change."""

    ENTRY = OpenOrder(customer_key="acme#ada", created_at=NOON, open_shard="3", due_at=1000, sweeps=0)

    async def postpone(self, stored: Item) -> Order | None:
        found = Response(200, json.dumps({"Item": py2dy(stored)}).encode())
        wire = Wire(TimeoutError(), refusal("ConditionalCheckFailedException"), found)
        repository = DynamoOrderRepository(make_dynamo(wire), TableNames.with_prefix(""))
        return await repository.postpone(self.ENTRY, 2000, sweeps=1)

    async def test_the_retry_of_a_postponement_is_recognized(self) -> None:
        order = make_order()
        stored = {**to_item(order), "due_at": 2000, "sweeps": 1}
        assert await self.postpone(stored) == replace(order, schedule=Schedule(due_at=2000, sweeps=1))

    async def test_another_writers_postponement_is_recognized(self) -> None:
        assert await self.postpone({**to_item(make_order()), "due_at": 2001, "sweeps": 1}) is None


async def test_a_cancellation_for_another_reason_is_not_a_failed_condition() -> None:
    order = make_order()
    for code in ("ValidationError", "ItemCollectionSizeLimitExceeded"):
        wire = Wire(cancelled(code, "None"), cancelled(code, "None"))
        repository = DynamoOrderRepository(make_dynamo(wire), TableNames.with_prefix(""))
        with pytest.raises(TransactionCanceled):
            await repository.move(order, order.confirm(order.created_at))
        with pytest.raises(TransactionCanceled):
            await repository.add(order, make_record(order))


async def test_missing_shards_have_no_stock() -> None:
    product = {
        "product_key": "acme#TEA",
        "record": "product",
        "tenant": "acme",
        "sku": "TEA",
        "name": "Tea",
        "unit_price": 590,
        "currency": "EUR",
        "stock_shards": 3,
        "updated_at": to_text(NOON),
    }
    shard = {"product_key": "acme#TEA", "record": "stock#00", "available": 5}
    wire = Wire(Response(200, json.dumps({"Items": [py2dy(product), py2dy(shard)]}).encode()))
    repository = DynamoInventoryRepository(make_dynamo(wire), TableNames.with_prefix(""))
    assert (await repository.get("acme", "TEA")).stock == (5, 0, 0)


class BrokenCredentials(StaticCredentials):
    """Credentials that are temporarily unavailable."""

    async def get_key(self) -> Key:
        raise NoCredentials("timed out")


async def test_temporarily_missing_credentials_are_an_outage() -> None:
    with pytest.raises(StorageUnavailable, match="credentials"):
        await make_dynamo(Wire(), deadline=0.0, credentials=BrokenCredentials(Key("", ""))).transact_write([PUT])
