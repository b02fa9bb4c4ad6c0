/** Verification of webhooks in a receiver. Signatures are those of Standard Webhooks. */
import { OrderClientError } from "./errors.js";
import type { EventType, TenantEvent } from "./models.js";

export const CHALLENGE_TYPE = "webhook_endpoint.verify.v1";
/** Seconds by which the clocks of sender and receiver may differ. An older request may be a recorded one. */
export const TOLERANCE_SECONDS = 300;
const SECRET_PREFIX = "whsec_";

/** The request was not sent by the API, or long ago. Respond with 400. */
export class InvalidWebhook extends OrderClientError {}

export interface Webhook {
  /** The same in each repetition: ignore one that you have handled. */
  id: string;
  type: EventType;
  /** The event; left out in a challenge. */
  event?: Omit<TenantEvent, "position">;
  /** Body to respond with, with status 200: it answers a challenge. */
  response: string;
}

type Headers_ = Headers | Readonly<Record<string, string | string[] | undefined>>;

/**
 * Return the webhook in a request if one of the secrets signed it. `body` is the body as it was received. Pass two secrets
 * while one replaces the other. `now` is the time in seconds since 1970. Throws InvalidWebhook, and RangeError for a text
 * that is not a secret.
 */
export async function verifyWebhook(
  headers: Headers_,
  body: string | Uint8Array,
  secrets: string | readonly string[],
  now: number = Date.now() / 1000,
): Promise<Webhook> {
  const id = header(headers, "webhook-id");
  const timestamp = header(headers, "webhook-timestamp");
  const content = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const prefix = new TextEncoder().encode(`${id}.${timestamp}.`);
  const signed = new Uint8Array(prefix.length + content.length);
  signed.set(prefix);
  signed.set(content, prefix.length);
  const signatures = header(headers, "webhook-signature").split(" ").filter((each) => each.startsWith("v1,"));
  const checks = (typeof secrets === "string" ? [secrets] : secrets).flatMap((secret) =>
    signatures.map((signature) => matches(secret, signature.slice("v1,".length), signed)),
  );
  if (!(await Promise.all(checks)).includes(true)) throw new InvalidWebhook("no signature of the request matches a secret");
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now - Number(timestamp)) > TOLERANCE_SECONDS) {
    throw new InvalidWebhook(`the request was not sent within the last ${TOLERANCE_SECONDS} seconds`);
  }
  return webhookOf(id, content);
}

function webhookOf(id: string, content: Uint8Array): Webhook {
  let event: Record<string, unknown>;
  try {
    event = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content)) as Record<string, unknown>;
  } catch (error) {
    throw new InvalidWebhook("the body is not JSON", { cause: error });
  }
  const type = event?.["type"];
  if (typeof type !== "string") throw new InvalidWebhook("the body is not an event");
  if (type !== CHALLENGE_TYPE) return { id, type, event: event as unknown as Omit<TenantEvent, "position">, response: "{}" };
  const { challenge } = (event["data"] ?? {}) as { challenge?: unknown };
  return { id, type, response: JSON.stringify({ challenge }) };
}

function header(headers: Headers_, name: string): string {
  if (headers instanceof Headers) return headers.get(name) ?? "";
  const found = Object.entries(headers).find(([given]) => given.toLowerCase() === name)?.[1];
  return (Array.isArray(found) ? found[0] : found) ?? "";
}

/** Return whether the signature in base64 is that of the secret. The comparison takes the same time for any signature. */
async function matches(secret: string, signature: string, signed: Uint8Array<ArrayBuffer>): Promise<boolean> {
  const key = bytes(secret.trim().replace(SECRET_PREFIX, ""));
  if (key === undefined) throw new RangeError(`a secret is ${SECRET_PREFIX} and base64, as the API returned it`);
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const given = bytes(signature);
  if (given === undefined) return false;
  return crypto.subtle.verify(algorithm, await crypto.subtle.importKey("raw", key, algorithm, false, ["verify"]), given, signed);
}

function bytes(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}
