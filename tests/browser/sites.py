"""The web pages of the platform: each page and fragment is examined by the rule.

A new page gets an entry here. Pages in `more` have the form of another page: only `make test-browser` examines them.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from order_api.problems import KINDS
from tests.browser.local_pages import open_local_pages
from tests.unit.api.sockets import serving


@dataclass(frozen=True, kw_only=True)
class Site:
    name: str
    open: Callable[[], AbstractAsyncContextManager[str]]
    """Starts the site and returns its address, without a path."""
    pages: tuple[str, ...]
    fragments: tuple[str, ...] = ()
    """Parts of pages, which htmx or a stream puts into a page."""
    more: tuple[str, ...] = ()
    """Further pages of the same form as others."""


@asynccontextmanager
async def open_order_api() -> AsyncIterator[str]:
    async with serving() as port:
        yield f"http://127.0.0.1:{port}"


ORDER_API = Site(
    name="order-api",
    open=open_order_api,
    pages=("/pages/api", "/pages/errors", "/pages/errors/unknown_sku", "/pages/errors/no_such_code"),
    more=tuple(f"/pages/errors/{code}" for code in KINDS if code != "unknown_sku"),
)

LOCAL_STACK = Site(
    name="local-stack",
    open=open_local_pages,
    pages=("/pages/start", "/pages/lab"),
)

SITES = (ORDER_API, LOCAL_STACK)
