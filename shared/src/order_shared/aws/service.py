"""An AWS service as both adapters speak to it: JSON in, JSON out, signed, sent once.

A botocore client does the same for about five times the CPU: it checks, routes and parses by models of every service.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from aiodynamo.credentials import Credentials
from aiodynamo.errors import NoCredentialsFound
from aiodynamo.http.types import HttpImplementation, Request, Response
from yarl import URL

from order_shared.aws.http import open_http
from order_shared.aws.signing import Signer
from order_shared.clock import utc_now


@dataclass(frozen=True)
class Protocol:
    """How a service is named: in its host and its signatures, and before each operation."""

    name: str
    target_prefix: str

    def url(self, region: str) -> str:
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return f"https://{self.name}.{region}.{suffix}/"


DYNAMODB = Protocol("dynamodb", "DynamoDB_20120810")
SQS = Protocol("sqs", "AmazonSQS")


class JsonService:
    """Without retries: who calls knows what may be sent twice. `send` is the seam below: tests script it."""

    def __init__(
        self, protocol: Protocol, send: HttpImplementation, credentials: Credentials, *, region: str, url: URL
    ) -> None:
        self.credentials = credentials
        self.send = send
        self.region = region
        self._url = str(url)
        self._prefix = protocol.target_prefix
        self._signer = Signer(protocol.name, region, url)

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Response:
        """The answer, whatever its status. Raises NoCredentialsFound, and OSError (a time-out too) if there is none."""
        key = await self.credentials.get_key(self.send)
        if key is None:
            raise NoCredentialsFound
        body = orjson.dumps(payload)
        headers = self._signer.headers(key, f"{self._prefix}.{operation}", body, utc_now())
        return await self.send(Request("POST", self._url, headers, body))


@asynccontextmanager
async def open_service(
    protocol: Protocol,
    credentials: Credentials,
    *,
    region: str,
    endpoint: str | None,
    timeout: float,  # noqa: ASYNC109 - of each request
    connections: int,
) -> AsyncIterator[JsonService]:
    """The service in the region, or at the endpoint, with a pool of connections of its own."""
    url = URL(endpoint or protocol.url(region))
    async with open_http(url, timeout=timeout, connections=connections) as send:
        yield JsonService(protocol, send, credentials, region=region, url=url)
