"""DynamoDB through aiodynamo: about a fourth of a botocore client's CPU per call.

Nothing is sent again below `RetryPolicy`, which decides. Every transaction carries a request token made when
it is built and used only to send the same bytes again, so a lost answer never applies it twice.
"""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, Self

import aioboto3
import orjson
from aiodynamo.client import Client
from aiodynamo.errors import ItemNotFound, Throttled, TransactionCanceled, exception_from_response
from aiodynamo.expressions import Condition, KeyCondition, UpdateExpression
from aiodynamo.models import BatchGetRequest, Page, ReturnValues, Select
from aiodynamo.operations import Get
from aiodynamo.utils import dy2py

from order_shared.aws.credentials import BotocoreCredentials
from order_shared.aws.encoding import WriteOperation, encoded
from order_shared.aws.errors import error_code
from order_shared.aws.retries import RetryPolicy
from order_shared.aws.service import DYNAMODB, Decorate, Transport, open_service, undecorated

Item = dict[str, Any]

CONDITION_FAILED = "ConditionalCheckFailed"
REQUEST_TIMEOUT = 2.5
"""Seconds. With the time-outs for credentials and for a connection it is `RetryPolicy.attempt_limit`."""
MAX_CONNECTIONS = 200


@dataclass(frozen=True)
class DynamoClient(Client):
    """aiodynamo's client over our own transport."""

    service: Transport = field(kw_only=True)

    @classmethod
    def of(cls, service: Transport) -> Self:
        return cls(service.send, service.credentials, service.region, numeric_type=int, service=service)

    async def send_request(self, *, action: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Make one attempt. Raises the service's errors as aiodynamo's."""
        response = await self.service.call(action, payload)
        if response.status == HTTPStatus.OK:
            try:
                answer = orjson.loads(response.body)
            except orjson.JSONDecodeError as fault:
                raise ConnectionError("the answer is not JSON") from fault  # not of DynamoDB's making
            if not isinstance(answer, dict):
                raise ConnectionError("the answer is no JSON object")
            return answer
        if response.status < HTTPStatus.INTERNAL_SERVER_ERROR and error_code(response.body) is None:
            raise ConnectionError(f"the answer {response.status} is not DynamoDB's")  # a proxy's, or a captive portal's
        raise exception_from_response(response.status, response.body)


@dataclass(frozen=True)
class Dynamo:
    """Calls of DynamoDB that the repositories make, with retries. All numbers are integers.

    Each raises StorageUnavailable at the deadline. Conditions that fail come through as aiodynamo's
    ConditionalCheckFailed and TransactionCanceled: only the repository knows what they mean.
    """

    client: DynamoClient
    retries: RetryPolicy

    async def get(self, table: str, key: Item) -> Item | None:
        """Return the item, or None if it does not exist. Strongly consistent."""
        try:
            return await self.retries.run(lambda: self.client.get_item(table, key, consistent_read=True))
        except ItemNotFound:
            return None

    async def get_many(self, table: str, keys: Sequence[Item]) -> list[Item]:
        """Return the existing ones of up to 100 items, in no order. Strongly consistent."""
        found: list[Item] = []
        wanted = list(keys)

        async def read() -> None:
            nonlocal wanted
            request = {table: BatchGetRequest(keys=wanted, consistent_read=True)}
            answer = await self.client.batch_get(request)
            found.extend(answer.items.get(table, []))
            wanted = list(answer.unprocessed_keys.get(table, []))
            if wanted:
                raise Throttled  # DynamoDB leaves out what it has no capacity for

        await self.retries.run(read)
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
        """Return the page of one request: up to `limit` items, or as many as 1 MB holds; consistent as `query` is."""
        return await self.retries.run(
            partial(
                self.client.query_single_page,
                table,
                condition,
                start_key=start_key,
                index=index,
                limit=limit,
                scan_forward=not descending,
                consistent_read=index is None,
                select=Select.all_attributes if index is None else Select.all_projected_attributes,
            )
        )

    async def update(self, table: str, key: Item, expression: UpdateExpression, *, condition: Condition) -> Item:
        """Update the item and return it as it is then. Raises ConditionalCheckFailed.

        A repeat after a lost answer fails its condition too, so the caller reads the item again.
        """
        item = await self.retries.run(
            lambda: self.client.update_item(
                table, key, expression, condition=condition, return_values=ReturnValues.all_new
            )
        )
        return item or {}

    async def transact_write(self, operations: Sequence[WriteOperation]) -> None:
        """Write all or nothing. Raises TransactionCanceled with positional reasons."""
        payload = {
            "ClientRequestToken": str(uuid.uuid4()),
            "TransactItems": [encoded(operation) for operation in operations],
        }
        await self.retries.run(lambda: self.client.send_request(action="TransactWriteItems", payload=payload))

    async def transact_get(self, gets: Sequence[Get]) -> list[Item | None]:
        """Return one snapshot of several items, in their order, with None for each that does not exist."""
        payload = {"TransactItems": [get.to_request_payload() for get in gets]}
        answer = await self.retries.run(lambda: self.client.send_request(action="TransactGetItems", payload=payload))
        return [
            dy2py(entry["Item"], self.client.numeric_type) if entry.get("Item") else None
            for entry in answer["Responses"]
        ]

    async def ping(self, table: str, key: Item) -> None:
        """Read an item once, without retries. It need not exist."""
        with suppress(ItemNotFound):
            await self.client.get_item(table, key)


def failed_conditions(error: TransactionCanceled) -> list[bool]:
    """Return for each operation of a cancelled transaction whether its condition failed.

    Raises the error again if none did: the reason is one that no caller expects.
    """
    failed = [reason is not None and reason.code == CONDITION_FAILED for reason in error.cancellation_reasons]
    if not any(failed):
        raise error
    return failed


@asynccontextmanager
async def open_dynamo(
    session: aioboto3.Session,
    *,
    region: str,
    endpoint: str | None,
    retries: RetryPolicy,
    decorate: Decorate = undecorated,
) -> AsyncIterator[Dynamo]:
    """Open a client for the life of the process, with its own connection pool."""
    async with open_service(
        DYNAMODB,
        BotocoreCredentials(session),
        region=region,
        endpoint=endpoint,
        timeout=REQUEST_TIMEOUT,
        connections=MAX_CONNECTIONS,
        decorate=decorate,
    ) as service:
        yield Dynamo(DynamoClient.of(service), retries)
