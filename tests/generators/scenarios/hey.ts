// Place, read, list and cancel an order with the client of @hey-api/openapi-ts: node hey.js URL TOKEN SKU
import { client } from "./hey/client.gen.js";
import { cancelOrder, getOrder, listOrders, placeOrder } from "./hey/sdk.gen.js";

const [baseUrl, token, sku] = process.argv.slice(2);
client.setConfig({ baseUrl, auth: token });
const throwOnError = true;
const headers = { "Idempotency-Key": crypto.randomUUID() };
const body = { lines: [{ sku, quantity: 2 }], payment_token: "pm_card_visa", metadata: { cart: "c-1" } };
const { data: placed } = await placeOrder({ headers, body, throwOnError });
const path = { order_id: placed.id };
const { data: read } = await getOrder({ path, headers: { Prefer: "wait=5" }, throwOnError });
const { data: page } = await listOrders({ query: { limit: 10, sort: "created_at" }, throwOnError });
const { data: cancelled } = await cancelOrder({ path, throwOnError });
const captured = Number(read.payment?.captured);
const shown = [read.status, read.metadata, captured, page.items.map(({ id }) => id), cancelled.id];
console.log(JSON.stringify([placed.id, Number(placed.total), ...shown]));
