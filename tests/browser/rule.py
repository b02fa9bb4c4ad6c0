"""The rule for every page: no console error, no request elsewhere, security headers, nothing inline, usable by keyboard
and without JavaScript, no sideways scroll, no serious finding of axe-core, at two widths, light and dark.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import urlsplit

from markupsafe import Markup
from playwright.async_api import Browser, ConsoleMessage, Page, Request, Response, Route

import order_pages.frame
from order_pages.headers import SECURITY_HEADERS

HEIGHT = 900
Scheme = Literal["light", "dark"]
WIDE, NARROW = 1280, 360
VIEWS: tuple[tuple[int, Scheme], ...] = ((WIDE, "light"), (NARROW, "dark"))
ALL_VIEWS: tuple[tuple[int, Scheme], ...] = (*VIEWS, (WIDE, "dark"), (NARROW, "light"))
SERIOUS = ("serious", "critical")
TIMEOUT_MS = 10_000
FRAGMENT_FRAME = order_pages.frame.Site(name="Fragment")
SCRIPTS = files("tests.browser") / "scripts"


class Kind(StrEnum):
    ACCESSIBILITY = "finding of axe-core"
    CONSOLE = "console error"
    ELSEWHERE = "request elsewhere"
    HEADERS = "missing header"
    INLINE = "inline script or style"
    KEYBOARD = "not usable by keyboard"
    NEEDS_SCRIPT = "needs JavaScript"
    SIDEWAYS = "sideways scroll"


@dataclass(frozen=True, kw_only=True)
class Fault:
    kind: Kind
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


async def faults_of(
    browser: Browser, address: str, *, is_fragment: bool = False, views: Sequence[tuple[int, Scheme]] = VIEWS
) -> list[Fault]:
    """Return the faults of the page, or of the fragment in the frame of a page."""
    found: list[Fault] = []
    async with _opened(browser, address, is_fragment=is_fragment, found=found) as (page, response):
        found += _missing_headers(response)
        found += [Fault(kind=Kind.INLINE, detail=each) for each in await page.evaluate(_script("inline"))]
        found += [
            Fault(kind=Kind.NEEDS_SCRIPT, detail=each) for each in await page.evaluate(_script("without_fallback"))
        ]
        with_script = await _uses(page)
        await page.evaluate(_script("open_all"))
        found += await _faults_of_keyboard(page)
        await page.evaluate(_axe())
        for width, scheme in views:
            await page.set_viewport_size({"width": width, "height": HEIGHT})
            await page.emulate_media(color_scheme=scheme)
            found += await _sideways(page, width)
            found += await _findings(page, f"at {width} px, {scheme}")
    async with _opened(browser, address, is_fragment=is_fragment, found=[], has_script=False) as (page, _):
        found += _only_with_script(with_script, await _uses(page))
    return [*dict.fromkeys(found)]


@asynccontextmanager
async def _opened(
    browser: Browser, address: str, *, is_fragment: bool, found: list[Fault], has_script: bool = True
) -> AsyncIterator[tuple[Page, Response]]:
    """Open a page, and note console errors and requests elsewhere, which are not sent."""
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(address))
    context = await browser.new_context(
        viewport={"width": WIDE, "height": HEIGHT}, color_scheme="light", java_script_enabled=has_script
    )

    def is_elsewhere(url: str) -> bool:
        return url != origin and not url.startswith((f"{origin}/", "data:", "blob:"))

    def note_message(message: ConsoleMessage) -> None:
        is_own_status = message.location.get("url") == address and message.text.startswith("Failed to load resource")
        if message.type == "error" and not is_own_status:
            found.append(Fault(kind=Kind.CONSOLE, detail=message.text))

    def note_request(request: Request) -> None:
        if is_elsewhere(request.url):
            found.append(Fault(kind=Kind.ELSEWHERE, detail=request.url))

    try:
        context.set_default_timeout(TIMEOUT_MS)
        context.on("console", note_message)
        context.on("weberror", lambda error: found.append(Fault(kind=Kind.CONSOLE, detail=str(error.error))))
        context.on("request", note_request)
        await context.route(is_elsewhere, lambda route: route.abort())
        if is_fragment:
            await context.route(address, _put_into_frame)
        page = await context.new_page()
        response = await page.goto(address)
        assert response is not None
        yield page, response
    finally:
        await context.close()


async def _put_into_frame(route: Route) -> None:
    """Answer with the fragment as the content of a page."""
    response = await route.fetch()
    assert response.status == HTTPStatus.OK, f"{response.url}: {response.status}"
    page = FRAGMENT_FRAME.page("Fragment", Markup(await response.text()), is_live=True)  # noqa: S704 - it is examined
    await route.fulfill(response=response, body=page)


def _missing_headers(response: Response) -> Iterator[Fault]:
    for name, value in SECURITY_HEADERS:
        if response.headers.get(name.decode()) != value.decode():
            yield Fault(kind=Kind.HEADERS, detail=name.decode())


async def _sideways(page: Page, width: int) -> list[Fault]:
    widest = await page.evaluate(_script("sideways"))
    return [Fault(kind=Kind.SIDEWAYS, detail=f"at {width} px: {each}") for each in widest]


async def _findings(page: Page, where: str) -> list[Fault]:
    result: dict[str, Any] = await page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        Fault(kind=Kind.ACCESSIBILITY, detail=f"{where}: {each['id']}: {node['html'][:200]}")
        for each in result["violations"]
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]


async def _faults_of_keyboard(page: Page) -> list[Fault]:
    """Press Tab until every control should have had the focus, and return those that had not, or had it invisibly."""
    count = await page.evaluate(_script("controls"))
    for _ in range(count + 1):
        await page.keyboard.press("Tab")
    missed = await page.evaluate("() => rule.missed()")
    return [Fault(kind=Kind.KEYBOARD, detail=each) for each in missed]


async def _uses(page: Page) -> list[str]:
    """Return what a reader finds and can do on the page: headings, links, fields, forms, buttons."""
    uses: list[str] = await page.evaluate(_script("uses"))
    return uses


def _only_with_script(with_script: list[str], without: list[str]) -> Iterator[Fault]:
    for each in with_script:
        if each not in without:
            yield Fault(kind=Kind.NEEDS_SCRIPT, detail=each)


@cache
def _script(name: str) -> str:
    return (SCRIPTS / f"{name}.js").read_text(encoding="utf-8")


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
