"""An HTTP proxy between the services and what they stand on. It knows who calls whom, and treats each call by a plan.

A listener belongs to one process and one target, so that faults and kills can be told apart by process.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from tests.chaos.recorder import Recorder
from tests.chaos.wire import Answer, Call, Forward, Reset

HOST = "127.0.0.1"
NOT_PASSED_ON = frozenset({"connection", "content-length", "date", "host", "server", "transfer-encoding"})
KEEP_ALIVE_SECONDS = 2.0  # shorter than any target closes its connections


class Plan(Protocol):
    async def meet(self, call: Call, forward: Forward) -> Answer:
        """The answer that the caller is to get. Raises Reset to break the connection instead."""


class Clear:
    """Fine weather: every call passes."""

    async def meet(self, call: Call, forward: Forward) -> Answer:
        return await forward(call)


class Proxy:
    def __init__(self, http: aiohttp.ClientSession, recorder: Recorder | None = None) -> None:
        self._http = http
        self._runners: list[web.ServerRunner] = []
        self.plan: Plan = Clear()
        self.recorder = recorder

    async def listen(self, caller: str, target: str) -> str:
        """Opens the way from one process to the target (a base URL); the URL that the process is to use."""

        async def forward(call: Call) -> Answer:
            try:
                async with self._http.request(
                    call.method, target + call.path, headers=call.headers, data=call.body
                ) as response:
                    headers = {
                        name: value for name, value in response.headers.items() if name.lower() not in NOT_PASSED_ON
                    }
                    return Answer(response.status, await response.read(), headers)
            except aiohttp.ClientError as error:
                raise Reset from error

        async def recorded(call: Call) -> Answer:
            return await (forward(call) if self.recorder is None else self.recorder.pass_on(call, forward))

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            headers = CIMultiDict(
                (name, value) for name, value in request.headers.items() if name.lower() not in NOT_PASSED_ON
            )
            call = Call.read(caller, request.method, request.path_qs, headers, await request.read())
            try:
                answer = await self.plan.meet(call, recorded)
                if self.recorder is not None:
                    self.recorder.answered(call, answer)
            except Reset:
                if request.transport is not None:
                    request.transport.abort()
                return web.Response()  # nobody reads it
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

        runner = web.ServerRunner(web.Server(serve))
        await runner.setup()
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        self._runners.append(runner)
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()


@asynccontextmanager
async def open_proxy(recorder: Recorder | None = None) -> AsyncIterator[Proxy]:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as http:
        proxy = Proxy(http, recorder)
        try:
            yield proxy
        finally:
            await proxy.close()
