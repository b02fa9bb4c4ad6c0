/** Errors of the client. Invalid arguments that the client detects itself throw RangeError. */
import type { Fault, Order } from "./models.js";

export class OrderClientError extends Error {
  /** Idempotency key of the call. Within 24 hours, repeating the call with this key takes effect once. */
  idempotencyKey?: string;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** There was no response in time: the request may or may not have taken effect. */
export class Unreachable extends OrderClientError {}

/** The response is not one that this API returns. */
export class UnexpectedAnswer extends OrderClientError {}

/** The order did not reach the expected state within the time-out. */
export class StillOpen extends OrderClientError {
  constructor(readonly order: Order) {
    super(`order ${order.id} is still ${order.status}`);
  }
}

/** The order can no longer reach the expected state. */
export class EndedOtherwise extends OrderClientError {
  constructor(readonly order: Order) {
    super(`order ${order.id} is ${order.status}, and will not reach the expected state`);
  }
}

/** Error response of the API (RFC 9457). `code` is stable; `detail` is for people. */
export class Problem extends OrderClientError {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly errors: readonly Fault[];
  readonly requestId: string;
  /** Whether the same request may succeed later without changes. */
  readonly retryable: boolean;
  /** Seconds to wait before the next attempt, if the API returned them. */
  readonly retryAfter: number | undefined;
  readonly currentVersion: number | undefined;

  constructor(response: Response, body: Record<string, unknown>) {
    const phrase = response.statusText || `HTTP ${response.status}`;
    const code = text(body["code"]) ?? phrase.toLowerCase().replaceAll(" ", "_");
    const detail = text(body["detail"]) ?? phrase;
    super(`${code}: ${detail}`);
    this.status = response.status;
    this.code = code;
    this.detail = detail;
    this.errors = Array.isArray(body["errors"]) ? (body["errors"] as Fault[]) : [];
    this.requestId = text(body["request_id"]) ?? response.headers.get("X-Request-Id") ?? "";
    const retryable = body["retryable"];
    this.retryable = typeof retryable === "boolean" ? retryable : [429, 502, 503, 504].includes(response.status);
    this.retryAfter = retryAfter(response.headers.get("Retry-After"));
    const version = body["current_version"];
    this.currentVersion = typeof version === "number" ? version : undefined;
  }
}

/** 400, 413 and similar: `errors` lists the invalid parts of the request. */
export class InvalidRequest extends Problem {}
/** 401: the token is missing or not valid. */
export class Unauthenticated extends Problem {}
/** 403: the token lacks the required scope. */
export class Forbidden extends Problem {}
/** 404: the order or product does not exist, or belongs to another customer. */
export class NotFound extends Problem {}
/**
 * 410: events after the position may be missing: it is older than 30 days, or the log of events was restored. Read once
 * with `after: "latest"` and keep the position, list the orders to see what changed, then continue from the kept position.
 */
export class PositionExpired extends Problem {}
/** 409: the stored order or product does not allow it. */
export class Conflict extends Problem {}
/** 412: the order now has `currentVersion`. */
export class VersionMismatch extends Problem {}
/** 422: the content of the order is not possible. */
export class Unprocessable extends Problem {}
/** 429: too many requests, after all retries. */
export class RateLimited extends Problem {}
/** 408 and 5xx: temporarily unavailable, after all retries. */
export class Unavailable extends Problem {}

const BY_STATUS = new Map<number, typeof Problem>([
  [401, Unauthenticated],
  [403, Forbidden],
  [404, NotFound],
  [408, Unavailable],
  [409, Conflict],
  [410, PositionExpired],
  [412, VersionMismatch],
  [422, Unprocessable],
  [429, RateLimited],
]);

/** Return the error of a response with an error status, even if its body is no problem document. */
export async function problemOf(response: Response): Promise<Problem> {
  const body: unknown = await response.json().catch(() => null);
  const members = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const kind = BY_STATUS.get(response.status) ?? (response.status < 500 ? InvalidRequest : Unavailable);
  return new kind(response, members);
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** Return the seconds of a Retry-After header, a number or an HTTP date. */
export function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header)) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, (at - Date.now()) / 1000);
}
