"""Routes of the web pages. Each page that never changes is built at its first request and kept."""

import asyncio
from functools import cache
from http import HTTPStatus
from typing import cast

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from order_api import document
from order_api.pages.errors import error_list_page, error_page, unknown_error_page
from order_api.problems import ERROR_PAGES, KINDS
from order_pages.documents import Document
from order_pages.frame import Link, Site
from order_pages.static_files import STATIC, static_file

REFERENCE = "/pages/api"
DOCUMENT = f"{REFERENCE}/openapi.json"

ERRORS_LINK = Link(path=ERROR_PAGES, text="Errors")
SITE = Site(name="Order API", links=(ERRORS_LINK,))
SITE_WITH_REFERENCE = Site(name="Order API", links=(Link(path=REFERENCE, text="Reference"), ERRORS_LINK))

router = APIRouter(include_in_schema=False)
reference_router = APIRouter(include_in_schema=False)
"""Routes of the reference, which an installation may leave out."""
local_router = APIRouter(include_in_schema=False)
"""Routes that only the local stack has."""


@router.get(ERROR_PAGES)
async def list_errors(request: Request) -> Response:
    return _error_list(_site_of(request)).response(request.headers)


@router.get(f"{ERROR_PAGES}/{{code}}")
async def explain_error(request: Request, code: str) -> Response:
    site = _site_of(request)
    if code not in KINDS:
        return HTMLResponse(unknown_error_page(site, code), HTTPStatus.NOT_FOUND)
    return _error(site, code).response(request.headers)


@router.get(f"{STATIC}{{name}}")
async def static(request: Request, name: str) -> Response:
    found = static_file(name, request.headers)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return found


@reference_router.get(REFERENCE)
async def show_reference(request: Request) -> Response:
    """Return the reference. The first request builds it, in a thread, because that takes some tenths of a second."""
    return (await asyncio.to_thread(_reference, _site_of(request))).response(request.headers)


@reference_router.get(DOCUMENT)
async def read_document(request: Request) -> Response:
    return _document().response(request.headers)


@local_router.get("/docs")
async def redirect_to_reference() -> Response:
    return RedirectResponse(REFERENCE)


def _site_of(request: Request) -> Site:
    return cast("Site", request.app.state.site)


@cache
def _error_list(site: Site) -> Document:
    return Document(error_list_page(site).encode(), "text/html")


@cache
def _error(site: Site, code: str) -> Document:
    return Document(error_page(site, KINDS[code]).encode(), "text/html")


@cache
def _reference(site: Site) -> Document:
    from order_api.pages.reference.page import build  # noqa: PLC0415 - the parser of Markdown is needed here only

    return Document(build(site, REFERENCE, document.published()).encode(), "text/html")


@cache
def _document() -> Document:
    return Document(document.content(), "application/json")
