"""Reader of the state that the checker compares with the history: tables, queues and payments."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import aiohttp

from devstack.lab.history import Payment
from order_shared.aws.dynamodb import Dynamo, Item
from order_shared.domain.order.models import Order
from order_shared.storage.order_items import to_order
from order_shared.tables import TableNames, order_queue

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

PAGE = 1000


async def scan(dynamo: Dynamo, table: str) -> list[Item]:
    """Return every item of a table. Strongly consistent."""
    found: list[Item] = []
    start_key: Item | None = None
    while True:
        page = await dynamo.scan_page(table, limit=PAGE, start_key=start_key)
        found += page.items
        start_key = page.last_evaluated_key
        if start_key is None:
            return found


class Books:
    """Tables and queues with a prefix, and the payments of the sandbox `bank`, a base URL."""

    def __init__(self, dynamo: Dynamo, sqs: "SQSClient", prefix: str, bank: str, http: aiohttp.ClientSession) -> None:
        self._dynamo = dynamo
        self._sqs = sqs
        self._tables = TableNames.with_prefix(prefix)
        self._queue = order_queue(prefix)
        self._bank = bank
        self._http = http

    async def items(self) -> list[Item]:
        """Return the stored form of every order."""
        return await scan(self._dynamo, self._tables.orders)

    async def orders(self, tenant: str) -> list[Order]:
        return orders_of(tenant, await self.items())

    async def stock(self, tenant: str) -> dict[str, int]:
        """Return the available units by SKU."""
        left: Counter[str] = Counter()
        for item in await scan(self._dynamo, self._tables.inventory):
            owner, _, sku = item["product_key"].partition("#")
            if owner == tenant:
                left[sku] += item.get("available", 0)
        return dict(left)

    async def payments(self, since: float = 0) -> list[Payment]:
        """Return the payments created since a time, in seconds since the epoch."""
        async with self._http.get(f"{self._bank}/_sandbox/intents") as response:
            rows: list[dict[str, Any]] = await response.json()
        return [
            Payment(order_id=row["order_id"], received=row["amount_received"], refunded=row["amount_refunded"])
            for row in rows
            if row["created"] >= since
        ]

    async def messages(self) -> int:
        """Return the number of messages in the work queue, visible or not."""
        return await asyncio.to_thread(self._count_messages, self._queue.name)

    async def letters(self) -> int:
        """Return the number of dead letters."""
        return await asyncio.to_thread(self._count_messages, self._queue.dead_letter_name)

    async def send(self, body: str) -> None:
        """Send a message to the work queue."""
        await asyncio.to_thread(self._send, body)

    def _send(self, body: str) -> None:
        url = self._sqs.get_queue_url(QueueName=self._queue.name)["QueueUrl"]
        self._sqs.send_message(QueueUrl=url, MessageBody=body)

    def _count_messages(self, queue: str) -> int:
        url = self._sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        counts = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return int(counts["ApproximateNumberOfMessages"]) + int(counts["ApproximateNumberOfMessagesNotVisible"])


def orders_of(tenant: str, items: list[Item]) -> list[Order]:
    return [to_order(item) for item in items if item["customer_key"].startswith(f"{tenant}#")]
