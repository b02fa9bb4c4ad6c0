"""Read and empty whole tables without the repositories."""

from order_shared.aws.dynamodb import Dynamo, Item
from order_shared.aws.encoding import attributes

PAGE = 1000


async def scan(dynamo: Dynamo, table: str) -> list[Item]:
    """Return every item. Strongly consistent."""
    found: list[Item] = []
    start_key: Item | None = None
    while True:
        page = await dynamo.scan_page(table, limit=PAGE, start_key=start_key)
        found += page.items
        start_key = page.last_evaluated_key
        if start_key is None:
            return found


async def delete(dynamo: Dynamo, table: str, key: Item) -> None:
    await dynamo.client.request("DeleteItem", {"TableName": table, "Key": attributes(key)})
