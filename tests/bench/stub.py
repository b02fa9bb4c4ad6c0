"""A canned AWS: answers each operation in its right shape, at once, and stores nothing.

It is far faster than what is measured against it, so that what is measured is the caller. DynamoDB takes every write
and knows every product. A queue has copies of its messages in any number, and hands out as many as were released.
What steers it is said as AWS operations are:

    Bench.Fill      {"queue", "bodies"}     what the messages of a queue say, in turn
    Bench.Release   {"queue", "count"}      so many may be received; answered once as many more are deleted
    Bench.Sent      {"queue"}               the last bodies that were sent to it, one by one; they are not received
    Bench.Delay     {"median", "sigma"}     what DynamoDB takes from now on: log-normal, in seconds
    Bench.Count     {}                      requests so far, by operation

One process, one thread. `python -m tests.bench.stub` writes its port to standard output.
"""

import asyncio
import hashlib
import itertools
import json
import math
import random
import re
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop

HOST = "127.0.0.1"
PRICE = 1250
MAX_BATCH = 10
KEPT_BODIES = 1000

Json = dict[str, Any]
Reply = Callable[..., None]
"""Sends a body, with `status=b"400 Bad Request"` for an error."""

HEAD_END = b"\r\n\r\n"
TARGET = re.compile(rb"\r\nx-amz-target: *([\w.]+)", re.IGNORECASE)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
NOTHING = b"{}"
NO_ITEMS = b'{"Items": [], "Count": 0, "ScannedCount": 0}'


@dataclass(eq=False)
class Poll:
    """A receive of up to `limit` messages that waits for one."""

    limit: int
    reply: Reply


@dataclass
class StubQueue:
    """Messages without end; `released` may be received."""

    bodies: Iterator[tuple[str, str]] = field(default_factory=lambda: itertools.cycle([with_digest("{}")]))
    released: int = 0
    serial: int = 0
    owed: int = 0
    on_emptied: Reply | None = None
    polls: deque[Poll] = field(default_factory=deque)
    sent: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_BODIES))

    def release(self, count: int, reply: Reply) -> None:
        self.released += count
        self.owed += count
        self.on_emptied = reply
        while self.polls and self.released:
            poll = self.polls.popleft()
            poll.reply(self.take(poll.limit))

    def take(self, limit: int) -> bytes:
        count = min(limit, self.released, MAX_BATCH)
        self.released -= count
        now = str(time.time_ns() // 1_000_000)
        return json.dumps({"Messages": [self._message(now) for _ in range(count)]} if count else {}).encode()

    def _message(self, now: str) -> Json:
        self.serial += 1
        body, digest = next(self.bodies)
        return {
            "MessageId": f"{self.serial:08x}-0000-4000-8000-000000000000",
            "ReceiptHandle": f"{self.serial:0160d}",
            "MD5OfBody": digest,
            "Body": body,
            "Attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": now},
        }

    def deleted(self, count: int) -> None:
        self.owed -= count
        if self.owed <= 0 and self.on_emptied is not None:
            done, self.on_emptied = self.on_emptied, None
            done(NOTHING)


class Stub:
    def __init__(self) -> None:
        self._queues: dict[str, StubQueue] = {}
        self._requests: Counter[str] = Counter()
        self._median = 0.0
        self._sigma = 0.0
        self._dice = random.Random(1)  # noqa: S311 - the same delays in each run
        self.url = ""
        self.answers: dict[str, Callable[[Json, Reply], None]] = {
            "BatchGetItem": self._batch_get,
            "Query": lambda _, reply: reply(NO_ITEMS),
            "ReceiveMessage": self._receive,
            "DeleteMessage": self._delete,
            "DeleteMessageBatch": self._delete,
            "SendMessage": self._send,
            "SendMessageBatch": self._send_batch,
            "ChangeMessageVisibilityBatch": self._send_batch,
            "GetQueueUrl": self._get_queue_url,
            "CreateQueue": self._get_queue_url,
            "GetQueueAttributes": self._get_queue_attributes,
            "ListQueues": self._list_queues,
            "Fill": self._fill,
            "Release": self._release,
            "Sent": self._sent,
            "Delay": self._delay,
            "Count": self._count,
        }

    def answer(self, target: bytes, body: bytes, reply: Reply) -> None:
        operation = target.rpartition(b".")[2].decode()
        self._requests[operation] += 1
        if self._median and target.startswith(b"DynamoDB"):
            seconds = self._dice.lognormvariate(math.log(self._median), self._sigma)
            asyncio.get_running_loop().call_later(seconds, self._answer, operation, body, reply)
        else:
            self._answer(operation, body, reply)

    def _answer(self, operation: str, body: bytes, reply: Reply) -> None:
        answer = self.answers.get(operation)
        if answer is None:
            reply(NOTHING)  # a write, or a read of what is not there
        else:
            answer(json.loads(body), reply)

    def queue(self, request: Json) -> StubQueue:
        name = request["QueueUrl"].rpartition("/")[2] if "QueueUrl" in request else request["queue"]
        return self._queues.setdefault(name, StubQueue())

    def _batch_get(self, request: Json, reply: Reply) -> None:
        responses = {
            table: [_product(key) for key in wanted["Keys"]] for table, wanted in request["RequestItems"].items()
        }
        reply(json.dumps({"Responses": responses, "UnprocessedKeys": {}}).encode())

    def _receive(self, request: Json, reply: Reply) -> None:
        queue = self.queue(request)
        limit = request.get("MaxNumberOfMessages", 1)
        seconds = request.get("WaitTimeSeconds", 0)
        if queue.released or not seconds:
            reply(queue.take(limit))
            return
        poll = Poll(limit, reply)
        queue.polls.append(poll)
        asyncio.get_running_loop().call_later(seconds, self._end_poll, queue, poll)

    @staticmethod
    def _end_poll(queue: StubQueue, poll: Poll) -> None:
        if poll in queue.polls:
            queue.polls.remove(poll)
            poll.reply(NOTHING)

    def _delete(self, request: Json, reply: Reply) -> None:
        entries = request.get("Entries")
        successful = [{"Id": entry["Id"]} for entry in entries or ()]
        reply(json.dumps({"Successful": successful}).encode() if successful else NOTHING)
        self.queue(request).deleted(len(entries) if entries else 1)

    def _send(self, request: Json, reply: Reply) -> None:
        self.queue(request).sent.append(request["MessageBody"])
        reply(json.dumps({"MessageId": "0", "MD5OfMessageBody": _digest(request["MessageBody"])}).encode())

    @staticmethod
    def _send_batch(request: Json, reply: Reply) -> None:
        successful = [
            {"Id": entry["Id"], "MessageId": "0", "MD5OfMessageBody": _digest(entry.get("MessageBody", ""))}
            for entry in request["Entries"]
        ]
        reply(json.dumps({"Successful": successful}).encode())

    def _get_queue_url(self, request: Json, reply: Reply) -> None:
        reply(json.dumps({"QueueUrl": f"{self.url}/000000000000/{request['QueueName']}"}).encode())

    def _get_queue_attributes(self, request: Json, reply: Reply) -> None:
        name = request["QueueUrl"].rpartition("/")[2]
        attributes = {
            "QueueArn": f"arn:aws:sqs:eu-central-1:000000000000:{name}",
            "ApproximateNumberOfMessages": "0",
            "ApproximateNumberOfMessagesNotVisible": "0",
        }
        reply(json.dumps({"Attributes": attributes}).encode())

    def _list_queues(self, _request: Json, reply: Reply) -> None:
        reply(json.dumps({"QueueUrls": [f"{self.url}/000000000000/{name}" for name in self._queues]}).encode())

    def _fill(self, request: Json, reply: Reply) -> None:
        self.queue(request).bodies = itertools.cycle([with_digest(body) for body in request["bodies"]])
        reply(NOTHING)

    def _release(self, request: Json, reply: Reply) -> None:
        self.queue(request).release(request["count"], reply)

    def _sent(self, request: Json, reply: Reply) -> None:
        reply(json.dumps(list(self.queue(request).sent)).encode())

    def _delay(self, request: Json, reply: Reply) -> None:
        self._median, self._sigma = request["median"], request["sigma"]
        reply(NOTHING)

    def _count(self, _request: Json, reply: Reply) -> None:
        reply(json.dumps(self._requests).encode())


class Connection(asyncio.Protocol):
    """As much of HTTP/1.1 as AWS clients speak: a head, a body of known length, one request at a time."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(HEAD_END)
        if end < 0:
            return
        head = self._buffer[:end]
        length = LENGTH.search(head)
        size = end + len(HEAD_END) + (int(length[1]) if length else 0)
        if len(self._buffer) < size:
            return
        body, self._buffer = self._buffer[end + len(HEAD_END) : size], self._buffer[size:]
        target = TARGET.search(head)
        self._stub.answer(target[1] if target else b"", body, self._reply)

    def _reply(self, body: bytes, *, status: bytes = b"200 OK") -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(
                b"HTTP/1.1 %b\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n%b"
                % (status, len(body), body)
            )


def _digest(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def with_digest(text: str) -> tuple[str, str]:
    return text, _digest(text)


def _product(key: Json) -> Json:
    tenant, _, sku = key["product_key"]["S"].partition("#")
    return {
        **key,
        "tenant": {"S": tenant},
        "sku": {"S": sku},
        "name": {"S": f"Product {sku}"},
        "unit_price": {"N": str(PRICE)},
        "currency": {"S": "EUR"},
        "stock_shards": {"N": "1"},
        "updated_at": {"S": "2026-01-31T09:05:00.000120Z"},
        "item_version": {"N": "1"},
    }


async def serve(stub: Stub) -> None:
    listener = socket.create_server((HOST, 0), backlog=1024)
    port = listener.getsockname()[1]
    stub.url = f"http://{HOST}:{port}"
    server = await asyncio.get_running_loop().create_server(lambda: Connection(stub), sock=listener)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(Stub()))
