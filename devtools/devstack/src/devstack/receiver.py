"""Receiver of webhooks on this machine, which answers challenges and shows whether each signature is valid."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from order_client import InvalidWebhook, Webhook, verify_webhook

PATH = "/webhooks"
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request. `webhook` is None if no signature was checked or valid; `verdict` says which."""

    verdict: str
    headers: dict[str, str]
    body: str
    webhook: Webhook | None = None


@dataclass
class Receiver:
    """Receiver that accepts every request. With `secrets` it refuses those without a valid signature."""

    secrets: Sequence[str] = ()
    on_request: Callable[[Received], None] = lambda _: None
    url: str = ""
    received: list[Received] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def event_of(self, order_id: str) -> Received:
        """Wait for a verified event of an order, and return its request."""
        while True:
            for each in self.received:
                event = each.webhook and each.webhook.event
                if event and event.order_id == order_id:
                    return each
            self._news.clear()
            await self._news.wait()

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        shown = {name: request.headers.get(name, "") for name in HEADERS}
        text = body.decode(errors="replace")
        if not self.secrets:
            self._note(Received(verdict="not verified: no secret given", headers=shown, body=text))
            return web.Response(body=_answer(body), content_type="application/json")
        try:
            webhook = verify_webhook(request.headers, body, self.secrets)
        except InvalidWebhook as error:
            self._note(Received(verdict=f"INVALID: {error}", headers=shown, body=text))
            return web.Response(status=400, text=str(error))
        self._note(Received(verdict="valid signature", headers=shown, body=text, webhook=webhook))
        return web.Response(body=webhook.response, content_type="application/json")

    def _note(self, received: Received) -> None:
        self.received.append(received)
        self.on_request(received)
        self._news.set()


def _answer(body: bytes) -> bytes:
    """Return the answer to a challenge, without a check of its signature."""
    try:
        return json.dumps({"challenge": json.loads(body)["data"]["challenge"]}).encode()
    except (ValueError, KeyError, TypeError):
        return b"{}"


@asynccontextmanager
async def serve_receiver(receiver: Receiver, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Receiver]:
    """Serve the receiver until the end of the block; its `url` is set. Port 0 selects a free port."""
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        receiver.url = f"http://{host}:{runner.addresses[0][1]}{PATH}"
        yield receiver
    finally:
        await runner.cleanup()
