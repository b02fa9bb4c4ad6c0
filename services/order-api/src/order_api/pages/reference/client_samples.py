"""Calls of each operation with the Python and the TypeScript client. A test runs all of them."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ClientSample:
    python: str
    typescript: str


PYTHON_SETUP = """\
import asyncio
import os

from order_client import OrderClient


async def main() -> None:
    async with OrderClient(os.environ["ORDER_API_URL"], os.environ["ORDER_TOKEN"]) as client:
        ...  # an example of this page


asyncio.run(main())
"""

TYPESCRIPT_SETUP = """\
import { OrderClient } from "@order-platform/client";

const client = new OrderClient({
  baseUrl: process.env.ORDER_API_URL,
  token: process.env.ORDER_TOKEN,
});
"""

ORDER_ID = "ord_019c134c666070789b8f3c5d7e9f0123"
"""Order id of the examples, as in the OpenAPI document."""

ENDPOINT_ID = "we_4kq2v7r0c9xj5m1tznb8h3wdfe"
"""Id of the webhook endpoint of the examples, as in the OpenAPI document."""

CLIENT_SAMPLES: Mapping[str, ClientSample] = {
    "placeOrder": ClientSample(
        python="""\
order = await client.place_order({"TEA-GREEN-100": 2, "POT-GLASS": 1}, reference="PO-2026-0042")
print(order.id, order.status)
""",
        typescript="""\
const order = await client.placeOrder({
  lines: { "TEA-GREEN-100": 2, "POT-GLASS": 1 },
  reference: "PO-2026-0042",
});
console.log(order.id, order.status);
""",
    ),
    "listOrders": ClientSample(
        python="""\
async for order in client.orders(status=["confirmed"], q="PO-2026"):
    print(order.id, order.total)
""",
        typescript="""\
for await (const order of client.orders({ status: ["confirmed"], q: "PO-2026" })) {
  console.log(order.id, order.total);
}
""",
    ),
    "getOrder": ClientSample(
        python=f"""\
order = await client.get_order("{ORDER_ID}")
print(order.status, order.version)
""",
        typescript=f"""\
const order = await client.getOrder("{ORDER_ID}");
console.log(order.status, order.version);
""",
    ),
    "cancelOrder": ClientSample(
        python=f"""\
order = await client.cancel_order("{ORDER_ID}")
print(order.status)
""",
        typescript=f"""\
const order = await client.cancelOrder("{ORDER_ID}");
console.log(order.status);
""",
    ),
    "listTenantOrders": ClientSample(
        python="""\
async for order in client.tenant_orders(customer="ada"):
    print(order.id, order.customer)
""",
        typescript="""\
for await (const order of client.tenantOrders({ customer: "ada" })) {
  console.log(order.id, order.customer);
}
""",
    ),
    "listEvents": ClientSample(
        python="""\
async for event in client.events():
    print(event.type, event.order_id)
""",
        typescript="""\
for await (const event of client.events()) {
  console.log(event.type, event.subject);
}
""",
    ),
    "streamEvents": ClientSample(
        python="""\
async for event in client.stream_events():
    print(event.type, event.order_id)
""",
        typescript="""\
for await (const event of client.streamEvents()) {
  console.log(event.type, event.subject);
}
""",
    ),
    "listTenantEvents": ClientSample(
        python="""\
async for event in client.tenant_events():
    print(event.type, event.order_id)
""",
        typescript="""\
for await (const event of client.tenantEvents()) {
  console.log(event.type, event.subject);
}
""",
    ),
    "streamTenantEvents": ClientSample(
        python="""\
async for event in client.stream_tenant_events():
    print(event.type, event.order_id)
""",
        typescript="""\
for await (const event of client.streamTenantEvents()) {
  console.log(event.type, event.subject);
}
""",
    ),
    "createWebhookEndpoint": ClientSample(
        python="""\
endpoint = await client.create_webhook_endpoint(
    "https://shop.example.com/webhooks", types=["order.confirmed.v1"], description="ERP"
)
print(endpoint.id, endpoint.state, endpoint.secret)  # store the secret: it is not shown again
""",
        typescript="""\
const endpoint = await client.createWebhookEndpoint({
  url: "https://shop.example.com/webhooks",
  types: ["order.confirmed.v1"],
  description: "ERP",
});
console.log(endpoint.id, endpoint.state, endpoint.secret); // store the secret: it is not shown again
""",
    ),
    "listWebhookEndpoints": ClientSample(
        python="""\
async for endpoint in client.webhook_endpoints():
    print(endpoint.id, endpoint.url, endpoint.state)
""",
        typescript="""\
for await (const endpoint of client.webhookEndpoints()) {
  console.log(endpoint.id, endpoint.url, endpoint.state);
}
""",
    ),
    "getWebhookEndpoint": ClientSample(
        python=f"""\
endpoint = await client.get_webhook_endpoint("{ENDPOINT_ID}")
print(endpoint.state, endpoint.waiting)
""",
        typescript=f"""\
const endpoint = await client.getWebhookEndpoint("{ENDPOINT_ID}");
console.log(endpoint.state, endpoint.waiting);
""",
    ),
    "putWebhookEndpoint": ClientSample(
        python=f"""\
endpoint = await client.put_webhook_endpoint(
    "{ENDPOINT_ID}",
    "https://shop.example.com/webhooks",
    types=["order.confirmed.v1", "order.rejected.v1"],
)
print(endpoint.types, endpoint.version)
""",
        typescript=f"""\
const endpoint = await client.putWebhookEndpoint("{ENDPOINT_ID}", {{
  url: "https://shop.example.com/webhooks",
  types: ["order.confirmed.v1", "order.rejected.v1"],
}});
console.log(endpoint.types, endpoint.version);
""",
    ),
    "deleteWebhookEndpoint": ClientSample(
        python=f"""\
endpoint = await client.delete_webhook_endpoint("{ENDPOINT_ID}")
print(endpoint.url)
""",
        typescript=f"""\
const endpoint = await client.deleteWebhookEndpoint("{ENDPOINT_ID}");
console.log(endpoint.url);
""",
    ),
    "verifyWebhookEndpoint": ClientSample(
        python=f"""\
endpoint = await client.verify_webhook_endpoint("{ENDPOINT_ID}")
print(endpoint.state, endpoint.verification)
""",
        typescript=f"""\
const endpoint = await client.verifyWebhookEndpoint("{ENDPOINT_ID}");
console.log(endpoint.state, endpoint.verification);
""",
    ),
    "rotateWebhookSecret": ClientSample(
        python=f"""\
endpoint = await client.rotate_webhook_secret("{ENDPOINT_ID}")
print(endpoint.secret, endpoint.previous_secret_expires_at)
""",
        typescript=f"""\
const endpoint = await client.rotateWebhookSecret("{ENDPOINT_ID}");
console.log(endpoint.secret, endpoint.previous_secret_expires_at);
""",
    ),
    "listWebhookDeliveries": ClientSample(
        python=f"""\
async for delivery in client.webhook_deliveries("{ENDPOINT_ID}"):
    print(delivery.id, delivery.state, delivery.attempts[-1])
""",
        typescript=f"""\
for await (const delivery of client.webhookDeliveries("{ENDPOINT_ID}")) {{
  console.log(delivery.id, delivery.state, delivery.attempts.at(-1));
}}
""",
    ),
    "redeliverWebhook": ClientSample(
        python=f"""\
delivery = await client.redeliver_webhook("{ENDPOINT_ID}", "1042")
print(delivery.state, delivery.next_attempt_at)
""",
        typescript=f"""\
const delivery = await client.redeliverWebhook("{ENDPOINT_ID}", "1042");
console.log(delivery.state, delivery.next_attempt_at);
""",
    ),
    "replayWebhookEvents": ClientSample(
        python=f"""\
from datetime import UTC, datetime

since = datetime(2026, 1, 31, 9, 5, tzinfo=UTC)
endpoint = await client.replay_webhook_events("{ENDPOINT_ID}", since)
print(endpoint.replaying)
""",
        typescript=f"""\
const since = new Date("2026-01-31T09:05:00Z");
const endpoint = await client.replayWebhookEvents("{ENDPOINT_ID}", since);
console.log(endpoint.replaying);
""",
    ),
    "listProducts": ClientSample(
        python="""\
async for product in client.products():
    print(product.sku, product.unit_price, product.currency)
""",
        typescript="""\
for await (const product of client.products()) {
  console.log(product.sku, product.unit_price, product.currency);
}
""",
    ),
    "getProduct": ClientSample(
        python="""\
product = await client.get_product("TEA-GREEN-100")
print(product.name, product.available)
""",
        typescript="""\
const product = await client.getProduct("TEA-GREEN-100");
console.log(product.name, product.available);
""",
    ),
    "putProduct": ClientSample(
        python="""\
product = await client.put_product(
    "TEA-GREEN-100", name="Green tea, 100 g", unit_price=590, currency="EUR"
)
print(product.sku, product.available)
""",
        typescript="""\
const product = await client.putProduct("TEA-GREEN-100", {
  name: "Green tea, 100 g",
  unit_price: 590,
  currency: "EUR",
});
console.log(product.sku, product.available);
""",
    ),
    "adjustStock": ClientSample(
        python="""\
product = await client.adjust_stock("TEA-GREEN-100", 100)
print(product.available)
""",
        typescript="""\
const product = await client.adjustStock("TEA-GREEN-100", 100);
console.log(product.available);
""",
    ),
}
"""Samples by operation id. The clients do not call the operations of the tag `health`."""
