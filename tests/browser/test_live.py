"""Live parts of pages: they go live, say when they are not, and show the present state after an interruption."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus

import htpy as h
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route as Path

from order_pages.frame import Site
from order_pages.live import CONTENT_TYPE, live_part, message
from tests.browser.rule import faults_of
from tests.browser.serving import serving_pages

pytestmark = pytest.mark.asyncio(loop_scope="session")

SITE = Site(name="Counter")
PAGE = "/pages/counter"
DELAY_SECONDS = 0.3
HIDE = """hidden => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@dataclass
class Counter:
    """A page with a number, and its stream."""

    address: str = ""
    number: int = 0
    streams: int = 0
    refusals: list[HTTPStatus] = field(default_factory=list)
    """Statuses of the next connections that are refused."""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    is_ended: bool = False

    async def show(self, _: Request) -> Response:
        return HTMLResponse(SITE.page("Counter", live_part("counter", f"{PAGE}/stream", self._part()), is_live=True))

    async def stream(self, _: Request) -> Response:
        if self.refusals:
            return PlainTextResponse("refused by the test", self.refusals.pop(0))
        return StreamingResponse(self._messages(), media_type=CONTENT_TYPE)

    async def set(self, number: int) -> None:
        async with self.changed:
            self.number = number
            self.changed.notify_all()

    async def end_streams(self) -> None:
        async with self.changed:
            self.is_ended = True
            self.changed.notify_all()
            await self.changed.wait_for(lambda: self.streams == 0)
            self.is_ended = False

    async def without_streams(self) -> None:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: self.streams == 0)

    def _part(self) -> h.Element:
        return h.p[f"The number is {self.number}."]

    def _has_news(self, sent: int) -> bool:
        return self.is_ended or self.number != sent

    async def _messages(self) -> AsyncIterator[bytes]:
        self.streams += 1
        try:
            while not self.is_ended:
                number = self.number
                yield message(self._part(), number)
                async with self.changed:
                    await self.changed.wait_for(partial(self._has_news, number))
        finally:
            self.streams -= 1
            async with self.changed:
                self.changed.notify_all()


@pytest_asyncio.fixture(loop_scope="session")
async def counter() -> AsyncIterator[Counter]:
    counter = Counter()
    async with serving_pages([Path(PAGE, counter.show), Path(f"{PAGE}/stream", counter.stream)]) as address:
        counter.address = address
        yield counter
        await counter.end_streams()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page()
    yield page
    await page.close()


async def open_page(page: Page, counter: Counter, status: str = "Live") -> None:
    await page.goto(counter.address + PAGE)
    await expect_status(page, status)


async def expect_status(page: Page, status: str) -> None:
    await expect(page.get_by_role("status")).to_contain_text(status)


async def expect_number(page: Page, number: int) -> None:
    await expect(page.locator("#counter")).to_have_text(f"The number is {number}.")


async def test_a_page_goes_live_and_follows(page: Page, counter: Counter) -> None:
    await open_page(page, counter)
    await counter.set(7)
    await expect_number(page, 7)


async def test_every_fresh_browser_goes_live_with_a_slow_script(
    browser: Browser, counter: Counter, request: pytest.FixtureRequest
) -> None:
    async def delay(route: Route) -> None:
        await asyncio.sleep(DELAY_SECONDS)
        await route.continue_()

    async def visit() -> None:
        async with await browser.new_context() as fresh:
            await fresh.route("**/htmx.*.js", delay)
            page = await fresh.new_page()
            await open_page(page, counter)
            await expect_number(page, 7)

    await counter.set(7)
    visits = 20 if request.config.getoption("--all-pages") else 4
    await asyncio.gather(*(visit() for _ in range(visits)))


async def test_a_hidden_tab_shows_the_present_state_when_it_is_seen_again(page: Page, counter: Counter) -> None:
    await open_page(page, counter)
    await page.evaluate(HIDE, arg=True)
    await expect_status(page, "Paused")
    await counter.without_streams()
    await counter.set(8)
    await page.evaluate(HIDE, arg=False)
    await expect_number(page, 8)
    await expect_status(page, "Live")


async def test_a_stream_that_ends_is_opened_again(page: Page, counter: Counter) -> None:
    await open_page(page, counter)
    counter.refusals = [HTTPStatus.SERVICE_UNAVAILABLE]
    await counter.end_streams()
    await expect_status(page, "Paused")
    await counter.set(9)
    await expect_number(page, 9)
    await expect_status(page, "Live")


async def test_a_first_connection_that_fails_is_repeated_and_replaces_nothing(page: Page, counter: Counter) -> None:
    counter.refusals = [HTTPStatus.SERVICE_UNAVAILABLE]
    await open_page(page, counter, "Paused")
    await expect_number(page, 0)
    await expect_status(page, "Live")
    await counter.set(3)
    await expect_number(page, 3)


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_session_that_ended_is_said(page: Page, counter: Counter, is_first: bool) -> None:  # noqa: FBT001
    refusals = [HTTPStatus.UNAUTHORIZED] * 100
    if is_first:
        counter.refusals = refusals
        await open_page(page, counter, "Signed out")
    else:
        await open_page(page, counter)
        counter.refusals = refusals
        await counter.end_streams()
        await expect_status(page, "Signed out")
    await expect_number(page, 0)


async def test_a_live_page_has_no_fault(browser: Browser, counter: Counter) -> None:
    assert [str(each) for each in await faults_of(browser, counter.address + PAGE)] == []


async def test_without_javascript_it_asks_to_reload(browser: Browser, counter: Counter) -> None:
    async with await browser.new_context(java_script_enabled=False) as context:
        page = await context.new_page()
        await open_page(page, counter, "Reload the page")
        await expect_number(page, 0)
