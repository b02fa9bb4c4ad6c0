"""A task that does nothing, for dramatiq's worker on SQS. Run as a program, it sends such tasks.

    dramatiq_worker_timeout=20000 dramatiq tests.bench.peers.dramatiq_worker --processes 1 --threads 8

- the broker with the middleware of its readme, without that for Prometheus
- 8 threads, the default, in one process: what is compared is CPU for a message; 2 to 16 threads differ by little
- prefetch as it comes with 8 threads, 16, of which dramatiq_sqs allows 10: a receive's worth, the most it can
- long polls of 20 s, which it takes from the worker's time-out; 1 s if nothing is said
"""

import os
import sys

import dramatiq  # type: ignore[import-not-found]  # in the peers' environment only
from dramatiq.middleware import (  # type: ignore[import-not-found]
    AgeLimit,
    Callbacks,
    Pipelines,
    Retries,
    TimeLimit,
)
from dramatiq_sqs import SQSBroker  # type: ignore[import-not-found]

from tests.bench.peers.tally import count

broker = SQSBroker(
    middleware=[
        AgeLimit(),
        TimeLimit(),
        Callbacks(),
        Pipelines(),
        Retries(min_backoff=1000, max_backoff=900_000, max_retries=96),
    ],
)
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name=os.environ["QUEUE"])  # type: ignore[untyped-decorator]
def ship(_order_id: str) -> None:
    count()


if __name__ == "__main__":
    for number in range(int(sys.argv[1])):
        ship.send(f"ord_{number:026d}")
