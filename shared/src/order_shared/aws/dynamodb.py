"""DynamoDB: reads and writes of items, and transactions. aiodynamo builds conditions and updates.

Every write transaction has its own request token, and a retry sends the same bytes. A retry after a lost response
therefore never applies the transaction twice.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiodynamo.errors import ConditionalCheckFailed, TableNotFound, TransactionCanceled
from aiodynamo.expressions import Condition, KeyCondition, UpdateExpression
from aiodynamo.models import Page
from aiodynamo.operations import Get, Update
from aiodynamo.utils import dy2py

from aws_json_client import (
    DYNAMODB,
    AwsClient,
    AwsError,
    CredentialsProvider,
    RetryPolicy,
    ServiceError,
    Unavailable,
    open_transport,
)
from order_shared.aws.connect import Connect, Decorate, undecorated
from order_shared.aws.encoding import WriteOperation, attributes, encoded, encoded_condition
from order_shared.domain.errors import StorageUnavailable
from order_shared.entropy import random_uuid

Item = dict[str, Any]

CONDITION_FAILED = "ConditionalCheckFailed"
REQUEST_TIMEOUT = 2.5
"""Seconds to wait for a response. `RetryPolicy.attempt_limit` also includes the timeouts for credentials and for a
connection."""
MAX_CONNECTIONS = 200

CONTENTION = frozenset({"conflict", "throttled"})
"""Reasons of failed requests that are not outages: DynamoDB responds, but throttles or reports a conflict."""

CONDITION_FAILED_CODE = "ConditionalCheckFailedException"

ERRORS = {
    CONDITION_FAILED_CODE: ConditionalCheckFailed,
    "TransactionCanceledException": TransactionCanceled,
    "ResourceNotFoundException": TableNotFound,
}
"""Exceptions of aiodynamo that repositories handle, by DynamoDB's error code."""


class FirstAttemptRefused(ConditionalCheckFailed):
    """The condition did not hold at the first attempt, so that no attempt of this request has changed the item."""


class _Unprocessed(AwsError):
    """DynamoDB did not process some items of a batch, because it lacked capacity."""

    def __init__(self) -> None:
        super().__init__("items of a batch were not processed", reason="throttled")


@dataclass(frozen=True)
class Dynamo:
    """DynamoDB client of the repositories, with retries. All numbers in items are integers.

    Each call raises StorageUnavailable when no attempt is left. A failed condition raises ConditionalCheckFailed or
    TransactionCanceled (aiodynamo's exceptions), which the repository interprets.
    """

    client: AwsClient

    async def _request(self, operation: str, payload: Item) -> Item:
        """Return the result of an operation. Raises the exception in ERRORS for its codes, otherwise ServiceError."""
        try:
            return await self.client.request(operation, payload)
        except Unavailable as error:
            raise StorageUnavailable(f"DynamoDB: {error}", contended=error.reason in CONTENTION) from error
        except ServiceError as error:
            if error.code == CONDITION_FAILED_CODE and error.attempts == 1:
                raise FirstAttemptRefused(error.content) from error
            if error.code in ERRORS:
                raise ERRORS[error.code](error.content) from error
            raise

    async def get(self, table: str, key: Item) -> Item | None:
        """Return the item, or None if it does not exist. Strongly consistent."""
        payload = {"TableName": table, "Key": attributes(key), "ConsistentRead": True}
        return _item(await self._request("GetItem", payload))

    async def get_many(self, table: str, keys: Sequence[Item]) -> list[Item]:
        """Return the items that exist among up to 100 keys, in no particular order. Strongly consistent."""
        found: list[Item] = []
        left = [attributes(key) for key in keys]

        async def read() -> None:
            nonlocal left
            request = {table: {"Keys": left, "ConsistentRead": True}}
            answer = await self.client.request_once("BatchGetItem", {"RequestItems": request})
            found.extend(dy2py(item, int) for item in answer["Responses"].get(table, ()))
            left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            if left:
                raise _Unprocessed

        try:
            await self.client.retries.run(read)
        except Unavailable as error:
            raise StorageUnavailable(f"DynamoDB: {error}") from error
        return found

    async def query(
        self,
        table: str,
        condition: KeyCondition,
        *,
        limit: int,
        index: str | None = None,
        descending: bool = False,
    ) -> list[Item]:
        """Return up to `limit` items, in as many requests as needed. Strongly consistent except on an index."""
        found: list[Item] = []
        start_key: Item | None = None
        while len(found) < limit:
            page = await self.query_page(
                table,
                condition,
                limit=limit - len(found),
                index=index,
                descending=descending,
                start_key=start_key,
            )
            found += page.items
            start_key = page.last_evaluated_key
            if start_key is None:
                break
        return found

    async def query_page(
        self,
        table: str,
        condition: KeyCondition,
        *,
        limit: int,
        index: str | None = None,
        descending: bool = False,
        start_key: Item | None = None,
    ) -> Page:
        """Return one page: up to `limit` items or 1 MB. Strongly consistent except on an index."""
        payload: Item = {
            "TableName": table,
            "Limit": limit,
            "ScanIndexForward": not descending,
            "ConsistentRead": index is None,
            "Select": "ALL_ATTRIBUTES" if index is None else "ALL_PROJECTED_ATTRIBUTES",
            **encoded_condition(condition),
        }
        if index is not None:
            payload["IndexName"] = index
        if start_key is not None:
            payload["ExclusiveStartKey"] = attributes(start_key)
        return _page(await self._request("Query", payload))

    async def scan_page(
        self, table: str, *, limit: int, segment: int = 0, segments: int = 1, start_key: Item | None = None
    ) -> Page:
        """Return one page of a scan of the whole table, or of one of its segments. Strongly consistent."""
        payload: Item = {
            "TableName": table,
            "Limit": limit,
            "ConsistentRead": True,
            "Segment": segment,
            "TotalSegments": segments,
        }
        if start_key is not None:
            payload["ExclusiveStartKey"] = attributes(start_key)
        return _page(await self._request("Scan", payload))

    async def put(self, table: str, item: Item) -> None:
        """Write an item. An existing item is replaced."""
        await self._request("PutItem", {"TableName": table, "Item": attributes(item)})

    async def item_count(self, table: str) -> int:
        """Return the approximate number of items, which AWS updates every six hours. Raises TableNotFound."""
        answer = await self._request("DescribeTable", {"TableName": table})
        return int(answer["Table"].get("ItemCount", 0))

    async def update(self, table: str, key: Item, expression: UpdateExpression, *, condition: Condition) -> Item:
        """Update the item and return its new state. Raises ConditionalCheckFailed.

        If the response of a successful attempt was lost, the retry may raise ConditionalCheckFailed. The caller must
        then read the item to find out, unless the error is FirstAttemptRefused.
        """
        payload = encoded(Update(table, key, expression, condition))["Update"]
        answer = await self._request("UpdateItem", {**payload, "ReturnValues": "ALL_NEW"})
        return dy2py(answer.get("Attributes", {}), int)

    async def transact_write(self, operations: Sequence[WriteOperation]) -> None:
        """Apply all operations or none. Raises TransactionCanceled, with one reason per operation."""
        await self._request("TransactWriteItems", _transaction(operations))

    async def try_transact_write(self, operations: Sequence[WriteOperation]) -> bool:
        """Send a transaction once, without retries. Return True if DynamoDB has applied it.

        False means that the transaction was cancelled, or that its outcome is unknown.
        """
        try:
            await self.client.request_once("TransactWriteItems", _transaction(operations))
        except AwsError:
            return False
        return True

    async def transact_get(self, gets: Sequence[Get]) -> list[Item | None]:
        """Return a snapshot of several items, in the order of `gets`, with None for each that does not exist."""
        answer = await self._request("TransactGetItems", {"TransactItems": [get.to_request_payload() for get in gets]})
        return [_item(entry) for entry in answer["Responses"]]

    async def ping(self, table: str, key: Item) -> None:
        """Read an item once, without retries. The item need not exist. Raises AwsError."""
        await self.client.request_once("GetItem", {"TableName": table, "Key": attributes(key)})


def _item(holder: Item) -> Item | None:
    return dy2py(holder["Item"], int) if holder.get("Item") else None


def _transaction(operations: Sequence[WriteOperation]) -> Item:
    items = [encoded(operation) for operation in operations]
    return {"ClientRequestToken": str(random_uuid()), "TransactItems": items}


def _page(answer: Item) -> Page:
    last_key = answer.get("LastEvaluatedKey")
    return Page([dy2py(item, int) for item in answer["Items"]], dy2py(last_key, int) if last_key else None)


def failed_conditions(error: TransactionCanceled) -> list[bool]:
    """Return, for each operation of a cancelled transaction, whether its condition failed.

    If no condition failed, raises `error`: callers handle only failed conditions.
    """
    failed = [reason is not None and reason.code == CONDITION_FAILED for reason in error.cancellation_reasons]
    if not any(failed):
        raise error
    return failed


@asynccontextmanager
async def open_dynamo(
    credentials: CredentialsProvider,
    *,
    region: str,
    endpoint: str | None,
    retries: RetryPolicy,
    decorate: Decorate = undecorated,
    connect: Connect = open_transport,
) -> AsyncIterator[Dynamo]:
    """Open a client with its own connection pool until the end of the block."""
    async with connect(
        DYNAMODB,
        credentials,
        region=region,
        endpoint=endpoint,
        timeout=REQUEST_TIMEOUT,
        connections=MAX_CONNECTIONS,
    ) as transport:
        yield Dynamo(AwsClient(decorate(transport), retries))
