"""What breaks while orders are under way: SQS, the processor. No order is lost, no effect doubled."""

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx2
import pytest

from devstack.stack import TABLE_PREFIX, Stack, running_infrastructure, running_stack
from order_shared.naming import ORDER_API, ORDER_PROCESSOR
from order_shared.tables import order_queue
from tests import engines
from tests.e2e.conftest import QUICK, Shop, open_shop
from tests.e2e.gate import gate_before
from tests.waiting import PATIENCE_SECONDS, eventually


async def test_with_sqs_down_orders_are_accepted_and_confirmed_once_it_is_back(tmp_path: Path) -> None:
    with running_infrastructure(tmp_path, QUICK) as stack:
        async with gate_before(stack.aws) as sqs:
            stack.environment = {**stack.environment, "AWS_ENDPOINT_URL_SQS": sqs.url}
            await _start(stack)
            async with open_shop(stack) as shop:
                await shop.stock("TEA", 100)
                await shop.ended((await shop.post()).json()["id"])

                await sqs.shut()
                ids = await shop.accepted(40)
                await eventually(lambda: _readiness(shop, "degraded"), "degraded readiness")
                assert {(await shop.get(order_id)).json()["status"] for order_id in ids} == {"pending"}

                await sqs.open()
                orders = await shop.all_ended(ids)
                assert Counter(order["status"] for order in orders) == {"confirmed": 40}
                assert await shop.available("TEA") == 59
                await eventually(lambda: _readiness(shop, "ok"), "recovered readiness")
                stack.group.ensure_alive()
            await _stop(stack)


async def test_with_dynamodb_down_nothing_is_promised_and_what_was_promised_is_kept(tmp_path: Path) -> None:
    impatient = {
        "ORDER_ACCEPT_DEADLINE_SECONDS": "3",
        "ORDER_STORAGE_DEADLINE_SECONDS": "3",
        "ORDER_RETRY_CAP_SECONDS": "2",
    }
    with running_infrastructure(tmp_path, QUICK | impatient) as stack:
        async with gate_before(stack.aws) as dynamodb:
            stack.environment = {**stack.environment, "AWS_ENDPOINT_URL_DYNAMODB": dynamodb.url}
            await _start(stack)
            async with open_shop(stack) as shop:
                await shop.stock("TEA", 100)
                ids = await shop.accepted(40)

                await dynamodb.shut()
                keys = [f"during-the-outage-{number}" for number in range(10)]
                refused = await asyncio.gather(*(shop.post(key=key) for key in keys))
                assert {(answer.status_code, answer.json()["retryable"]) for answer in refused} == {(503, True)}
                async with httpx2.AsyncClient() as http:
                    for address in (stack.api, stack.services[ORDER_PROCESSOR.name]):
                        await eventually(partial(_answers, http, f"{address}/readyz", 503), "no readiness")
                        assert await _answers(http, f"{address}/healthz", 200)

                await dynamodb.open()
                again = await asyncio.gather(*(shop.post(key=key) for key in keys))
                assert {answer.status_code for answer in again} == {202}
                orders = await shop.all_ended(ids + [answer.json()["id"] for answer in again])
                assert Counter(order["status"] for order in orders) == {"confirmed": 50}
                assert await shop.available("TEA") == 50
                stack.group.ensure_alive()
            await _stop(stack)


@pytest.fixture(scope="module")
def sturdy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose processor is stopped and started again."""
    with running_stack(tmp_path_factory.mktemp("sturdy"), overrides=QUICK) as started:
        yield started


async def test_a_processor_told_to_stop_drains_and_leaves_no_message_hidden(sturdy: Stack) -> None:
    async with open_shop(sturdy) as shop:
        await shop.stock("TEA", 1000)
        ids = await shop.accepted(200)
        processor = sturdy.children["order-processor"].process
        processor.send_signal(signal.SIGTERM)
        assert processor.wait(PATIENCE_SECONDS) == 0
        assert _hidden_messages(sturdy) == 0, "a message waits for its visibility time-out"
        sturdy.start(ORDER_PROCESSOR)
        assert {order["status"] for order in await shop.all_ended(ids)} == {"confirmed"}
        assert await shop.available("TEA") == 800


async def test_a_processor_killed_in_the_middle_of_a_burst_loses_and_doubles_nothing(sturdy: Stack) -> None:
    """After the test of hidden messages: a killed processor leaves some."""
    async with open_shop(sturdy) as shop:
        await shop.stock("TEA", 150)
        before = _ended_count(sturdy)
        ids = await shop.accepted(200)
        await eventually(lambda: _ended_count(sturdy) >= before + 20, "the first ends", pause=0.05)
        sturdy.children["order-processor"].process.kill()
        sturdy.children["order-processor"].process.wait()
        sturdy.start(ORDER_PROCESSOR)
        orders = await shop.all_ended(ids)
        assert Counter(order["status"] for order in orders) == {"confirmed": 150, "rejected": 50}
        assert await shop.available("TEA") == 0


async def test_an_api_told_to_stop_sends_what_it_offered(tmp_path: Path) -> None:
    with running_infrastructure(tmp_path, {"ORDER_SWEEP_BASE_SECONDS": "3600"}) as stack:
        stack.start(ORDER_API)
        async with open_shop(stack) as shop:
            await shop.stock("TEA", 10)
            ids = await shop.accepted(10)
            api = stack.children["order-api"].process
            api.send_signal(signal.SIGTERM)
            assert api.wait(PATIENCE_SECONDS) == 0
        stack.start_payments()
        stack.start(ORDER_API)
        stack.start(ORDER_PROCESSOR)
        async with open_shop(stack) as again:
            same_shop = type(again)(again.http, again.issuer, shop.tenant)
            assert {order["status"] for order in await same_shop.all_ended(ids)} == {"confirmed"}
        api = stack.children["order-api"].process
        api.send_signal(signal.SIGINT)  # a developer's Ctrl-C is the same
        assert api.wait(PATIENCE_SECONDS) == 0


async def _start(stack: Stack) -> None:
    """Starts the services while the event loop, and so a gate in it, goes on."""
    await asyncio.to_thread(stack.start_payments)
    await asyncio.to_thread(stack.start, ORDER_API)
    await asyncio.to_thread(stack.start, ORDER_PROCESSOR)


async def _stop(stack: Stack) -> None:
    for name in ("order-api", "order-processor"):
        assert await asyncio.to_thread(stack.children[name].stop) == 0


async def _readiness(shop: Shop, sqs: str) -> bool:
    response = await shop.http.get("/readyz")
    assert response.status_code == 200, "without SQS orders are still accepted"
    return bool(response.json()["sqs"] == sqs)


async def _answers(http: httpx2.AsyncClient, url: str, status: int) -> bool:
    return (await http.get(url)).status_code == status


def _ended_count(stack: Stack) -> float:
    lines = httpx2.get(f"{stack.services[ORDER_PROCESSOR.name]}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("order_ended_total"))


def _hidden_messages(stack: Stack) -> int:
    sqs = engines.client("sqs", stack.aws)
    url = sqs.get_queue_url(QueueName=order_queue(TABLE_PREFIX).name)["QueueUrl"]
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])
    return int(answer["Attributes"]["ApproximateNumberOfMessagesNotVisible"])
