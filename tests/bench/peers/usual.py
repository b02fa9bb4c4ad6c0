"""The endpoint that people write by hand: validate, put the item, send the message. One client each, made at start.

No token, no idempotency, no outbox: an order whose message is lost stays as it is, and a repeated request orders twice.
"""

import json
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import aioboto3
from fastapi import FastAPI, Request
from pydantic import BaseModel, Field


class Line(BaseModel):
    sku: Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    quantity: Annotated[int, Field(ge=1, le=1000)]


class OrderIn(BaseModel):
    lines: Annotated[list[Line], Field(min_length=1, max_length=50)]


class OrderOut(BaseModel):
    id: str
    status: str
    created_at: datetime
    lines: list[Line]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    session = aioboto3.Session()
    async with AsyncExitStack() as stack:
        app.state.dynamodb = await stack.enter_async_context(session.client("dynamodb"))
        app.state.sqs = await stack.enter_async_context(session.client("sqs"))
        app.state.queue_url = (await app.state.sqs.get_queue_url(QueueName="usual"))["QueueUrl"]
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/v1/orders", status_code=202)
async def place_order(body: OrderIn, request: Request) -> OrderOut:
    customer = request.headers.get("x-customer", "ada")
    order = OrderOut(id=f"ord_{uuid.uuid4().hex}", status="pending", created_at=datetime.now(UTC), lines=body.lines)
    await request.app.state.dynamodb.put_item(
        TableName=os.environ["ORDERS_TABLE"],
        Item={
            "customer_key": {"S": customer},
            "created_at": {"S": order.created_at.isoformat()},
            "order_id": {"S": order.id},
            "status": {"S": order.status},
            "lines": {
                "L": [{"M": {"sku": {"S": line.sku}, "quantity": {"N": str(line.quantity)}}} for line in order.lines]
            },
        },
        ConditionExpression="attribute_not_exists(customer_key)",
    )
    await request.app.state.sqs.send_message(
        QueueUrl=request.app.state.queue_url,
        MessageBody=json.dumps({"type": "order.placed", "order": order.model_dump(mode="json")}),
    )
    return order
