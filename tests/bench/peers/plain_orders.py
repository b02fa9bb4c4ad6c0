"""The plain loop with the real effect: each order confirmed and its stock taken, in one transaction.

The transaction does what the platform's own does (the same items, the same conditions that guard them): the order goes
from pending to confirmed if it is still so and nobody has asked to cancel it; each line takes its quantity if so much
is there. What is left out is all that surrounds it: leases, rejection, retries of our own, metrics, health.
"""

import json
from datetime import UTC, datetime
from typing import Any

import aioboto3
import uvloop

from tests.bench.peers.plain_loop import consume
from tests.bench.peers.tally import count

ORDERS = "local-orders"
INVENTORY = "local-inventory"


def confirm(event: Any) -> Any:
    """The order of an event `order.processing_requested.v1` moves from pending to confirmed."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "Update": {
            "TableName": ORDERS,
            "Key": {
                "customer_key": {"S": f"{event['tenantid']}#{event['data']['customer']}"},
                "created_at": {"S": event["time"]},
            },
            "UpdateExpression": (
                "SET #status = :confirmed, fence = :next_fence, updated_at = :now, version = version + :one,"
                " timeline = list_append(timeline, :entry) REMOVE open_shard, due_at, sweeps"
            ),
            "ConditionExpression": (
                "order_id = :id AND #status = :pending AND fence = :fence AND item_version <= :known_version"
                " AND attribute_not_exists(cancel_requested_at)"
            ),
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {
                ":confirmed": {"S": "confirmed"},
                ":pending": {"S": "pending"},
                ":id": {"S": event["subject"]},
                ":fence": {"N": "0"},
                ":next_fence": {"N": "1"},
                ":one": {"N": "1"},
                ":known_version": {"N": "2"},
                ":now": {"S": now},
                ":entry": {"L": [{"M": {"status": {"S": "confirmed"}, "at": {"S": now}}}]},
            },
        }
    }


def take(tenant: str, line: Any) -> Any:
    """The quantity of a line leaves the stock, if it is there."""
    return {
        "Update": {
            "TableName": INVENTORY,
            "Key": {
                "product_key": {"S": f"{tenant}#{line['sku']}"},
                "record": {"S": f"stock#{line['shard']:02d}"},
            },
            "UpdateExpression": "SET available = available - :quantity",
            "ConditionExpression": "available >= :quantity",
            "ExpressionAttributeValues": {":quantity": {"N": str(line["quantity"])}},
        }
    }


async def main() -> None:
    async with aioboto3.Session().client("dynamodb") as dynamodb:

        async def process(message: Any) -> None:
            event = json.loads(message["Body"])
            stock = [take(event["tenantid"], line) for line in event["data"]["lines"]]
            await dynamodb.transact_write_items(TransactItems=[confirm(event), *stock])
            count()

        await consume(process)


if __name__ == "__main__":
    uvloop.run(main())
