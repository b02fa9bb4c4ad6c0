"""The kinds of fault, and when each strikes.

A fault is a way to treat one call. Which calls meet one follows from the seed: the nth call of an operation by a
process meets the same fault in every run of that seed.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial as partial_call
from random import Random

from tests.chaos.limits import Conflicts, InFlightQuota, Limit, PartitionLimit, Strike, onward
from tests.chaos.wire import (
    BATCHES,
    DYNAMODB,
    PAYMENTS,
    RECEIVE,
    SQS,
    TRANSACTION,
    Answer,
    Call,
    Forward,
    Json,
    Reset,
    aws_error,
    failed_entries,
    json_answer,
    payment_error,
)

STALL_SECONDS = 3.0  # longer than the services wait for DynamoDB
BACK_AFTER = 3
"""Receives after which SQS moves a message to the back of the queue."""


@dataclass
class Mail:
    """Messages that have passed: to be delivered once more, or later than those behind them."""

    seen: deque[Json] = field(default_factory=lambda: deque(maxlen=50))
    held: list[Json] = field(default_factory=list)
    at_the_back: list[Json] = field(default_factory=list)


Fault = Callable[[Call, Forward, Random, Mail], Awaitable[Answer]]
"""Raises Reset to break the connection instead of answering."""


async def answer_lost(call: Call, forward: Forward, _dice: Random, _mail: Mail) -> Answer:
    await forward(call)
    raise Reset


async def reset(_call: Call, _forward: Forward, _dice: Random, _mail: Mail) -> Answer:
    raise Reset


async def delayed(call: Call, forward: Forward, dice: Random, _mail: Mail) -> Answer:
    """One in five comes so late that the caller has given up, and may have asked again: it is applied all the same."""
    stalls = call.service == DYNAMODB and dice.random() < 0.2
    await asyncio.sleep(STALL_SECONDS if stalls else dice.uniform(0.02, 0.5))
    return await forward(call)


async def throttled(call: Call, _forward: Forward, dice: Random, _mail: Mail) -> Answer:
    if call.service == PAYMENTS:
        return payment_error("rate_limit_error", status=429, code="rate_limit")
    if call.service == SQS:
        return aws_error("RequestThrottled")
    if call.operation == TRANSACTION and dice.random() < 0.5:
        reasons = [{"Code": "ThrottlingError", "Message": "injected"} for _ in call.written_keys]
        return aws_error("TransactionCanceledException", CancellationReasons=reasons)
    return aws_error(dice.choice(["ProvisionedThroughputExceededException", "ThrottlingException"]))


async def server_error(call: Call, forward: Forward, dice: Random, _mail: Mail) -> Answer:
    """Half of them after the call was applied."""
    if dice.random() < 0.5:
        await forward(call)
    if call.service == PAYMENTS:
        return payment_error("api_error", status=500)
    if call.service == SQS:
        return aws_error("ServiceUnavailable", status=503)
    return aws_error("InternalServerError", status=500)


async def partial(call: Call, forward: Forward, dice: Random, _mail: Mail) -> Answer:
    """Some entries of a batch fail, or all."""
    entries: list[Json] = call.content["Entries"]
    refused = [entry for entry in entries if dice.random() < 0.5] or entries[:1]
    taken = [entry for entry in entries if entry not in refused]
    content: Json = {}
    if taken:
        content = (await forward(call.with_content(call.operation, {**call.content, "Entries": taken}))).content
    return json_answer({**content, "Failed": [*content.get("Failed", []), *failed_entries(refused)]})


async def duplicated(call: Call, forward: Forward, dice: Random, mail: Mail) -> Answer:
    """A message that was received before comes once more, even after its deletion."""
    answer = await forward(call)
    messages: list[Json] = answer.content.get("Messages", [])
    room = call.content["MaxNumberOfMessages"] - len(messages)
    again = dice.sample(list(mail.seen), min(room, len(mail.seen), 2))
    mail.seen.extend(messages)
    return _with_messages(answer, [*messages, *again])


async def reordered(call: Call, forward: Forward, dice: Random, mail: Mail) -> Answer:
    """Some messages are kept for a later poll; all come in any order."""
    answer = await forward(call)
    messages: list[Json] = answer.content.get("Messages", [])
    kept = [message for message in messages if dice.random() < 0.3]
    room = call.content["MaxNumberOfMessages"] - len(messages) + len(kept)
    late, mail.held = mail.held[:room], [*mail.held[room:], *kept]
    mixed = [message for message in messages if message not in kept] + late
    dice.shuffle(mixed)
    return _with_messages(answer, mixed)


async def sent_to_the_back(call: Call, forward: Forward, _dice: Random, mail: Mail) -> Answer:
    """A message that was received three times comes when a poll finds no other one."""
    answer = await forward(call)
    messages: list[Json] = answer.content.get("Messages", [])
    worn = [message for message in messages if _receives(message) > BACK_AFTER]
    others = [message for message in messages if message not in worn]
    mail.at_the_back += worn
    if others:
        return _with_messages(answer, others)
    room = call.content["MaxNumberOfMessages"]
    last, mail.at_the_back = mail.at_the_back[:room], mail.at_the_back[room:]
    return _with_messages(answer, last)


async def expired(call: Call, forward: Forward, dice: Random, _mail: Mail) -> Answer:
    """The visibility of some messages is over as they arrive: another poll gets them at once."""
    answer = await forward(call)
    for message in answer.content.get("Messages", []):
        if dice.random() < 0.5:
            change = {
                "QueueUrl": call.content["QueueUrl"],
                "ReceiptHandle": message["ReceiptHandle"],
                "VisibilityTimeout": 0,
            }
            await forward(call.with_content("ChangeMessageVisibility", change))
    return answer


def _receives(message: Json) -> int:
    return int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1))


def _with_messages(answer: Answer, messages: list[Json]) -> Answer:
    return json_answer({"Messages": messages} if messages else {}, answer.status)


def _any(_call: Call) -> bool:
    return True


def _is_batch(call: Call) -> bool:
    return call.operation in BATCHES


def _is_receive(call: Call) -> bool:
    return call.operation == RECEIVE


@dataclass(frozen=True)
class Kind:
    strikes: Callable[[Call], bool]
    treat: Fault
    rate: float
    """Of the calls that it may strike, if it is alone."""


KINDS = {
    "answer lost": Kind(_any, answer_lost, 0.15),
    "reset": Kind(_any, reset, 0.15),
    "delay": Kind(_any, delayed, 0.15),
    "throttle": Kind(_any, throttled, 0.2),
    "server error": Kind(_any, server_error, 0.15),
    "partial batch": Kind(_is_batch, partial, 0.4),
    "duplicate": Kind(_is_receive, duplicated, 0.9),
    "reorder": Kind(_is_receive, reordered, 0.9),
    "early expiry": Kind(_is_receive, expired, 0.9),
    "back of the queue": Kind(_is_receive, sent_to_the_back, 0.9),
}
CONFLICT = "conflict"
IN_FLIGHT_QUOTA = "in-flight quota"
PARTITION_LIMIT = "partition limit"
LIMITS: Mapping[str, Callable[[Strike], Limit]] = {
    CONFLICT: Conflicts,
    IN_FLIGHT_QUOTA: InFlightQuota,
    PARTITION_LIMIT: PartitionLimit,
}
"""What is no matter of chance: see `tests.chaos.limits`."""

ALL_KINDS = (*KINDS, *LIMITS)
MIXED_SHARE = 0.5
"""Of each kind's rate, when all of them strike together."""


class Weather:
    """Treats each call by the kinds of fault that are about."""

    def __init__(self, seed: str, kinds: Collection[str]) -> None:
        self._seed = seed
        self._kinds = [(name, KINDS[name]) for name in kinds if name in KINDS]
        self._share = 1.0 if len(kinds) == 1 else MIXED_SHARE
        self._ordinals: Counter[tuple[str, str]] = Counter()
        self._mail = Mail()
        self.injected: Counter[str] = Counter()
        self._limits = [limit(partial_call(self._count, name)) for name, limit in LIMITS.items() if name in kinds]

    async def meet(self, call: Call, forward: Forward) -> Answer:
        ordinal = self._ordinals[call.caller, call.operation]
        self._ordinals[call.caller, call.operation] += 1
        dice = Random(f"{self._seed}/{call.caller}/{call.operation}/{ordinal}")  # noqa: S311 - reproducible, not secret
        limited = onward(forward, self._limits)
        candidates = [(name, kind) for name, kind in self._kinds if kind.strikes(call)]
        if candidates:
            name, kind = dice.choice(candidates)
            if dice.random() < kind.rate * self._share:
                self.injected[name] += 1
                return await kind.treat(call, limited, dice, self._mail)
        return await limited(call)

    def _count(self, name: str) -> None:
        self.injected[name] += 1
