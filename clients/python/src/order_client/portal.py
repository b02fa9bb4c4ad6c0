"""Calls of the asynchronous client from programs without an event loop."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from copy import copy
from typing import Self, TypeVar

import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal

from order_client.client import OrderClient
from order_client.retries import RetryPolicy, Time

T = TypeVar("T")


class Blocking:
    """Base of the synchronous client: an asynchronous client, and a thread with an event loop for it."""

    _client: OrderClient

    def __init__(
        self,
        base_url: str,
        token: str | Callable[[], str],
        *,
        retries: RetryPolicy | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        time: Time | None = None,
    ) -> None:
        """Create a client. `token` is a bearer token or a function that returns one, called before every attempt.

        Raises ValueError for an invalid base URL, and if the environment names a proxy that cannot be used.
        """
        self._client = OrderClient(base_url, _asynchronous(token), retries=retries, transport=transport, time=time)
        self._resources = ExitStack()
        self._portal: BlockingPortal = self._resources.enter_context(start_blocking_portal())
        self._resources.callback(lambda: self._portal.call(self._client.aclose))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread. `with` does this automatically."""
        self._resources.close()

    def acting_for(self, customer: str) -> Self:
        """Return a client that acts for another customer of the token's tenant, over the same connections.

        The token needs the scope `orders:act`. Close only one of the clients. Raises ValueError for a customer whose
        subject a header cannot contain.
        """
        acting = copy(self)
        acting._client = self._client.acting_for(customer)  # noqa: SLF001 - of a copy of this object
        return acting

    def _run(self, function: Callable[[], Awaitable[T]]) -> T:
        return self._portal.call(function)

    def _iterate(self, values: AsyncIterator[T]) -> Iterator[T]:
        """Yield the values. The next one is requested only when it is needed."""
        ended = object()

        async def close() -> None:
            if isinstance(values, AsyncGenerator):
                await values.aclose()

        async def following() -> T | object:
            return await anext(values, ended)

        try:
            while (value := self._portal.call(following)) is not ended:
                yield value  # type: ignore[misc] # it is not `ended`
        finally:
            self._portal.call(close)


def _asynchronous(token: str | Callable[[], str]) -> str | Callable[[], Awaitable[str]]:
    """Return the token, or its function as an async one that runs in a thread: it may take long."""
    if isinstance(token, str):
        return token

    async def in_thread() -> str:
        return await asyncio.to_thread(token)

    return in_thread
