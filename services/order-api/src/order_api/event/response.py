"""Response that stays open and sends the messages of a stream."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from order_api.event.stream import End, EventStreams, Stream

MEDIA_TYPE = "text/event-stream"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""No cache stores the response, and no proxy holds it back."""


class EventStreamResponse(StreamingResponse):
    """Response of one open stream. It leaves the number of concurrent requests, and frees its place at its end."""

    media_type = MEDIA_TYPE

    def __init__(self, streams: EventStreams, stream: Stream, messages: AsyncGenerator[bytes]) -> None:
        super().__init__(messages, headers=HEADERS)
        self._streams = streams
        self._stream = stream
        self._messages = messages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["leave_in_flight"]()
        watching = asyncio.create_task(self._watch(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if not scope["state"]["is_head"]:
                async for message in self._messages:
                    await send({"type": "http.response.body", "body": message, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            watching.cancel()
            self._streams.release(self._stream)
            await self._messages.aclose()

    async def _watch(self, receive: Receive) -> None:
        """End the stream when the client has gone, or sends a body that is refused."""
        with suppress(BaseException):
            while (await receive())["type"] != "http.disconnect":
                pass
        self._stream.close(End.GONE)
