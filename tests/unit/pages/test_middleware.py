"""Middleware of the pages: security headers, and protection of forms."""

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from order_pages.forms import SameOriginForms
from order_pages.headers import PageHeaders

SITE = "https://orders.example.com"
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


async def answer(request: Request) -> Response:
    kept = request.query_params.get("kept")
    return Response("done", headers={"Cache-Control": kept} if kept else None)


def open_site(*origins: str) -> httpx2.AsyncClient:
    methods = ["GET", "POST", "PUT", "DELETE"]
    app = Starlette(routes=[Route("/pages/lab", answer, methods=methods), Route("/v1/orders", answer, methods=methods)])
    app.add_middleware(SameOriginForms, origins=origins)
    app.add_middleware(PageHeaders)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=SITE)


@pytest.mark.parametrize("path", ["/pages/lab", "/pages/gone"])
async def test_every_page_has_the_security_headers(path: str) -> None:
    async with open_site() as http:
        response = await http.get(path)
    assert {**SECURITY_HEADERS, "cache-control": "no-store"}.items() <= response.headers.items()


async def test_a_file_may_be_kept() -> None:
    async with open_site() as http:
        response = await http.get("/pages/lab?kept=max-age=60")
    assert response.headers.get_list("cache-control") == ["max-age=60"]
    assert SECURITY_HEADERS.items() <= response.headers.items()


async def test_other_paths_have_none_of_these_headers() -> None:
    async with open_site() as http:
        response = await http.get("/v1/orders")
    assert not {*SECURITY_HEADERS, "cache-control"} & {*response.headers}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("Sec-Fetch-Site", "same-origin")], 200),
        ([("Sec-Fetch-Site", "same-origin"), ("Origin", "null")], 200),
        ([("Origin", SITE)], 200),
        ([("Sec-Fetch-Site", "same-site")], 403),
        ([("Sec-Fetch-Site", "cross-site"), ("Origin", SITE)], 403),
        ([("Sec-Fetch-Site", "none")], 403),
        ([("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")], 403),
        ([("Origin", "https://elsewhere.example.com")], 403),
        ([("Origin", f"{SITE}.elsewhere.example.com")], 403),
        ([("Origin", f"{SITE}:8443")], 403),
        ([("Origin", "null")], 403),
        ([("Origin", SITE), ("Origin", "https://elsewhere.example.com")], 403),
        ([], 403),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_form_must_come_from_a_page_of_this_origin(
    method: str, headers: list[tuple[str, str]], status: int
) -> None:
    async with open_site() as http:
        response = await http.request(method, "/pages/lab", headers=headers)
    assert response.status_code == status
    assert SECURITY_HEADERS.items() <= response.headers.items()


async def test_the_configured_origins_replace_the_host_of_the_request() -> None:
    async with open_site("https://public.example.com") as http:
        accepted = await http.post("/pages/lab", headers={"Origin": "https://public.example.com"})
        refused = await http.post("/pages/lab", headers={"Origin": SITE})
    assert (accepted.status_code, refused.status_code) == (200, 403)


async def test_reading_and_other_paths_need_no_origin() -> None:
    async with open_site() as http:
        read = await http.get("/pages/lab", headers={"Sec-Fetch-Site": "cross-site"})
        called = await http.post("/v1/orders", headers={"Sec-Fetch-Site": "cross-site"})
    assert (read.status_code, called.status_code) == (200, 200)
