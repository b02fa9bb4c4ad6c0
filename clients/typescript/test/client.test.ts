/** Retries, waiting and errors, over a fake API and a clock that only sleeps advance. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OrderClient, type ClientOptions, type Order, type Surroundings } from "../src/index.js";

type Answer = Response | Error;

const AT = "2026-01-31T09:05:00.000120Z";

function orderBody(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const body = { __typename: "Order", id: "ord_1", status: "pending", version: 1, lines: [], currency: "EUR", total: 5 };
  return { ...body, created_at: AT, updated_at: AT, reason: null, timeline: [], cancel_requested_at: null, ...changes };
}

function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });
}

function problem(status: number, code: string, members: Record<string, unknown> = {}, headers: Record<string, string> = {}): Response {
  const body = { code, detail: "as it is", request_id: "r-1", retryable: false, ...members };
  return json(body, status, { "Content-Type": "application/problem+json", ...headers });
}

/** Fake API: returns the answers in order, and the last one again and again. */
class FakeApi {
  readonly requests: Request[] = [];
  readonly sleeps: number[] = [];
  readonly logged: string[] = [];
  now = 0;

  constructor(readonly answers: Answer[]) {}

  client(options: Partial<ClientOptions> = {}): OrderClient {
    const surroundings: Surroundings = {
      fetch: async (request) => {
        this.requests.push(request);
        const answer = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
        if (!(answer instanceof Response)) throw answer;
        return answer.clone();
      },
      clock: () => this.now,
      sleep: async (seconds) => {
        this.sleeps.push(seconds);
        this.now += seconds;
      },
      jitter: (most) => most,
      log: (message) => this.logged.push(message),
    };
    return new OrderClient({ baseUrl: "http://api.test", token: "token", surroundings, ...options });
  }

  header(name: string): (string | null)[] {
    return this.requests.map((request) => request.headers.get(name));
  }
}

test("a call is repeated under one key until it succeeds", async () => {
  const troubles = [new TypeError("refused"), problem(503, "temporarily_unavailable", { retryable: true }), new Response("", { status: 502 })];
  const api = new FakeApi([...troubles, json(orderBody(), 202, { "Idempotent-Replayed": "true" })]);
  const placed = await api.client().placeOrder({ lines: { TEA: 1 }, idempotencyKey: "mine" });
  assert.equal(placed.replayed, true);
  assert.deepEqual(api.header("Idempotency-Key"), ["mine", "mine", "mine", "mine"]);
  assert.deepEqual(api.sleeps, [0.1, 0.2, 0.4]);
  assert.deepEqual(await api.requests[3]?.json(), { lines: [{ sku: "TEA", quantity: 1 }] });
});

test("Retry-After is added to the pause", async () => {
  const api = new FakeApi([problem(429, "rate_limited", { retryable: true }, { "Retry-After": "3" }), json(orderBody())]);
  await api.client().getOrder("ord_1");
  assert.deepEqual(api.sleeps, [3.1]);
});

test("a call gives up at its deadline, with its key", async () => {
  const api = new FakeApi([new TypeError("refused")]);
  await assert.rejects(api.client({ retries: { deadline: 2 } }).placeOrder({ lines: { TEA: 1 }, idempotencyKey: "mine" }), {
    name: "Unreachable",
    idempotencyKey: "mine",
  });
  assert.ok(api.now <= 2);
});

test("the first attempt without a response is logged, once per outage", async () => {
  const api = new FakeApi([new TypeError("refused"), new TypeError("refused"), json(orderBody())]);
  await api.client().getOrder("ord_1");
  assert.equal(api.logged.length, 1);
  assert.match(api.logged[0] ?? "", /http:\/\/api\.test: refused/);
});

for (const [status, code, name] of [
  [400, "validation_failed", "InvalidRequest"],
  [401, "unauthenticated", "Unauthenticated"],
  [403, "insufficient_scope", "Forbidden"],
  [404, "order_not_found", "NotFound"],
  [409, "not_cancellable", "Conflict"],
  [412, "version_mismatch", "VersionMismatch"],
  [422, "unknown_sku", "Unprocessable"],
] as const) {
  test(`${status} is ${name}, and is not repeated`, async () => {
    const api = new FakeApi([problem(status, code, { current_version: 2, errors: [{ pointer: "/lines" }] })]);
    const expected = { name, status, code, requestId: "r-1", currentVersion: 2, errors: [{ pointer: "/lines" }] };
    await assert.rejects(api.client().cancelOrder("ord_1"), expected);
    assert.equal(api.requests.length, 1);
  });
}

test("a refused token is renewed once", async () => {
  const tokens = ["old", "new"];
  const api = new FakeApi([problem(401, "unauthenticated"), json(orderBody())]);
  await api.client({ token: () => tokens.shift() ?? "" }).getOrder("ord_1");
  assert.deepEqual(api.header("Authorization"), ["Bearer old", "Bearer new"]);
  const refused = new FakeApi([problem(401, "unauthenticated")]);
  await assert.rejects(refused.client({ token: async () => "token" }).getOrder("ord_1"), { name: "Unauthenticated" });
  assert.equal(refused.requests.length, 2);
});

test("waiting asks the API to hold its response, and polls if it does not", async () => {
  const unchanged = new Response(null, { status: 304 });
  const api = new FakeApi([json(orderBody()), unchanged, unchanged, json(orderBody({ status: "confirmed", version: 2 }))]);
  assert.equal((await api.client().waitForEnd("ord_1")).status, "confirmed");
  assert.deepEqual(api.header("Prefer"), ["wait=20", "wait=20", "wait=20", "wait=20"]);
  assert.deepEqual(api.header("If-None-Match"), [null, '"1"', '"1"', '"1"']);
  assert.deepEqual(api.sleeps, [0.1, 0.2, 0.4]);
});

test("waiting ends with the time-out", async () => {
  await assert.rejects(new FakeApi([json(orderBody())]).client().waitForEnd("ord_1", { timeout: 5 }), { name: "StillOpen" });
});

test("waiting ends at once if the order can no longer get there", async () => {
  const api = new FakeApi([json(orderBody({ status: "rejected", version: 2 }))]);
  await assert.rejects(api.client().waitForEnd("ord_1", { until: ["cancelled"] }), { name: "EndedOtherwise" });
  assert.deepEqual(api.sleeps, []);
});

test("a state that does not exist is refused", async () => {
  const api = new FakeApi([json(orderBody())]);
  await assert.rejects(api.client().waitForEnd("ord_1", { until: ["canceled"] }), { name: "RangeError" });
  assert.equal(api.requests.length, 0);
});

test("a status of a newer API is accepted, and is no end", async () => {
  const api = new FakeApi([json(orderBody({ status: "packed" })), json(orderBody({ status: "confirmed", version: 2 }))]);
  assert.equal((await api.client().waitForEnd("ord_1")).status, "confirmed");
});

test("metadata is sent and returned", async () => {
  const api = new FakeApi([json(orderBody({ metadata: { cart: "c-1", note: "" } }), 202)]);
  const placed = await api.client().placeOrder({ lines: { TEA: 1 }, metadata: { cart: "c-1", note: "" } });
  assert.deepEqual(placed.metadata, { cart: "c-1", note: "" });
  const sent = (await api.requests[0]?.json()) as Record<string, unknown>;
  assert.deepEqual(sent["metadata"], { cart: "c-1", note: "" });
});

test("a payment has its movements, also of a newer API", async () => {
  const history = [{ type: "charged", amount: 5, at: AT }, { type: "refunded", amount: 5, at: AT }];
  const refunded = { status: "refunded", captured: 5, refunded: 5, history };
  const newer = { status: "authorized", captured: 0, refunded: 0, history: [{ type: "held", amount: 5, at: AT }], authorized: 5 };
  const api = new FakeApi([json(orderBody({ payment: refunded })), json(orderBody({ payment: newer })), json(orderBody({ payment: null }))]);
  const client = api.client();
  assert.deepEqual((await client.getOrder("ord_1")).payment, refunded);
  const { payment } = await client.getOrder("ord_1");
  assert.deepEqual([payment?.status, payment?.history.map(({ type }) => type)], ["authorized", ["held"]]);
  assert.equal((await client.getOrder("ord_1")).payment, null);
});

test("an order of an older API has no metadata and no payment", async () => {
  const answers = [orderBody(), orderBody(), orderBody(), { items: [orderBody()], next_cursor: null, has_more: false }];
  const client = new FakeApi(answers.map((body) => json(body))).client();
  const read: Order[] = [await client.placeOrder({ lines: { TEA: 1 } }), await client.cancelOrder("ord_1"), await client.getOrder("ord_1")];
  for await (const listed of client.orders()) read.push(listed);
  const older = new FakeApi([json(orderBody({ status: "confirmed" }))]).client();
  read.push(await older.waitForEnd("ord_1"));
  assert.deepEqual(read.map(({ metadata, payment }) => [metadata, payment]), Array(5).fill([{}, null]));
});

test("lists follow the cursor with the same filters", async () => {
  const pages = [["a", "c1"], ["b", null]].map(([id, cursor]) => json({ items: [orderBody({ id })], next_cursor: cursor, has_more: cursor !== null }));
  const api = new FakeApi(pages);
  const found: string[] = [];
  for await (const order of api.client().orders({ status: ["pending", "reserved"], "created_at[gte]": AT })) found.push(order.id);
  assert.deepEqual(found, ["a", "b"]);
  const queries = api.requests.map((request) => new URL(request.url).searchParams);
  assert.deepEqual(queries.map((query) => query.get("cursor")), [null, "c1"]);
  assert.deepEqual(queries.map((query) => query.getAll("status")), [["pending", "reserved"], ["pending", "reserved"]]);
  assert.deepEqual(queries.map((query) => query.get("created_at[gte]")), [AT, AT]);
});

test("the orders of a tenant follow the cursor with the same filters, and have their customers", async () => {
  const pages = [["a", "c1"], [null, "c2"], ["b", null]].map(([id, cursor]) =>
    json({ items: id === null ? [] : [orderBody({ id, customer: `of ${id}` })], next_cursor: cursor, has_more: cursor !== null }),
  );
  const api = new FakeApi(pages);
  const filters = { status: ["pending", "reserved"], customer: "a b", reference: "PO 7", "created_at[lt]": AT } as const;
  const found: string[] = [];
  for await (const order of api.client().tenantOrders({ ...filters, status: [...filters.status], sort: "created_at" })) found.push(order.customer);
  assert.deepEqual(found, ["of a", "of b"]);
  const urls = api.requests.map((request) => new URL(request.url));
  assert.deepEqual(new Set(urls.map((url) => url.pathname)), new Set(["/v1/tenant/orders"]));
  assert.deepEqual(urls.map((url) => url.searchParams.get("cursor")), [null, "c1", "c2"]);
  for (const { searchParams } of urls) {
    assert.deepEqual(searchParams.getAll("status"), ["pending", "reserved"]);
    assert.deepEqual(["customer", "reference", "created_at[lt]", "sort"].map((name) => searchParams.get(name)), ["a b", "PO 7", AT, "created_at"]);
  }
});

test("what a header cannot carry is refused", async () => {
  const client = new FakeApi([json(orderBody())]).client();
  await assert.rejects(client.placeOrder({ lines: { TEA: 1 }, idempotencyKey: "a\nb" }), { name: "RangeError" });
  assert.throws(() => client.actingFor("ada "), { name: "RangeError" });
  await assert.rejects(new FakeApi([]).client({ token: " " }).getOrder("ord_1"), { name: "RangeError" });
  assert.throws(() => new OrderClient({ baseUrl: "localhost:8000", token: "t" }), { name: "RangeError" });
});

test("an id stays within its part of the path", async () => {
  const api = new FakeApi([problem(404, "order_not_found")]);
  await assert.rejects(api.client().getOrder("ord_0/cancel?x=1"), { name: "NotFound" });
  assert.equal(api.requests[0]?.url, "http://api.test/v1/orders/ord_0%2Fcancel%3Fx%3D1");
});

function eventBody(number: number, change = "placed"): Record<string, unknown> {
  const id = `ord_${number}`;
  return { specversion: "1.0", id: `${id}.1.${change}`, type: `order.${change}.v1`, subject: id, time: AT, data: orderBody({ id }) };
}

function eventPage(items: unknown[], next: string, more = false): Response {
  return json({ __typename: "EventPage", items, next, has_more: more });
}

/** A stream of the parts, which is lost after them if `lost`. */
function stream(parts: string[], lost = false): Response {
  const left = parts.map((part) => new TextEncoder().encode(part));
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const part = left.shift();
      if (part !== undefined) controller.enqueue(part);
      else if (lost) setTimeout(() => controller.error(new TypeError("terminated")), 20); // after the parts were read
      else controller.close();
    },
  });
  return new Response(body, { status: 200, headers: { "Content-Type": "text/event-stream" } });
}

function message(number: number, position: string): string {
  return `id: ${position}\nevent: order.placed.v1\ndata: ${JSON.stringify(eventBody(number))}\n\n`;
}

test("events have positions to store", async () => {
  const api = new FakeApi([eventPage([eventBody(1), eventBody(2)], "p1", true), eventPage([eventBody(3)], "p2")]);
  const positions: (string | null)[] = [];
  for await (const event of api.client().events({ after: "p0", types: ["order.placed.v1"] })) positions.push(event.position);
  assert.deepEqual(positions, ["p0", "p1", "p2"]);
  assert.deepEqual(
    api.requests.map(({ url }) => new URL(url).search),
    ["?limit=100&type=order.placed.v1&after=p0", "?limit=100&type=order.placed.v1&after=p1"],
  );
});

test("pages of events move on without an event", async () => {
  const api = new FakeApi([eventPage([], "p1", true), eventPage([], "p2")]);
  const found: string[] = [];
  for await (const { next } of api.client().tenantEventPages()) found.push(next);
  assert.deepEqual(found, ["p1", "p2"]);
});

test("a stream is resumed after the last message", async () => {
  const parts = ["retry: 2000\nid: p0\n\n", ": heartbeat\n\n", `${message(1, "p1")}id: p5\n\n`];
  const api = new FakeApi([
    stream(parts, true),
    new TypeError("refused"),
    stream([message(2, "p6"), message(3, "p7").slice(0, 40)]),
    stream([message(3, "p7").slice(0, 50), message(3, "p7").slice(50)]),
  ]);
  const seen: [string, string | null][] = [];
  for await (const event of api.client().streamEvents({ after: "latest" })) {
    seen.push([event.subject, event.position]);
    if (seen.length === 3) break;
  }
  assert.deepEqual(seen, [["ord_1", "p1"], ["ord_2", "p6"], ["ord_3", "p7"]]);
  assert.deepEqual(api.header("Last-Event-Id"), [null, "p5", "p5", "p6"]);
});

test("a position that has expired has an error of its own", async () => {
  const gone = { code: "position_expired", detail: "d", status: 410, request_id: "r-1", retryable: false };
  const api = new FakeApi([problem(410, "position_expired"), stream([`event: error\ndata: ${JSON.stringify(gone)}\n\n`])]);
  await assert.rejects(api.client().events({ after: "old" }).next(), { name: "PositionExpired" });
  await assert.rejects(api.client().streamTenantEvents().next(), { name: "PositionExpired", requestId: "r-1" });
});
