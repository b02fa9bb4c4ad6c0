// Place, read, list and cancel an order with the types of openapi-typescript: node openapi_fetch.js URL TOKEN SKU
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const [baseUrl, token, sku] = process.argv.slice(2);
const api = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

function required<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

const header = { "Idempotency-Key": crypto.randomUUID() };
const body = { lines: [{ sku, quantity: 2 }], payment_token: "pm_card_visa", metadata: { cart: "c-1" } };
const placed = required(await api.POST("/v1/orders", { params: { header }, body }));
const path = { order_id: placed.id };
const read = required(await api.GET("/v1/orders/{order_id}", { params: { path, header: { Prefer: "wait=5" } } }));
const page = required(await api.GET("/v1/orders", { params: { query: { limit: 10, sort: "created_at" } } }));
const cancelled = required(await api.POST("/v1/orders/{order_id}/cancel", { params: { path } }));
const shown = [read.status, read.metadata, read.payment?.captured, page.items.map(({ id }) => id), cancelled.id];
console.log(JSON.stringify([placed.id, placed.total, ...shown]));
