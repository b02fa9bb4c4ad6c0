"""DynamoDB through aiodynamo: about a fourth of a botocore client's CPU per call.

Its own retries are switched off; `RetryPolicy` decides. Every transaction carries a request token made when
it is built and used only to send the same bytes again, so a lost answer never applies it twice.
"""

import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import aioboto3
import aiohttp
from aiodynamo.client import Client
from aiodynamo.errors import ItemNotFound, Throttled, TransactionCanceled
from aiodynamo.expressions import Condition, KeyCondition, UpdateExpression
from aiodynamo.http.aiohttp import AIOHTTP
from aiodynamo.models import BatchGetRequest, Page, RetryConfig, RetryTimeout, ReturnValues, Select
from aiodynamo.operations import ConditionCheck, Delete, Get, Put, Update
from aiodynamo.utils import dy2py
from yarl import URL

from order_shared.aws.retries import RetryPolicy
from order_shared.aws.session import BotocoreCredentials

Item = dict[str, Any]
WriteOperation = Put | Update | Delete | ConditionCheck

CONDITION_FAILED = "ConditionalCheckFailed"
CONNECT_TIMEOUT = 1.0
REQUEST_TIMEOUT = 2.5
MAX_CONNECTIONS = 200


class OneAttempt(RetryConfig):
    """aiodynamo's hook for retries, used to switch them off."""

    def delays(self) -> Iterable[float]:
        return ()

    async def attempts(self) -> AsyncIterator[None]:
        yield
        raise RetryTimeout


@dataclass(frozen=True)
class Dynamo:
    """The few calls that the repositories make, with retries. All numbers are integers.

    Each raises StorageUnavailable at the deadline. Conditions that fail come through as aiodynamo's
    ConditionalCheckFailed and TransactionCanceled: only the repository knows what they mean.
    """

    client: Client
    retries: RetryPolicy

    async def get(self, table: str, key: Item) -> Item | None:
        """Strongly consistent; None if there is no such item."""
        try:
            return await self.retries.run(lambda: self.client.get_item(table, key, consistent_read=True))
        except ItemNotFound:
            return None

    async def get_many(self, table: str, keys: Sequence[Item]) -> list[Item]:
        """Those of up to 100 items that exist, in no order; strongly consistent."""
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
        """Up to `limit` items, in as many requests as it takes; strongly consistent except on an index."""
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
        """What one request gives: up to `limit` items, or as many as 1 MB holds; consistent as `query` is."""
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
        """The item as it is after the update. Raises ConditionalCheckFailed.

        A repeat after a lost answer fails its condition too: the caller treats that as news to read.
        """
        item = await self.retries.run(
            lambda: self.client.update_item(
                table, key, expression, condition=condition, return_values=ReturnValues.all_new
            )
        )
        return item or {}

    async def transact_write(self, operations: Sequence[WriteOperation]) -> None:
        """All or none. Raises TransactionCanceled with positional reasons."""
        token = str(uuid.uuid4())
        await self.retries.run(lambda: self.client.transact_write_items(operations, request_token=token))

    async def transact_get(self, gets: Sequence[Get]) -> list[Item | None]:
        """One snapshot of several items, in their order; None for each that does not exist."""
        payload = {"TransactItems": [get.to_request_payload() for get in gets]}
        answer = await self.retries.run(lambda: self.client.send_request(action="TransactGetItems", payload=payload))
        return [
            dy2py(entry["Item"], self.client.numeric_type) if entry.get("Item") else None
            for entry in answer["Responses"]
        ]

    async def ping(self, table: str, key: Item) -> None:
        """One real read, without retries, of an item that need not exist."""
        with suppress(ItemNotFound):
            await self.client.get_item(table, key)


def failed_conditions(error: TransactionCanceled) -> list[bool]:
    """For each operation of the transaction, whether its condition failed.

    Raises the error again if none did: then it was cancelled for something that no caller foresees.
    """
    failed = [reason is not None and reason.code == CONDITION_FAILED for reason in error.cancellation_reasons]
    if not any(failed):
        raise error
    return failed


@asynccontextmanager
async def open_dynamo(
    session: aioboto3.Session, *, region: str, endpoint: str | None, retries: RetryPolicy
) -> AsyncIterator[Dynamo]:
    """A client for the life of the process, with a pool of its own."""
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT, connect=CONNECT_TIMEOUT)
    connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        client = Client(
            http=AIOHTTP(http),
            credentials=BotocoreCredentials(session),
            region=region,
            endpoint=URL(endpoint) if endpoint else None,
            numeric_type=int,
            throttle_config=OneAttempt(time_limit_secs=0),
        )
        yield Dynamo(client, retries)
