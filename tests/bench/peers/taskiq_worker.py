"""A task that does nothing, for taskiq's worker on SQS. Run as a program, it sends such tasks.

    taskiq worker tests.bench.peers.taskiq_worker:broker --workers 1 --log-level WARNING

- ten messages for each receive (the default is 1); long polls of 20 s, which taskiq_aio_sqs makes of polls of 1 s
- one process, 100 tasks at a time (the default), on uvloop, which it takes if it is installed
- acknowledged when done, as is the default: one delete each; no results are kept, and no line is logged for each task
"""

import asyncio
import os
import sys

from taskiq_aio_sqs import SQSBroker  # type: ignore[import-not-found]  # in the peers' environment only

from tests.bench.peers.tally import count

broker = SQSBroker(
    sqs_queue_name=os.environ["QUEUE"],
    endpoint_url=os.environ["AWS_ENDPOINT_URL"],
    region_name=os.environ["AWS_REGION"],
    wait_time_seconds=20,
    max_number_of_messages=10,
)


@broker.task(task_name="ship")  # type: ignore[untyped-decorator]
async def ship(_order_id: str) -> None:
    count()


async def send(tasks: int) -> None:
    await broker.startup()
    for number in range(tasks):
        await ship.kiq(f"ord_{number:026d}")
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(send(int(sys.argv[1])))
