"""Read and empty whole tables without the repositories."""

from devstack.lab.books import scan
from order_shared.aws.dynamodb import Dynamo, Item
from order_shared.aws.encoding import attributes

__all__ = ["delete", "scan"]


async def delete(dynamo: Dynamo, table: str, key: Item) -> None:
    await dynamo.client.request("DeleteItem", {"TableName": table, "Key": attributes(key)})
