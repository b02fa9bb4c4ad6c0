"""One browser and one process of each site for all tests of a session, in the session's event loop."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.browser.chromium import MISSING, find_chromium
from tests.browser.sites import SITES, Site
from tests.waiting import eventually

AddressOf = Callable[[Site], Awaitable[str]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with the parameter `subject` for each page and fragment."""
    if "subject" not in metafunc.fixturenames:
        return
    is_complete = metafunc.config.getoption("--all-pages")
    subjects = [
        pytest.param((site, path, path in site.fragments), id=f"{site.name}{path}")
        for site in SITES
        for path in (*site.pages, *site.fragments, *(site.more if is_complete else ()))
    ]
    metafunc.parametrize("subject", subjects)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip(MISSING)
    async with async_playwright() as playwright, await playwright.chromium.launch(executable_path=path) as browser:
        yield browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def address_of() -> AsyncIterator[AddressOf]:
    """Return a function that starts a site at its first call, and returns its address."""
    addresses: dict[str, str] = {}
    async with AsyncExitStack() as sites:

        async def address_of(site: Site) -> str:
            if site.name not in addresses:
                with kept_handlers():
                    addresses[site.name] = address = await sites.enter_async_context(site.open())
                    await eventually(lambda: responds(address), f"the pages of {site.name}")
            return addresses[site.name]

        yield address_of


async def responds(address: str) -> bool:
    async with httpx2.AsyncClient(trust_env=False) as http:
        try:
            await http.get(address)
        except httpx2.TransportError:
            return False
    return True


@contextmanager
def kept_handlers() -> Iterator[None]:
    """Restore the handlers of signals that the block replaces.

    A server takes SIGINT and SIGTERM until it ends, which would be at the end of the session: later tests send them.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
