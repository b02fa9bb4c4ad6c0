"""HTTP client for Stripe's SDK."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx2
import stripe

from aws_json_client.proxies import proxy_for


class HttpxClient(stripe.HTTPClient):
    """HTTP client with a time-out for the whole request, which the SDK's client does not have."""

    name = "httpx2"

    def __init__(self, api_base: str, connect_seconds: float, request_seconds: float) -> None:
        super().__init__()
        self._request_seconds = request_seconds
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(request_seconds, connect=connect_seconds),
            transport=httpx2.AsyncHTTPTransport(
                proxy=proxy_for(api_base),
                limits=httpx2.Limits(max_connections=None),  # the number of concurrent messages is the limit
            ),
        )

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        try:
            async with asyncio.timeout(self._request_seconds):
                response = await self._client.request(method, url, headers=headers, content=post_data)
        except (httpx2.HTTPError, TimeoutError) as error:
            name = type(error).__name__
            raise stripe.APIConnectionError(name, should_retry=True) from error  # type: ignore[no-untyped-call] # SDK's
        return response.content, response.status_code, response.headers

    async def sleep_async(self, secs: float) -> None:
        await asyncio.sleep(secs)

    async def close_async(self) -> None:
        await self._client.aclose()
