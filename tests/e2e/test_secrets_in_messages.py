"""No message, dead letter or log line of a run holds a payment token."""

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Any

from devstack.stack import Stack, local_session, running_infrastructure
from order_shared.naming import ORDER_API, ORDER_NOTIFIER, ORDER_PROCESSOR, SERVICES
from tests.e2e.conftest import QUICK, open_shop
from tests.waiting import eventually

CARD, DECLINED = "pm_card_visa", "pm_card_chargeDeclined"
GARBAGE = "{}"


def sqs(stack: Stack) -> Any:
    return local_session().client("sqs", endpoint_url=stack.aws)


def read_messages(stack: Stack, found: defaultdict[str, set[str]]) -> None:
    """Add the visible messages of every queue to those found, by queue. They become visible again."""
    client = sqs(stack)
    for url in client.list_queues()["QueueUrls"]:
        while messages := client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=5, MessageAttributeNames=["All"]
        ).get("Messages"):
            found[url.rpartition("/")[2]] |= {f"{each['Body']} {each.get('MessageAttributes')}" for each in messages}


async def test_no_message_dead_letter_or_log_line_holds_a_payment_token(tmp_path: Path) -> None:
    with running_infrastructure(tmp_path / "stack") as stack:
        stack.environment = {**stack.environment, **QUICK}
        stack.start_payments()
        await asyncio.to_thread(stack.start, ORDER_API)
        async with open_shop(stack) as shop:
            await shop.stock("TEA", 10)
            tokens = [CARD, DECLINED, None]
            ids = [(await shop.post(payment_token=token)).json()["id"] for token in tokens]
            found: defaultdict[str, set[str]] = defaultdict(set)

            async def are_all_sent() -> bool:
                await asyncio.to_thread(read_messages, stack, found)
                return len(found["local-orders"]) >= len(ids) and len(found["local-order-changes"]) >= len(ids)

            await eventually(are_all_sent, "the messages of all orders", pause=0.5)
            await asyncio.to_thread(stack.start, ORDER_PROCESSOR)
            await asyncio.to_thread(stack.start, ORDER_NOTIFIER)
            for order_id in ids:
                await shop.ended(order_id)
            for name in ("local-orders", "local-order-changes"):
                url = sqs(stack).get_queue_url(QueueName=name)["QueueUrl"]
                sqs(stack).send_message(QueueUrl=url, MessageBody=GARBAGE)

            async def are_dead() -> bool:
                await asyncio.to_thread(read_messages, stack, found)
                return bool(found["local-orders-dead"] and found["local-order-changes-dead"])

            await eventually(are_dead, "the dead letters", pause=0.5)
        logs = {service.name: stack.children[service.name].log() for service in SERVICES}
    for where, texts in [*found.items(), *((name, {log}) for name, log in logs.items())]:
        for text in texts:
            assert CARD not in text, where
            assert DECLINED not in text, where
    assert all(logs.values())
