"""Protection of forms against requests from other sites (cross-site request forgery), as pure ASGI middleware."""

from collections.abc import Collection
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from order_pages.headers import PAGES

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
REFUSAL = "This form was not sent from a page of this site. Open the page again and send its form.\n"


class SameOriginForms:
    """Refuse requests below `prefix` that change state and do not come from a page of this origin (403).

    Every current browser sends `Sec-Fetch-Site` to a secure or local address. Without it, `Origin` must be one of
    `origins`, such as `https://orders.example.com`. If `origins` is empty, the host of `Origin` must be the request's.
    """

    def __init__(self, app: ASGIApp, *, origins: Collection[str] = (), prefix: str = PAGES) -> None:
        self._app = app
        self._origins = origins
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_form = (
            scope["type"] == "http" and scope["path"].startswith(self._prefix) and scope["method"] not in SAFE_METHODS
        )
        if is_form and not is_same_origin(Headers(scope=scope), self._origins):
            await PlainTextResponse(REFUSAL, HTTPStatus.FORBIDDEN)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def is_same_origin(headers: Headers, origins: Collection[str] = ()) -> bool:
    """Return whether a browser sent the request from a page of this origin. A repeated header counts as foreign."""
    if sites := headers.getlist("sec-fetch-site"):
        return sites == ["same-origin"]
    given, hosts = headers.getlist("origin"), headers.getlist("host")
    if len(given) != 1 or len(hosts) != 1:
        return False
    own = origins or (f"http://{hosts[0]}", f"https://{hosts[0]}")
    return given[0] in own
