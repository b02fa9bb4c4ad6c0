"""HTTP server of the process: limits and shutdown.

SIGTERM ─► lame duck: keep serving, `/serving` 503, `Connection: close` ─► close the listener ─► drain ─► exit
"""

import signal
import socket
import time
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from order_api.config import ApiSettings
from order_api.connections import connections
from order_api.dependencies import Services
from order_shared.runtime.gc_tuning import freeze_heap

log = structlog.get_logger(__name__)

GRACEFUL_SHUTDOWN_SECONDS = 20


class Server(uvicorn.Server):
    """uvicorn server that excludes start-up objects from garbage collection and has a lame-duck period at shutdown.

    The first signal starts the lame-duck period: the server keeps serving for `lame_duck_seconds`. A second signal ends
    the period at once.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, *, lame_duck_seconds: float) -> None:
        super().__init__(config)
        self._app = app
        self._lame_duck_seconds = lame_duck_seconds
        self._signal: int = signal.SIGTERM
        self._closes_at: float | None = None

    @property
    def _services(self) -> Services:
        services: Services = self._app.state.services
        return services

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        freeze_heap()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start the lame-duck period on the first signal. Runs as a signal handler and therefore must not log.

        Close at once on a second signal, before the server has started, or if `lame_duck_seconds` is 0.
        """
        if not self.started or self._closes_at is not None or not self._lame_duck_seconds:
            self._close(sig, frame)
            return
        self._services.lifecycle.stop()
        self._signal = sig
        self._closes_at = time.monotonic() + self._lame_duck_seconds

    async def on_tick(self, counter: int) -> bool:
        """Close after the lame-duck period. uvicorn calls this ten times a second; True ends uvicorn's main loop."""
        if self._closes_at is not None and not self.should_exit and time.monotonic() >= self._closes_at:
            log.info("lame_duck_over", seconds=self._lame_duck_seconds)
            self._close(self._signal, None)
        return await super().on_tick(counter)

    def _close(self, sig: int, frame: FrameType | None) -> None:
        """End the waits of callers for an order and all streams, and let uvicorn close the listener and drain."""
        if self.started:
            self._services.lifecycle.stop()
            self._services.orders.stop_waiting()
            self._services.event_streams.stop()
        super().handle_exit(sig, frame)


def make_server(settings: ApiSettings, app: FastAPI) -> Server:
    """Return the server of an application, with the limits of the settings. It does not listen yet."""
    return Server(
        uvicorn.Config(
            app,
            http=connections(settings.request_timeout_seconds, settings.public_address),
            ws="none",
            timeout_keep_alive=settings.keep_alive_seconds,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the service does not use the caller's address
            timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
            workers=1,  # otherwise WEB_CONCURRENCY of the environment is read
        ),
        app,
        lame_duck_seconds=settings.lame_duck_seconds,
    )
