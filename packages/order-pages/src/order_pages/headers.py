"""Security headers of every page, as pure ASGI middleware."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGES = "/pages/"

SECURITY_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (b"referrer-policy", b"same-origin"),  # with no-referrer, the Origin of a form would be null
    (b"x-content-type-options", b"nosniff"),
)
NO_STORE = (b"cache-control", b"no-store")


class PageHeaders:
    """Add the security headers to every response below `prefix`, errors included.

    A response without `Cache-Control` gets `no-store`.
    """

    def __init__(self, app: ASGIApp, *, prefix: str = PAGES) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(self._prefix):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                is_cached = any(name.lower() == b"cache-control" for name, _ in given)
                message["headers"] = [*given, *SECURITY_HEADERS, *(() if is_cached else (NO_STORE,))]
            await send(message)

        await self._app(scope, receive, send_with_headers)
