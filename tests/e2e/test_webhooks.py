"""Webhooks of the running stack: from an order to a signed request at a receiver that fails, returns and is rotated."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aiohttp import web
from standardwebhooks.webhooks import Webhook as StandardWebhook

from order_client import OrderClient, Webhook, WebhookEndpoint, verify_webhook
from order_shared.domain.clock import utc_now
from tests.e2e.conftest import Shop
from tests.waiting import eventually


@dataclass
class Receiver:
    """Receiver of a shop, which verifies each request with its secrets."""

    url: str = ""
    secrets: list[str] = field(default_factory=list)
    status: int = 200
    received: list[Webhook] = field(default_factory=list)
    bodies: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    refused: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self.secrets:  # before the secret is known
            return web.Response(body=json.dumps(json.loads(body)["data"]).encode())
        webhook = verify_webhook(request.headers, body, self.secrets)
        if self.status != 200:
            self.refused += 1
            return web.Response(status=self.status, text="closed for the night")
        self.received.append(webhook)
        self.bodies.append((dict(request.headers), body))
        return web.Response(body=webhook.response)

    def types_of(self, order_id: str) -> list[str]:
        return [each.type for each in self.received if each.event is not None and each.event.order_id == order_id]


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    started = Receiver()
    app = web.Application()
    app.router.add_post("/hooks", started.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    started.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks"
    try:
        yield started
    finally:
        await runner.cleanup()


@asynccontextmanager
async def endpoint_of(shop: Shop, receiver: Receiver) -> AsyncIterator[tuple[OrderClient, WebhookEndpoint]]:
    """Create an endpoint for the receiver, and delete it at the end."""
    token = shop.issuer.token(shop.tenant, "shop", "webhooks:write")
    async with OrderClient(str(shop.http.base_url), token) as client:
        endpoint = await client.create_webhook_endpoint(receiver.url, description="test")
        assert endpoint.state == "active", endpoint.verification
        receiver.secrets = [str(endpoint.secret)]
        yield client, endpoint
        await client.delete_webhook_endpoint(endpoint.id)


async def test_the_events_of_an_order_arrive_signed_and_in_order(shop: Shop) -> None:
    await shop.stock("TEA", 10)
    async with receiver() as shops, endpoint_of(shop, shops) as (_, endpoint):
        (order_id,) = await shop.accepted(1)
        order = await shop.ended(order_id)
        await eventually(lambda: "order.confirmed.v1" in shops.types_of(order_id), "the event of the end")
        assert shops.types_of(order_id) == ["order.placed.v1", "order.confirmed.v1"]
        headers, body = shops.bodies[-1]
        lower = {name.lower(): value for name, value in headers.items()}
        event = StandardWebhook(str(endpoint.secret)).verify(body, lower)
        assert (event["data"], lower["webhook-id"]) == (
            order | {"customer": "ada", "__typename": "TenantOrder"},
            event["id"],
        )


async def test_a_receiver_that_comes_back_misses_nothing(shop: Shop) -> None:
    await shop.stock("TEA", 10)
    async with receiver() as shops, endpoint_of(shop, shops) as (client, endpoint):
        shops.status = 503
        (order_id,) = await shop.accepted(1)
        await shop.ended(order_id)

        async def has_failed() -> bool:
            return bool([each async for each in client.webhook_deliveries(endpoint.id)])

        await eventually(has_failed, "a delivery that failed")
        deliveries = [each async for each in client.webhook_deliveries(endpoint.id)]
        first = deliveries[-1]
        assert (first.state, first.order_id, first.type) == ("waiting", order_id, "order.placed.v1")
        assert (first.attempts[0].status, first.attempts[0].response) == (503, "closed for the night")
        shops.status = 200
        await client.redeliver_webhook(endpoint.id, first.id)
        await eventually(lambda: "order.confirmed.v1" in shops.types_of(order_id), "the events after the failure")
        assert shops.types_of(order_id) == ["order.placed.v1", "order.confirmed.v1"]

        async def is_idle() -> bool:
            return (await client.get_webhook_endpoint(endpoint.id)).waiting == 0

        await eventually(is_idle, "the end of the deliveries")


async def test_two_secrets_sign_after_a_rotation_and_a_range_is_replayed(shop: Shop) -> None:
    await shop.stock("TEA", 10)
    async with receiver() as shops, endpoint_of(shop, shops) as (client, endpoint):
        began: datetime = utc_now()
        (order_id,) = await shop.accepted(1)
        await eventually(lambda: "order.confirmed.v1" in shops.types_of(order_id), "the events of an order")
        rotated = await client.rotate_webhook_secret(endpoint.id)
        replayed = await client.replay_webhook_events(endpoint.id, began - timedelta(seconds=1))
        assert replayed.replaying >= 2
        await eventually(lambda: len(shops.types_of(order_id)) >= 4, "the replay")
        assert shops.types_of(order_id)[-2:] == ["order.placed.v1", "order.confirmed.v1"]
        headers, body = shops.bodies[-1]
        for secret in (endpoint.secret, rotated.secret):
            assert verify_webhook(headers, body, str(secret)).event
        await client.rotate_webhook_secret(endpoint.id, end_previous=True)
        shops.secrets = [str(rotated.secret)]
        (other,) = await shop.accepted(1)
        await eventually(lambda: "order.confirmed.v1" in shops.types_of(other), "an order after the rotation")


async def test_a_url_that_is_not_of_this_machine_must_be_public_here_too(shop: Shop) -> None:
    headers = shop.headers() | {"Idempotency-Key": "k"}
    token = shop.issuer.token(shop.tenant, "shop", "webhooks:write")
    headers["Authorization"] = f"Bearer {token}"
    for url in ("http://169.254.169.254/latest/meta-data", "http://10.0.0.1/"):
        response = await shop.http.post("/v1/webhook-endpoints", json={"url": url}, headers=headers)
        assert (response.status_code, response.json()["code"]) == (422, "url_not_allowed")
