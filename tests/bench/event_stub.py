"""The canned AWS with real tables: DynamoDB evaluates every condition, so that writers of one log meet each other.

Bench.Orders    {"queue", "tenant", "count"}   store confirmed orders; their changes are the queue's messages
Bench.Events    {"tenant"}                     events in the tenant's log, and how many of them are different
"""

import itertools
import json
from typing import Any

import uvloop
from aiodynamo.utils import dy2py

from aws_json_client import ServiceError
from order_shared.aws.encoding import attributes
from order_shared.domain.clock import UniqueClock, to_text
from order_shared.domain.inventory.models import Product
from order_shared.domain.order.models import Customer, Order
from order_shared.storage.event_log.items import to_page
from order_shared.storage.order_items import to_item
from order_shared.tables import EVENTS, ORDERS
from tests.bench.stub import Json, Reply, Stub, serve, with_digest
from tests.memory_dynamo import MemoryDynamo

PREFIX = "local-"
OPERATIONS = ("GetItem", "BatchGetItem", "TransactGetItems", "Query", "UpdateItem", "PutItem", "TransactWriteItems")
CUSTOMERS = 200


class TableStub(Stub):
    def __init__(self) -> None:
        super().__init__()
        self._tables = MemoryDynamo()
        self._clock = UniqueClock()
        for operation in OPERATIONS:
            self.answers[operation] = self._table_answer(operation)
        self.answers["Orders"] = self._orders
        self.answers["Events"] = self._events

    def _table_answer(self, operation: str) -> Any:
        def answer(request: Json, reply: Reply) -> None:
            try:
                reply(json.dumps(self._tables.request(operation, request)).encode())
            except ServiceError as error:
                content = {"__type": f"com.amazonaws.dynamodb.v20120810#{error.code}", **error.content}
                reply(json.dumps(content).encode(), status=b"400 Bad Request")

        return answer

    def _orders(self, request: Json, reply: Reply) -> None:
        bodies = []
        for number in range(request["count"]):
            order = self._order(request["tenant"], number)
            self._tables.put(PREFIX + ORDERS.name, attributes(to_item(order)))
            keys = {"customer_key": {"S": order.customer.key}, "created_at": {"S": to_text(order.created_at)}}
            bodies.append(json.dumps({"eventName": "MODIFY", "dynamodb": {"Keys": keys}}))
        self.queue(request).bodies = itertools.cycle([with_digest(body) for body in bodies])
        reply(b"{}")

    def _order(self, tenant: str, number: int) -> Order:
        product = Product(
            tenant=tenant, sku="TEA", name="Green tea", unit_price=590, currency="EUR", updated_at=self._clock()
        )
        customer = Customer(tenant=tenant, id=f"customer-{number % CUSTOMERS}")
        order = Order.place(customer, [(product, 2)], at=self._clock(), due_at=0)
        return order.confirm(self._clock())

    def _events(self, request: Json, reply: Reply) -> None:
        pages = [
            to_page(dy2py(item, int))
            for key, item in self._tables.of_table(EVENTS.name)
            if key.hash == request["tenant"] and key.range != "0"
        ]
        ids = [event.id for page in pages for entry in page.entries for event in entry]
        reply(json.dumps({"events": len(ids), "different": len(set(ids)), "pages": len(pages)}).encode())


if __name__ == "__main__":
    uvloop.run(serve(TableStub()))
