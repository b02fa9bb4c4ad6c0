"""The rule finds a planted fault of each kind, and none in a page without faults."""

from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio
from markupsafe import Markup
from playwright.async_api import Browser
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from order_pages.frame import Site
from tests.browser.rule import Kind, faults_of
from tests.browser.serving import serving_pages

pytestmark = pytest.mark.asyncio(loop_scope="session")

SITE = Site(name="Planted")

SOUND = """
<form method="post" action="/pages/sound"><label for="count">Orders</label><input id="count" name="count">
<button hx-post="/pages/sound">Place</button></form>
<details><summary>More</summary><p>Folded text with <a href="/pages/sound">a link</a>.</p></details>
"""

FILES = {
    "adds.js": "document.querySelector('main').insertAdjacentHTML('beforeend', '<h2>Orders</h2>');",
    "fails.js": "throw new Error('planted');",
    "calls.js": "fetch('http://elsewhere.invalid/orders').catch(() => {});",
    "traps.js": "document.getElementById('trap').addEventListener('keydown', (event) => event.preventDefault());",
    "hides.css": "#hidden:focus-visible { outline: none; }",
    "dot.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
}
MEDIA_TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "png": "image/png"}

PLANTED: Mapping[str, tuple[set[Kind], str]] = {
    "an inline script": ({Kind.CONSOLE, Kind.INLINE}, "<script>document.title = 'changed';</script>"),
    "an inline handler": ({Kind.INLINE}, '<a href="#content" onclick="alert(1)">Place</a>'),
    "an inline style": ({Kind.CONSOLE, Kind.INLINE}, '<p style="margin: 0">Text</p>'),
    "an attribute that needs eval": ({Kind.INLINE}, '<a href="#content" hx-on:click="alert(1)">Place</a>'),
    "a script that fails": ({Kind.CONSOLE}, '<script src="/pages/planted/fails.js"></script>'),
    "a file that is missing": ({Kind.CONSOLE}, '<img src="/pages/planted/gone.png" alt="">'),
    "an image from elsewhere": (
        {Kind.CONSOLE, Kind.ELSEWHERE},
        '<img src="http://elsewhere.invalid/logo.png" alt="">',
    ),
    "a missing label": ({Kind.ACCESSIBILITY}, "<input name=count>"),
    "too little contrast": ({Kind.ACCESSIBILITY}, '<p><font color="#888888">Quiet text</font></p>'),
    "a picture without text": ({Kind.ACCESSIBILITY}, '<a href="/pages/sound"><img src="/pages/planted/dot.svg"></a>'),
    "a sideways scroll": ({Kind.SIDEWAYS}, f"<table><tr><td>{'x' * 90}</td></tr></table>"),
    "a control for the mouse only": ({Kind.KEYBOARD, Kind.NEEDS_SCRIPT}, '<div hx-post="/pages/sound">Place</div>'),
    "a trap of the focus": (
        {Kind.KEYBOARD},
        (
            '<button id="trap" type="button">Stay</button><a href="/pages/sound">Out of reach</a>'
            '<script src="/pages/planted/traps.js"></script>'
        ),
    ),
    "a focus that is not visible": (
        {Kind.KEYBOARD},
        '<link rel="stylesheet" href="/pages/planted/hides.css"><button id="hidden" type="button">Stay</button>',
    ),
    "content that a script adds": ({Kind.NEEDS_SCRIPT}, '<script src="/pages/planted/adds.js"></script>'),
    "a button that only htmx sends": (
        {Kind.NEEDS_SCRIPT},
        '<button hx-post="/pages/sound">Place</button>',
    ),
}


async def planted_page(request: Request) -> Response:
    name = request.path_params["name"].replace("_", " ")
    content = SOUND if name == "sound" else PLANTED[name][1]
    return HTMLResponse(SITE.page("Planted", Markup(content)))  # noqa: S704 - planted on purpose


async def planted_file(request: Request) -> Response:
    name = request.path_params["name"]
    found = FILES.get(name)
    return Response(found or "", 200 if found else 404, media_type=MEDIA_TYPES[name.rpartition(".")[2]])


async def planted_fragment(request: Request) -> Response:
    name = request.path_params["name"].replace("_", " ")
    return HTMLResponse(SOUND if name == "sound" else PLANTED[name][1])


async def unprotected_page(request: Request) -> Response:
    """Return a page without the policy, which calls another site."""
    return HTMLResponse(
        '<!doctype html><html lang="en"><title>Open</title><main><h1>Open</h1>'
        f'<script src="/pages/planted/{request.path_params["name"]}"></script></main></html>'
    )


ROUTES = [
    Route("/pages/planted/{name}", planted_file),
    Route("/pages/fragments/{name}", planted_fragment),
    Route("/pages/{name}", planted_page),
    Route("/open/{name}", unprotected_page),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def planted() -> AsyncIterator[str]:
    async with serving_pages(ROUTES) as address:
        yield address


@pytest.mark.parametrize("name", PLANTED)
async def test_a_planted_fault_is_found(browser: Browser, planted: str, name: str) -> None:
    found = await faults_of(browser, f"{planted}/pages/{name.replace(' ', '_')}")
    assert {each.kind for each in found} == PLANTED[name][0]


async def test_a_request_elsewhere_is_found(browser: Browser, planted: str) -> None:
    found = await faults_of(browser, f"{planted}/open/calls.js")
    assert "request elsewhere: http://elsewhere.invalid/orders" in [str(each) for each in found]


async def test_missing_headers_are_found(browser: Browser, planted: str) -> None:
    found = await faults_of(browser, f"{planted}/open/adds.js")
    assert {each.detail for each in found if each.kind is Kind.HEADERS} == {
        "content-security-policy",
        "referrer-policy",
        "x-content-type-options",
    }


async def test_a_fault_in_a_fragment_is_found(browser: Browser, planted: str) -> None:
    found = await faults_of(browser, f"{planted}/pages/fragments/a_missing_label", is_fragment=True)
    assert {each.kind for each in found} == {Kind.ACCESSIBILITY}


@pytest.mark.parametrize(("path", "is_fragment"), [("/pages/sound", False), ("/pages/fragments/sound", True)])
async def test_a_sound_page_and_fragment_have_no_fault(
    browser: Browser,
    planted: str,
    path: str,
    is_fragment: bool,  # noqa: FBT001
) -> None:
    assert [str(each) for each in await faults_of(browser, planted + path, is_fragment=is_fragment)] == []
