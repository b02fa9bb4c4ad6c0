"""HTTP port of a worker: liveness, readiness and metrics."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from order_shared.runtime.metrics import EXPOSITION_CONTENT_TYPE, Metrics
from order_shared.runtime.readiness import Readiness


@asynccontextmanager
async def health_server(
    listener: socket.socket,
    *,
    readiness: Readiness,
    metrics: Metrics,
    idle_seconds: Callable[[], float],
    max_idle_seconds: float,
) -> AsyncIterator[None]:
    """Serve `/healthz`, `/readyz` and `/metrics` on the listener while the block runs.

    `/healthz` fails once a poller has not completed a loop for `max_idle_seconds`.
    """

    async def healthz(_: web.Request) -> web.Response:
        idle = idle_seconds()
        alive = idle <= max_idle_seconds
        body = {"status": "ok" if alive else "stuck", "idle_seconds": round(idle, 1)}
        return web.json_response(body, status=200 if alive else 503)

    async def readyz(_: web.Request) -> web.Response:
        report = await readiness.check()
        return web.json_response(report.to_json(), status=200 if report.ready else 503)

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": EXPOSITION_CONTENT_TYPE})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", exposition)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()
