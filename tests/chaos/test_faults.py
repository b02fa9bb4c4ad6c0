"""The proxy's faults, each over a call whose other side the test plays."""

import asyncio
import json
from contextlib import suppress
from random import Random
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict

from tests.chaos import faults
from tests.chaos.faults import ALL_KINDS, CONFLICT, IN_FLIGHT_QUOTA, PARTITION_LIMIT, Fault, Mail, Weather
from tests.chaos.limits import QUOTA
from tests.chaos.proxy import Plan, open_proxy
from tests.chaos.wire import TRANSACTION, UPDATE, Answer, Call, Forward, Json, Reset, json_answer

DYNAMODB = "DynamoDB_20120810"
SQS = "AmazonSQS"
DICE = Random(0)  # noqa: S311 - reproducible, not secret
WRITE = {"TableName": "local-idempotency", "Key": {"key": {"S": "k"}}}


def aws_call(service: str, operation: str, content: Json | None = None, caller: str = "api") -> Call:
    headers = CIMultiDict({"x-amz-target": f"{service}.{operation}"})
    return Call.read(caller, "POST", "/", headers, json.dumps(content or {}).encode())


def payment_call(path: str) -> Call:
    return Call.read("processor", "POST", path, CIMultiDict[str](), b"amount=1")


def receive(limit: int = 10) -> Call:
    return aws_call(SQS, "ReceiveMessage", {"QueueUrl": "q", "MaxNumberOfMessages": limit, "VisibilityTimeout": 30})


def send(*ids: str) -> Call:
    return aws_call(SQS, "SendMessageBatch", {"QueueUrl": "q", "Entries": [{"Id": id} for id in ids]})  # noqa: A001 - SQS's name


class OtherSide:
    """Answers in turn with what it is given, and remembers what reached it."""

    def __init__(self, *answers: Json) -> None:
        self._answers = list(answers)
        self.calls: list[Call] = []

    async def __call__(self, call: Call) -> Answer:
        self.calls.append(call)
        return json_answer(self._answers.pop(0) if self._answers else {})


def messages(*ids: str, receives: int = 1) -> Json:
    attributes = {"ApproximateReceiveCount": str(receives)}
    return {
        "Messages": [{"MessageId": id, "ReceiptHandle": f"receipt-{id}", "Attributes": attributes} for id in ids]  # noqa: A001 - SQS's name
    }


def ids_of(answer: Answer) -> list[str]:
    return [message["MessageId"] for message in answer.content.get("Messages", [])]


@pytest.mark.parametrize(("fault", "applied"), [(faults.answer_lost, 1), (faults.reset, 0)])
async def test_an_answer_is_lost_after_the_call_was_applied_or_before(fault: Fault, applied: int) -> None:
    there = OtherSide()
    with pytest.raises(Reset):
        await fault(send("0"), there, DICE, Mail())
    assert len(there.calls) == applied


@pytest.mark.parametrize("fault", [faults.throttled, faults.server_error])
@pytest.mark.parametrize(
    "call",
    [
        aws_call(DYNAMODB, "GetItem"),
        aws_call(DYNAMODB, TRANSACTION, {"TransactItems": [{"Delete": WRITE}]}),
        send("0"),
        payment_call("/v1/refunds"),
    ],
    ids=["read", "transaction", "queue", "payment"],
)
async def test_an_error_is_one_that_the_caller_may_not_take_for_an_answer(fault: Fault, call: Call) -> None:
    for seed in range(8):
        answer = await fault(call, OtherSide(), Random(seed), Mail())  # noqa: S311 - reproducible, not secret
        assert answer.status >= 400
        assert {"__type", "error"} & set(answer.content)


async def test_a_batch_fails_in_part_and_what_failed_never_arrives() -> None:
    there = OtherSide({"Successful": [{"Id": "?"}]})
    answer = await faults.partial(send(*map(str, range(10))), there, Random(1), Mail())  # noqa: S311 - reproducible
    arrived = {entry["Id"] for entry in there.calls[0].content["Entries"]}
    failed = {entry["Id"] for entry in answer.content["Failed"]}
    assert failed
    assert arrived
    assert arrived | failed == set(map(str, range(10)))
    assert arrived & failed == set()


async def test_of_a_batch_of_one_the_one_fails() -> None:
    there = OtherSide()
    for seed in range(5):
        answer = await faults.partial(send("0"), there, Random(seed), Mail())  # noqa: S311 - reproducible, not secret
        assert [entry["Id"] for entry in answer.content["Failed"]] == ["0"]
    assert there.calls == []


async def test_a_message_comes_again_within_what_the_poll_has_room_for() -> None:
    mail = Mail()
    there = OtherSide(messages("a", "b"), {}, messages("c"))
    assert ids_of(await faults.duplicated(receive(), there, DICE, mail)) == ["a", "b"]
    assert set(ids_of(await faults.duplicated(receive(), there, DICE, mail))) == {"a", "b"}
    assert ids_of(await faults.duplicated(receive(1), there, DICE, mail)) == ["c"]


async def test_messages_come_late_and_in_another_order_and_none_is_lost() -> None:
    mail = Mail()
    there = OtherSide(messages(*"abcdefghij"), *({} for _ in range(20)))
    polls = [ids_of(await faults.reordered(receive(), there, Random(seed), mail)) for seed in range(20)]  # noqa: S311
    seen = [message for poll in polls for message in poll]
    assert sorted(seen) == list("abcdefghij")
    assert seen != list("abcdefghij")
    assert len(polls[0]) < 10


async def test_visibility_that_is_over_at_once_is_said_to_the_queue() -> None:
    there = OtherSide(messages(*"abcdefghij"))
    answer = await faults.expired(receive(), there, DICE, Mail())
    assert ids_of(answer) == list("abcdefghij")
    changes = [call.content for call in there.calls[1:]]
    assert changes
    assert {change["VisibilityTimeout"] for change in changes} == {0}
    assert {call.headers["X-Amz-Target"] for call in there.calls[1:]} == {f"{SQS}.ChangeMessageVisibility"}


class Slow(OtherSide):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()
        self.reached = asyncio.Event()

    async def __call__(self, call: Call) -> Answer:
        self.reached.set()
        await self.may_answer.wait()
        return await super().__call__(call)


TRANSACT = aws_call(
    DYNAMODB, TRANSACTION, {"TransactItems": [{"Delete": {**WRITE, "Key": {"key": {"S": "x"}}}}, {"Delete": WRITE}]}
)
PLAIN = aws_call(DYNAMODB, UPDATE, WRITE)


@pytest.mark.parametrize(
    ("first", "second", "refusal"),
    [
        (TRANSACT, TRANSACT, "TransactionCanceledException"),
        (TRANSACT, PLAIN, "TransactionConflictException"),
        (PLAIN, TRANSACT, "TransactionCanceledException"),
        (PLAIN, PLAIN, None),
    ],
    ids=["two transactions", "a write under a transaction", "a transaction under a write", "two writes"],
)
async def test_writes_conflict_when_a_transaction_is_among_those_under_way(
    first: Call, second: Call, refusal: str | None
) -> None:
    weather, there = Weather("seed", [CONFLICT]), Slow()
    under_way = asyncio.create_task(weather.meet(first, there))
    await there.reached.wait()
    if refusal is None:
        there.may_answer.set()
    answer = await weather.meet(second, there)
    there.may_answer.set()
    assert (await under_way).status == 200
    assert answer.content.get("__type", "").endswith(refusal or "")
    assert answer.status == (200 if refusal is None else 400)
    assert (await weather.meet(second, there)).status == 200, "nothing is under way any more"


async def test_a_conflict_names_the_item_that_was_in_the_way() -> None:
    weather, there = Weather("seed", [CONFLICT]), Slow()
    under_way = asyncio.create_task(weather.meet(PLAIN, there))
    await there.reached.wait()
    answer = await weather.meet(TRANSACT, there)
    there.may_answer.set()
    await under_way
    assert [reason["Code"] for reason in answer.content["CancellationReasons"]] == ["None", "TransactionConflict"]


SNAPSHOT = aws_call(DYNAMODB, "TransactGetItems", {"TransactItems": [{"Get": WRITE}]})


@pytest.mark.parametrize("write", [TRANSACT, PLAIN], ids=["transaction", "update"])
async def test_a_read_transaction_is_cancelled_by_a_write_of_its_items_and_is_in_nobody_s_way(write: Call) -> None:
    weather, there = Weather("seed", [CONFLICT]), Slow()
    under_way = asyncio.create_task(weather.meet(write, there))
    await there.reached.wait()
    answer = await weather.meet(SNAPSHOT, OtherSide())
    assert answer.content["CancellationReasons"] == [{"Code": "TransactionConflict", "Message": "injected"}]
    there.may_answer.set()
    await under_way
    there.may_answer.clear()
    there.reached.clear()
    reading = asyncio.create_task(weather.meet(SNAPSHOT, there))
    await there.reached.wait()
    assert (await weather.meet(write, OtherSide())).status == 200
    there.may_answer.set()
    assert (await reading).status == 200


async def test_at_the_quota_a_poll_has_no_messages_until_some_are_deleted_or_visible_again() -> None:
    weather = Weather("seed", [IN_FLIGHT_QUOTA])
    first = [f"m{number}" for number in range(QUOTA)]
    there = OtherSide(messages(*first), {}, messages("later"))
    assert ids_of(await weather.meet(receive(), there)) == first
    assert there.calls[0].content["MaxNumberOfMessages"] == QUOTA
    empty = await weather.meet(receive(), there)
    assert (empty.status, ids_of(empty)) == (200, [])
    assert len(there.calls) == 1, "it did not reach the queue"
    await weather.meet(aws_call(SQS, "DeleteMessageBatch", {"Entries": [{"ReceiptHandle": "receipt-m0"}]}), there)
    assert ids_of(await weather.meet(receive(), there)) == ["later"]
    assert there.calls[-1].content["MaxNumberOfMessages"] == 1


async def test_a_postponed_message_is_in_flight_and_one_that_is_given_back_is_not() -> None:
    weather = Weather("seed", [IN_FLIGHT_QUOTA])
    there = OtherSide(messages(*(f"m{number}" for number in range(QUOTA))), {}, {}, messages("later"))
    await weather.meet(receive(), there)

    async def hide(seconds: int) -> None:
        entries = [{"ReceiptHandle": "receipt-m0", "VisibilityTimeout": seconds}]
        await weather.meet(aws_call(SQS, "ChangeMessageVisibilityBatch", {"Entries": entries}), there)

    await hide(300)
    assert ids_of(await weather.meet(receive(), there)) == []
    await hide(0)
    assert ids_of(await weather.meet(receive(), there)) == ["later"]


async def test_a_message_received_three_times_comes_after_all_others() -> None:
    mail = Mail()
    both = messages("worn", receives=4)
    both["Messages"] += messages("new")["Messages"]
    there = OtherSide(both, messages("newer"), {})
    assert ids_of(await faults.sent_to_the_back(receive(), there, DICE, mail)) == ["new"]
    assert ids_of(await faults.sent_to_the_back(receive(), there, DICE, mail)) == ["newer"]
    assert ids_of(await faults.sent_to_the_back(receive(), there, DICE, mail)) == ["worn"]


def open_order(customer: str, shard: str) -> Call:
    item = {"customer_key": {"S": customer}, "created_at": {"S": "now"}, "open_shard": {"S": shard}}
    write = {"TableName": "local-orders", "Item": item}
    return aws_call(DYNAMODB, TRANSACTION, {"TransactItems": [{"Put": write}]})


async def test_a_partition_that_is_hot_in_an_index_throttles_the_table() -> None:
    weather = Weather("seed", [PARTITION_LIMIT])
    answers = [await weather.meet(open_order(f"customer-{number}", "3"), OtherSide()) for number in range(100)]
    throttled = [answer for answer in answers if answer.status == 400]
    assert throttled, "no customer writes much, but all write to one partition of the index"
    assert throttled[0].content["CancellationReasons"] == [{"Code": "ThrottlingError"}]
    assert (await weather.meet(open_order("customer-1", "4"), OtherSide())).status == 200


async def treated(seed: str) -> list[Any]:
    """What becomes of a day's calls under a seed."""
    weather = Weather(seed, ["reset", "throttle", "partial batch", "duplicate"])
    calls = [send("0", "1"), receive(), aws_call(DYNAMODB, "GetItem"), payment_call("/v1/refunds")] * 25
    seen: list[Any] = []
    for call in calls:
        try:
            seen.append((await weather.meet(call, OtherSide(messages("a")))).content)
        except Reset:
            seen.append(None)
    return seen


async def test_a_seed_gives_the_same_faults_in_every_run() -> None:
    assert await treated("seven") == await treated("seven")
    assert await treated("seven") != await treated("eight")


@pytest.mark.parametrize("kind", ALL_KINDS)
async def test_every_kind_strikes_and_is_counted(kind: str) -> None:
    weather = Weather("seed", [kind])

    async def meet(number: int, call: Call) -> None:
        with suppress(Reset):
            await weather.meet(call, OtherSide(messages(f"message-{number}", receives=4)))

    await asyncio.gather(*(meet(number, call) for number, call in enumerate([send("0"), receive(), TRANSACT] * 40)))
    assert weather.injected.total() > 0
    assert set(weather.injected) == {kind}


class Lost:
    """Breaks every connection."""

    async def meet(self, call: Call, forward: Forward) -> Answer:
        await forward(call)
        raise Reset


async def test_the_proxy_passes_calls_on_as_they_are_and_breaks_connections_when_told() -> None:
    arrived: list[tuple[str, str, bytes]] = []

    async def serve(request: web.BaseRequest) -> web.Response:
        arrived.append((request.path_qs, request.headers["X-Amz-Target"], await request.read()))
        return web.Response(status=418, body=b"tea", headers={"X-Amz-Crc32": "7"})

    async def ask(url: str) -> tuple[int, bytes, str]:
        headers = {"X-Amz-Target": f"{SQS}.ReceiveMessage"}
        async with http.post(f"{url}/path?a=1", data=b"body", headers=headers) as response:
            return response.status, await response.read(), response.headers["X-Amz-Crc32"]

    runner = web.ServerRunner(web.Server(serve))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with aiohttp.ClientSession() as http, open_proxy() as proxy:
        url = await proxy.listen("api", f"http://{host}:{port}")
        assert await ask(url) == (418, b"tea", "7")
        plan: Plan = Lost()
        proxy.plan = plan
        with pytest.raises(aiohttp.ClientError):
            await ask(url)
    await runner.cleanup()
    assert arrived == [("/path?a=1", f"{SQS}.ReceiveMessage", b"body")] * 2
