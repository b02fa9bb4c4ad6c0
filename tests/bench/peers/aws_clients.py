"""One client of DynamoDB: writes the same transaction again and again, and prints its CPU per transaction.

    python aws_clients.py CLIENT ENDPOINT COUNT

CPU is user and system time of this process in microseconds, from after the warm-up. Clients that are not installed
exit with 3. The transaction has three puts, one with a condition, as an order has when it is accepted.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

REGION, KEY = "eu-central-1", "local"
IN_FLIGHT = 16
WARM_UP = 200
NOT_INSTALLED = 3

Value = str | int | list[dict[str, "Value"]]
ITEM: dict[str, Value] = {
    "customer_key": "acme#ada",
    "created_at": "2026-11-30T08:00:00.000000Z",
    "order_id": "ord_01a22b7cf4e672ba85fcd3d11997c009",
    "status": "pending",
    "total": 2500,
    "currency": "EUR",
    "lines": [{"sku": "TEA-GREEN-100", "quantity": 2}, {"sku": "POT-GLASS", "quantity": 1}],
}
TABLES = ("orders", "order-ids", "idempotency")

Write = Callable[[], Awaitable[object]]


def typed(value: Any) -> dict[str, Any]:
    match value:
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case list():
            return {"L": [{"M": {name: typed(part) for name, part in each.items()}} for each in value]}
    raise TypeError(type(value))


PAYLOAD = {
    "ClientRequestToken": "00000000-0000-4000-8000-000000000000",
    "TransactItems": [
        {
            "Put": {
                "TableName": table,
                "Item": {name: typed(value) for name, value in ITEM.items()},
                "ConditionExpression": "attribute_not_exists(#n0)",
                "ExpressionAttributeNames": {"#n0": "customer_key"},
            }
        }
        for table in TABLES
    ],
}


async def aws_json_client(endpoint: str, stack: AsyncExitStack) -> Write:
    from aws_json_client import DYNAMODB, Key, StaticCredentials, open_client

    key = StaticCredentials(Key(KEY, KEY))
    client = await stack.enter_async_context(
        open_client(DYNAMODB, region=REGION, endpoint=endpoint, credentials=key, connections=IN_FLIGHT)
    )
    return lambda: client.request("TransactWriteItems", PAYLOAD)


async def botocore(endpoint: str, stack: AsyncExitStack) -> Write:
    """Synchronous: one request at a time."""
    import botocore.session

    session = botocore.session.Session()
    session.set_credentials(KEY, KEY)
    client: Any = session.create_client("dynamodb", region_name=REGION, endpoint_url=endpoint)
    stack.callback(client.close)

    async def write() -> None:
        client.transact_write_items(**PAYLOAD)

    return write


async def aiobotocore(endpoint: str, stack: AsyncExitStack) -> Write:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import AioSession

    session = AioSession()
    session.set_credentials(KEY, KEY)
    config = AioConfig(max_pool_connections=IN_FLIGHT)
    client = await stack.enter_async_context(
        session.create_client("dynamodb", region_name=REGION, endpoint_url=endpoint, config=config)
    )
    return lambda: client.transact_write_items(**PAYLOAD)


async def aioboto3(endpoint: str, stack: AsyncExitStack) -> Write:
    import aioboto3
    from botocore.config import Config

    session = aioboto3.Session(KEY, KEY, region_name=REGION)
    config = Config(max_pool_connections=IN_FLIGHT)
    client = await stack.enter_async_context(session.client("dynamodb", endpoint_url=endpoint, config=config))
    return lambda: client.transact_write_items(**PAYLOAD)


async def aiodynamo(endpoint: str, stack: AsyncExitStack) -> Write:
    """From Python values: it has no other form."""
    import aiohttp
    from aiodynamo.client import Client
    from aiodynamo.credentials import Key, StaticCredentials
    from aiodynamo.expressions import F
    from aiodynamo.http.aiohttp import AIOHTTP
    from aiodynamo.operations import Put
    from yarl import URL

    http = await stack.enter_async_context(aiohttp.ClientSession())
    client = Client(AIOHTTP(http), StaticCredentials(Key(KEY, KEY)), REGION, endpoint=URL(endpoint))
    absent = F("customer_key").does_not_exist()
    return lambda: client.transact_write_items(
        [Put(table, ITEM, absent) for table in TABLES], request_token=str(PAYLOAD["ClientRequestToken"])
    )


async def pydynox(endpoint: str, _: AsyncExitStack) -> Write:
    """From Python values: it has no other form. Its core is written in Rust."""
    from pydynox import DynamoDBClient

    client = DynamoDBClient(region=REGION, access_key=KEY, secret_key=KEY, endpoint_url=endpoint)
    operations = [
        {
            "type": "put",
            "table": table,
            "item": ITEM,
            "condition_expression": "attribute_not_exists(#n0)",
            "expression_attribute_names": {"#n0": "customer_key"},
        }
        for table in TABLES
    ]
    return lambda: client.transact_write(operations, client_request_token=str(PAYLOAD["ClientRequestToken"]))


CLIENTS = {each.__name__: each for each in (aws_json_client, botocore, aiobotocore, aioboto3, aiodynamo, pydynox)}


async def measure(name: str, endpoint: str, count: int) -> float:
    async with AsyncExitStack() as stack:
        write = await CLIENTS[name](endpoint, stack)
        await repeat(write, WARM_UP)
        before = time.process_time()
        await repeat(write, count)
        return (time.process_time() - before) / count * 1e6


async def repeat(write: Write, count: int) -> None:
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await write()

    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


def main() -> None:
    name, endpoint, count = sys.argv[1:]
    try:
        import uvloop

        cpu = uvloop.run(measure(name, endpoint, int(count)))
    except ImportError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(NOT_INSTALLED)
    sys.stdout.write(f"{cpu:.1f}\n")


if __name__ == "__main__":
    main()
