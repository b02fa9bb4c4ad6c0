"""Applications of tests, served in this process."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from order_pages.headers import PageHeaders
from order_pages.static_files import static_file
from order_shared.runtime.sockets import listen
from tests.serving import running_server


async def _static(request: Request) -> Response:
    return static_file(request.path_params["name"], request.headers) or Response(status_code=404)


@asynccontextmanager
async def serving_pages(routes: Sequence[BaseRoute]) -> AsyncIterator[str]:
    """Serve routes with the static files and the headers of pages; yield the address."""
    app = Starlette(routes=[Route("/pages/static/{name}", _static), *routes])
    app.add_middleware(PageHeaders)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    with listen("127.0.0.1", 0) as listener:
        async with running_server(server, listener) as port:
            yield f"http://127.0.0.1:{port}"
