"""Receivers of webhooks that misbehave until they are healed, each in its own way."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from random import Random

from aiohttp import web
from standardwebhooks import Webhook

from order_shared.domain.order.events import OrderEvent
from tests.arrivals import arrival_faults

HOST = "127.0.0.1"
HANG_SECONDS = 60.0
PIECE = b"x" * 1024


class Habit(StrEnum):
    STEADY = "steady"
    ERRORS = "errors"
    """Answers 500 to half of the requests."""
    HANGS = "hangs"
    """Does not answer one request in three."""
    REDIRECTS = "redirects"
    ENDLESS = "endless"
    """Accepts, and its response never ends."""
    VANISHES = "vanishes"
    """Does not exist while it is bad."""


class Receiver:
    """One receiver. `accepted` are the ids of events that it took, as they came."""

    def __init__(self, habit: Habit, secret: str, dice: Random) -> None:
        self.habit = habit
        self.accepted: list[str] = []
        self.faults: list[str] = []
        self.is_bad = True
        self._verifier = Webhook(secret)
        self._dice = dice
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}/hook"

    async def start(self) -> None:
        app = web.Application()
        app.add_routes([web.post("/hook", self._answer), web.route("*", "/elsewhere", self._trap)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        if self.habit is Habit.VANISHES and self.is_bad:
            await self.stop()  # its port stays its own

    async def heal(self) -> None:
        self.is_bad = False
        if self.habit is Habit.VANISHES:
            await self.start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        event = json.loads(body)
        try:
            self._verifier.verify(body, dict(request.headers))
        except Exception as error:  # noqa: BLE001 - any reason is a fault
            self.faults.append(f"{self.habit}: {event['id']} is not signed: {error}")
        if request.headers["webhook-id"] != event["id"]:
            self.faults.append(f"{self.habit}: {event['id']} came as {request.headers['webhook-id']}")
        if not self.is_bad:
            return self._accept(event)
        match self.habit:
            case Habit.ERRORS if self._dice.random() < 0.5:
                return web.Response(status=500, text="not now")
            case Habit.HANGS if self._dice.random() < 0.3:
                await asyncio.sleep(HANG_SECONDS)
                return web.Response(status=500)
            case Habit.REDIRECTS:
                return web.Response(status=307, headers={"Location": "/elsewhere"})
            case Habit.ENDLESS:
                self._accept(event)
                return await self._never_end(request)
        return self._accept(event)

    async def _never_end(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):  # the sender ends it
            while self.is_bad:
                await response.write(PIECE)
        return response

    async def _trap(self, _: web.Request) -> web.Response:
        self.faults.append(f"{self.habit}: a redirect was followed")
        return web.Response()

    def _accept(self, event: dict[str, str]) -> web.Response:
        self.accepted.append(event["id"])
        return web.Response(status=204)

    def judge(self, events: Sequence[OrderEvent]) -> list[str]:
        """Return what is wrong with what has arrived."""
        return [*self.faults, *arrival_faults(str(self.habit), self.accepted, events)]


@asynccontextmanager
async def open_receivers(habits: Collection[Habit], secret: str, seed: str) -> AsyncIterator[list[Receiver]]:
    receivers = [Receiver(habit, secret, Random(f"{seed} {habit}")) for habit in habits]  # noqa: S311 - reproducible
    try:
        for receiver in receivers:
            await receiver.start()
        yield receivers
    finally:
        for receiver in receivers:
            receiver.is_bad = False
            await receiver.stop()
