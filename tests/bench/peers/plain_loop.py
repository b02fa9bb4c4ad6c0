"""The loop that people write by hand, with care: ten messages for each long poll, handled together, deleted together.

One aioboto3 client, as it comes, on uvloop. What failed is not deleted, and comes again. `plain_orders` hands it
another handler; `SINGLE_DELETES` makes it delete one by one.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import aioboto3
import uvloop

from tests.bench.peers.tally import count

Handler = Callable[[Any], Awaitable[None]]
"""Takes a message as SQS gives it."""

SINGLE_DELETES = bool(os.environ.get("SINGLE_DELETES"))


async def consume(handle: Handler) -> None:
    """Never ends by itself."""
    async with aioboto3.Session().client("sqs") as sqs:
        url = (await sqs.get_queue_url(QueueName=os.environ["QUEUE"]))["QueueUrl"]
        delete = _delete_each if SINGLE_DELETES else _delete_together
        while True:
            answer = await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
            messages = answer.get("Messages", [])
            outcomes = await asyncio.gather(*map(handle, messages), return_exceptions=True)
            done = [
                message["ReceiptHandle"] for message, outcome in zip(messages, outcomes, strict=True) if not outcome
            ]
            if done:
                await delete(sqs, url, done)
            for failure in filter(None, outcomes):
                print(f"failed: {failure!r}", flush=True)  # noqa: T201 - into the log that the benchmark shows


async def _delete_together(sqs: Any, url: str, receipts: list[str]) -> None:
    entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(receipts)]
    await sqs.delete_message_batch(QueueUrl=url, Entries=entries)


async def _delete_each(sqs: Any, url: str, receipts: list[str]) -> None:
    await asyncio.gather(*(sqs.delete_message(QueueUrl=url, ReceiptHandle=receipt) for receipt in receipts))


async def do_nothing(_message: Any) -> None:
    count()


if __name__ == "__main__":
    uvloop.run(consume(do_nothing))
