"""One browser and one process of each site for all tests of a session, in the session's event loop."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.browser.chromium import MISSING, find_chromium
from tests.browser.sites import SITES, Site

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
                addresses[site.name] = await sites.enter_async_context(site.open())
            return addresses[site.name]

        yield address_of
