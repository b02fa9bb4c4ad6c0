"""Client of one AWS service: signed requests with retries."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aws_json_client.credentials import BotocoreCredentials, CredentialsProvider
from aws_json_client.endpoints import Service
from aws_json_client.retries import RetryPolicy
from aws_json_client.transport import Transport, open_transport


class AwsClient:
    """Client of one AWS service. Payloads and results are the JSON objects of AWS's API reference."""

    def __init__(self, transport: Transport, retries: RetryPolicy | None = None) -> None:
        self.transport = transport
        self.retries = retries or RetryPolicy()

    async def request(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of an operation that is safe to repeat.

        Raises Unavailable when no attempt is left, and ServiceError at once if a retry would not help. After
        Unavailable the outcome is unknown.
        """
        return (await self.retries.run(lambda: self.transport.call(operation, payload))).content

    async def request_once(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of one attempt. Raises AwsError."""
        return (await self.transport.call(operation, payload)).content


@asynccontextmanager
async def open_client(
    service: Service,
    *,
    region: str,
    endpoint: str | None = None,
    credentials: CredentialsProvider | None = None,
    retries: RetryPolicy | None = None,
    timeout: float = 5.0,  # noqa: ASYNC109 - limit of each request
    connections: int = 10,
) -> AsyncIterator[AwsClient]:
    """Open a client until the end of the block. By default, botocore's credential chain provides the credentials.

    `timeout` limits each response, in seconds. Raises ValueError for an unknown region or an invalid endpoint.
    """
    async with open_transport(
        service,
        credentials or BotocoreCredentials(),
        region=region,
        endpoint=endpoint,
        timeout=timeout,
        connections=connections,
    ) as transport:
        yield AwsClient(transport, retries)
