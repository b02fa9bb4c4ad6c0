"""Routes of the web pages. Each page is built at its first request and kept."""

from functools import cache
from http import HTTPStatus

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from order_api.pages.errors import error_list_page, error_page, unknown_error_page
from order_api.problems import ERROR_PAGES, KINDS
from order_pages.documents import Document
from order_pages.frame import Link, Site
from order_pages.static_files import STATIC, static_file

router = APIRouter(include_in_schema=False)

SITE = Site(name="Order API", links=(Link(path=ERROR_PAGES, text="Errors"),))


@router.get(ERROR_PAGES)
async def list_errors(request: Request) -> Response:
    return _error_list(SITE).response(request.headers)


@router.get(f"{ERROR_PAGES}/{{code}}")
async def explain_error(request: Request, code: str) -> Response:
    if code not in KINDS:
        return HTMLResponse(unknown_error_page(SITE, code), HTTPStatus.NOT_FOUND)
    return _error(SITE, code).response(request.headers)


@router.get(f"{STATIC}{{name}}")
async def static(request: Request, name: str) -> Response:
    found = static_file(name, request.headers)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return found


@cache
def _error_list(site: Site) -> Document:
    return Document(error_list_page(site).encode(), "text/html")


@cache
def _error(site: Site, code: str) -> Document:
    return Document(error_page(site, KINDS[code]).encode(), "text/html")
