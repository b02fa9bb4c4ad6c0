"""Web application of the Lab and the start page. It answers on the loopback interface only."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from http import HTTPStatus

import htpy as h
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from devstack.lab.forms import form_routes
from devstack.lab.laboratory import Laboratory
from devstack.lab.process import LAB, START
from devstack.lab.start_page import start_content
from devstack.lab.views import STREAM, figures_part, lab_content
from order_pages.forms import SameOriginForms
from order_pages.frame import Link, Site
from order_pages.headers import PageHeaders
from order_pages.live import CONTENT_TYPE, message
from order_pages.static_files import STATIC, static_file

PATIENCE_SECONDS = 1.0
"""Time for which the Lab waits for new figures before it shows the last ones."""

SITE = Site(name="Local stack", links=(Link(path=START, text="Start"), Link(path=LAB, text="Lab")))


class ExactHost:
    """Refuse requests whose Host header is not ours, such as those that a foreign name leads to this address."""

    def __init__(self, app: ASGIApp, *, port: int) -> None:
        self._app = app
        self._hosts = {f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            if len(hosts) != 1 or hosts[0] not in self._hosts:
                refusal = PlainTextResponse("This host name is not served here.\n", HTTPStatus.MISDIRECTED_REQUEST)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def make_app(laboratory: Laboratory, *, port: int) -> Starlette:
    """Return the application. `port` is the one that it is reached at."""

    async def root(_: Request) -> Response:
        return RedirectResponse(START, HTTPStatus.SEE_OTHER)

    async def start(_: Request) -> Response:
        content = start_content(laboratory.stack.read(), laboratory.token())
        return HTMLResponse(SITE.page("Order platform", content, path=START))

    async def lab(request: Request) -> Response:
        state = await laboratory.feed.soon(PATIENCE_SECONDS)
        done = laboratory.action(request.query_params.get("done", ""))
        content = lab_content(state.figures, state.problem, laboratory.faults.actions, done)
        return HTMLResponse(SITE.page("Lab", content, path=LAB, is_live=True))

    async def figures(_: Request) -> Response:
        return StreamingResponse(_messages(laboratory), media_type=CONTENT_TYPE)

    async def static(request: Request) -> Response:
        found = static_file(request.path_params["name"], request.headers)
        return found or PlainTextResponse("There is no such file.\n", HTTPStatus.NOT_FOUND)

    return Starlette(
        routes=[
            Route("/", root),
            Route(START, start),
            Route(LAB, lab),
            Route(STREAM, figures),
            *form_routes(laboratory),
            Route(f"{STATIC}{{name}}", static),
        ],
        middleware=[
            Middleware(PageHeaders),
            Middleware(ExactHost, port=port),
            Middleware(SameOriginForms),
        ],
    )


async def _messages(laboratory: Laboratory) -> AsyncIterator[bytes]:
    async with aclosing(laboratory.feed.follow()) as states:
        async for number, state in states:
            part = figures_part(state.figures, state.problem, laboratory.faults.actions)
            yield message(h.fragment[part], number)
