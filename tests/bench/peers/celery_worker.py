"""A task that does nothing, for celery's worker on SQS. Run as a program, it sends such tasks.

    celery --app tests.bench.peers.celery_worker worker --pool gevent --concurrency 100 --loglevel WARNING
           --without-gossip --without-mingle --without-heartbeat

What its authors' guides say for many short tasks on SQS (User Guide: Optimizing, Concurrency; Backends: Amazon SQS):

- no results, no events, no remote control (SQS has none), no gossip, mingle and heartbeat
- long polls of 20 s, and no pause of the client's own between them (`polling_interval` is for short polls)
- many tasks prefetched, 4 for each of 100 greenlets: a receive asks for ten, and ten deletes follow, one by one
- a connection for each greenlet: kept to botocore's ten, it costs a fifth more
- acknowledged as it begins, as is the default: a task that crashes is lost, which we do not hold against it here
- the pool that did best. Prefork takes about twice the CPU for a message. Solo and threads take as much, but give a
  tenth of the throughput: outside gevent, kombu 5.7 polls through curl and often sees an answer only at its next look,
  once a second
"""

import os
import sys

from celery import Celery  # type: ignore[import-not-found]  # in the peers' environment only

from tests.bench.peers.tally import count

app = Celery("celery_worker", broker="sqs://")
app.conf.update(
    broker_transport_options={
        "wait_time_seconds": 20,
        "polling_interval": 0,
        "client-config": {"max_pool_connections": 110},
    },
    task_default_queue=os.environ["QUEUE"],
    task_ignore_result=True,
    worker_enable_remote_control=False,
    worker_prefetch_multiplier=4,
)


@app.task(name="ship")  # type: ignore[untyped-decorator]  # celery's is unknown here
def ship(_order_id: str) -> None:
    count()


if __name__ == "__main__":
    for number in range(int(sys.argv[1])):
        ship.delay(f"ord_{number:026d}")
