/** Verification of webhooks. The signature is the example of the specification of Standard Webhooks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidWebhook, verifyWebhook } from "../src/index.js";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const AT = 1614265330;

async function signed(body: string, secret = SECRET, at = AT): Promise<Record<string, string>> {
  const key = Uint8Array.from(atob(secret.slice("whsec_".length)), (each) => each.charCodeAt(0));
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
  const signature = await crypto.subtle.sign(algorithm.name, imported, new TextEncoder().encode(`msg_1.${at}.${body}`));
  const value = btoa(String.fromCharCode(...new Uint8Array(signature)));
  return { "Webhook-Id": "msg_1", "webhook-timestamp": `${at}`, "webhook-signature": `v1,AAAA v1,${value}` };
}

const EVENT = JSON.stringify({ type: "order.confirmed.v1", subject: "ord_1", data: { reference: "grün" } });

test("the example of the specification is verified as far as its body", async () => {
  const headers = new Headers({
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": `${AT}`,
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  });
  await assert.rejects(verifyWebhook(headers, '{"test": 2432232314}', SECRET, AT), /the body is not an event/);
});

test("a signed event is returned", async () => {
  const webhook = await verifyWebhook(await signed(EVENT), new TextEncoder().encode(EVENT), ["whsec_AAAA", SECRET], AT + 299);
  assert.equal(webhook.id, "msg_1");
  assert.equal(webhook.type, "order.confirmed.v1");
  assert.equal(webhook.event?.subject, "ord_1");
  assert.equal(webhook.response, "{}");
});

test("a challenge has its answer", async () => {
  const body = JSON.stringify({ type: "webhook_endpoint.verify.v1", data: { challenge: "c-1" } });
  assert.equal((await verifyWebhook(await signed(body), body, SECRET, AT)).response, '{"challenge":"c-1"}');
});

test("anything else is refused", async () => {
  const headers = await signed(EVENT);
  for (const [given, body, secret, now] of [
    [{}, EVENT, SECRET, AT],
    [headers, `${EVENT} `, SECRET, AT],
    [headers, EVENT, "whsec_AAAA", AT],
    [headers, EVENT, [], AT],
    [headers, EVENT, SECRET, AT + 301],
    [headers, EVENT, SECRET, AT - 301],
    [{ ...headers, "webhook-timestamp": "x" }, EVENT, SECRET, AT],
    [{ ...headers, "webhook-signature": "v1,!" }, EVENT, SECRET, AT],
    [await signed("[]"), "[]", SECRET, AT],
    [await signed("null"), "null", SECRET, AT],
    [await signed("{"), "{", SECRET, AT],
  ] as const) {
    await assert.rejects(verifyWebhook(given as Record<string, string>, body, secret as string, now), InvalidWebhook);
  }
  await assert.rejects(verifyWebhook(headers, EVENT, "not a secret!", AT), RangeError);
});
