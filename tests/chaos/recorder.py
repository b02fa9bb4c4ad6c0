"""History of a world as its proxy sees it, for the walker of the model: `tests/model/conformance.py`.

The recorder lets one write of the tables pass at a time, and reads its items before and after it. Responses of the
payment provider are recorded as their caller received them, with all that they may mean to it. Messages and responses
that the proxy makes up are recorded too.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

from order_shared.tables import TABLES
from tests.chaos.wire import (
    CHANGE_VISIBILITY,
    DELETE,
    DYNAMODB,
    PAYMENTS,
    RECEIVE,
    SQS,
    TRANSACTION,
    UPDATE,
    Answer,
    Call,
    Forward,
    Json,
)
from tests.model.conformance import Walker
from tests.model.history import Event, ItemWrite, Message, Refused, Response, Write
from tests.model.knowledge import CREATED
from tests.model.simulated import SUBJECT, claimed_of, limits, plain_item
from tests.model.stored_items import total
from tests.model.table import CONSTANTS

KEYS = {table.name: [key.name for key in (table.hash_key, table.range_key) if key] for table in TABLES}
CONDITION = ("ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues")
PAYMENT_ID = re.compile(r"/(pi_\w+)")
DECLINED, DIFFERS, DIFFERS_PAID, GONE, NOTHING, PAID, UNAVAILABLE = (
    CONSTANTS[name]
    for name in "DECLINED DIFFERS DIFFERS_PAID GONE NOTHING PAID UNAVAILABLE".split()  # noqa: SIM905
)
SPENT = {
    "create": CONSTANTS["SPENT_CREATE"],
    "confirm": CONSTANTS["SPENT_CONFIRM"],
    "cancel": CONSTANTS["SPENT_UNDO"],
    "refunds": CONSTANTS["SPENT_UNDO"],
}
OK = 200


class Recorder:
    """Recorder of one world. `refusals` are the effects that the model does not allow, since they were last taken."""

    def __init__(self, *, sweep_base_seconds: float, visibility_seconds: int) -> None:
        self._visibility_seconds = visibility_seconds
        self.walker = Walker(limits(sweep_base_seconds))
        self.refusals: list[str] = []
        self._lock = asyncio.Lock()
        self._items: dict[str, Json | None] = {}
        self._amounts: dict[str, int] = {}
        self._orders_of_payments: dict[str, str] = {}
        self._orders_of_receipts: dict[str, tuple[str, str]] = {}

    async def pass_on(self, call: Call, forward: Forward) -> Answer:
        """Forward a call, and record what it writes."""
        writes = _writes(call) if call.service == DYNAMODB else {}
        if not writes:
            return await forward(call)
        async with self._lock:
            for key, write in writes.items():
                if key not in self._items:
                    self._items[key] = await _read(call, write, forward)
            before = {key: self._items[key] for key in writes}
            try:
                return await forward(call)
            finally:
                for key, write in writes.items():
                    self._items[key] = await _read(call, write, forward)
                items = tuple(_item_write(write, before[key], self._items[key]) for key, write in writes.items())
                for item in items:
                    if item.table == "orders" and item.after is not None:
                        self._amounts[item.after["order_id"]] = total(item.after)
                        self._orders_of_payments[item.after.get("payment_id", "")] = item.after["order_id"]
                if any(item.before != item.after for item in items):
                    self._walk(Write(by=call.caller, items=items))

    def overlook(self, order_id: str) -> None:
        """Accept changes of an order that have not passed the proxy."""
        self._items.clear()
        self.walker.overlook(order_id)

    def take_refusals(self) -> list[str]:
        """Return the refusals, and forget them."""
        refusals, self.refusals = self.refusals, []
        return refusals

    def answered(self, call: Call, answer: Answer) -> None:
        """Record what a caller has received."""
        if call.service == PAYMENTS:
            self._respond(call, answer)
        elif call.service == SQS and answer.status == OK:
            for message in self._messages(call, answer):
                self._walk(message)

    def _respond(self, call: Call, answer: Answer) -> None:
        content = answer.content
        form = {name: values[0] for name, values in parse_qs(call.body.decode()).items()}
        found = PAYMENT_ID.search(call.path)
        payment = found[1] if found else form.get("payment_intent")
        if call.operation == "POST /v1/payment_intents":
            payment = content.get("id") if answer.status == OK else None
            order = form["metadata[order_id]"]
            if payment:
                self._orders_of_payments[payment] = order
        else:
            order = self._orders_of_payments.get(payment or "", "")
        if order:
            self._walk(
                Response(by=call.caller, order=order, payment=payment, results=self._results(call, answer, order))
            )

    def _results(self, call: Call, answer: Answer, order: str) -> frozenset[int]:
        """Return what a response may mean to the worker that receives it."""
        name = "create" if call.operation == "POST /v1/payment_intents" else call.operation.rpartition("/")[2]
        if answer.status != OK:
            error = answer.content.get("error", {})
            ended = {GONE} if error.get("code") == "charge_already_refunded" else set()
            spent = {SPENT[name]} if name in SPENT and call.method == "POST" else set()
            return frozenset({DECLINED, UNAVAILABLE} | spent | ended)
        content: Any = answer.content
        if name == "create":
            return frozenset({CREATED})
        if name == "refunds":
            return frozenset({GONE})
        differs = content.get("amount") != self._amounts.get(order)
        match content.get("status"):
            case "succeeded":
                return frozenset({DIFFERS_PAID if differs else PAID, PAID})
            case "canceled":
                return frozenset({GONE})
        declined = {DECLINED} if content.get("last_payment_error") else set()
        return frozenset({DIFFERS if differs else NOTHING} | declined)

    def _messages(self, call: Call, answer: Answer) -> Iterator[Message]:
        content = call.content
        if call.operation == RECEIVE:
            for message in answer.content.get("Messages", []):
                if subject := SUBJECT.search(message["Body"]):
                    self._orders_of_receipts[message["ReceiptHandle"]] = subject[1], message["MessageId"]
                    receives = int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1))
                    yield Message(
                        by=call.caller,
                        call="receive",
                        message=message["MessageId"],
                        order=subject[1],
                        receives=receives,
                    )
        refused = {entry["Id"] for entry in answer.content.get("Failed", [])}
        for entry in content.get("Entries", []):
            if entry["Id"] in refused:
                continue
            if "MessageBody" in entry and (subject := SUBJECT.search(entry["MessageBody"])):
                name = "dead_letter" if content["QueueUrl"].endswith("-dead") else "send"
                yield Message(by=call.caller, call=name, message="", order=subject[1])
            elif entry.get("ReceiptHandle") in self._orders_of_receipts:
                order, message_id = self._orders_of_receipts[entry["ReceiptHandle"]]
                yield Message(by=call.caller, call=self._settling(call, entry), message=message_id, order=order)

    def _settling(self, call: Call, entry: Json) -> str:
        if call.operation == DELETE:
            return "delete"
        assert call.operation == CHANGE_VISIBILITY, call.operation
        seconds = entry["VisibilityTimeout"]
        return "give_back" if seconds == 0 else "extend" if seconds >= self._visibility_seconds else "postpone"

    def _walk(self, event: Event) -> None:
        try:
            self.walker.walk([event])
        except Refused as refused:
            self.refusals.append(str(refused))
            for item in event.items if isinstance(event, Write) else ():
                if item.table == "orders" and item.after is not None:
                    self.walker.overlook(item.after["order_id"])


def _writes(call: Call) -> dict[str, Json]:
    """Return the writes of a call by item, without the checks of items that it does not write."""
    if call.operation == UPDATE:
        return dict(zip(call.written_keys, [call.content], strict=True))
    if call.operation != TRANSACTION:
        return {}
    entries = (next(iter(entry.items())) for entry in call.content["TransactItems"])
    return {
        key: write for key, (kind, write) in zip(call.written_keys, entries, strict=True) if kind != "ConditionCheck"
    }


def _item_write(write: Json, before: Json | None, after: Json | None) -> ItemWrite:
    table, key = _place(write)
    values = [next(iter(key[name].values())) for name in KEYS[table]]
    return ItemWrite(
        table=table,
        key=(values[0], values[1] if len(values) > 1 else ""),
        before=plain_item(before),
        after=plain_item(after),
        claimed=claimed_of(*(write.get(name) for name in CONDITION)),
    )


def _place(write: Json) -> tuple[str, Json]:
    """Return the table of a write, without the prefix of its world, and the key of its item."""
    table = write["TableName"].rpartition("-")[2]
    return table, write.get("Key") or {name: write["Item"][name] for name in KEYS[table]}


async def _read(call: Call, write: Json, forward: Forward) -> Json | None:
    """Return the item of a write as it is stored, read past every fault."""
    _, key = _place(write)
    content = {"TableName": write["TableName"], "Key": key, "ConsistentRead": True}
    answer = await forward(call.with_content("GetItem", content))
    assert answer.status == OK, answer.body
    item: Json | None = json.loads(answer.body).get("Item")
    return item
