/** Client of the API: place, read, list, watch and cancel orders; follow their events; products and webhooks. */
import createClient, { type Client } from "openapi-fetch";
import { EndedOtherwise, OrderClientError, StillOpen, UnexpectedAnswer } from "./errors.js";
import { follow } from "./following.js";
import {
  canReach,
  END_STATES,
  isBeingCancelled,
  STATES,
  type EventPage,
  type EventType,
  type ListedProduct,
  type Order,
  type OrderEvent,
  type OrderFilters,
  type PlacedOrder,
  type Product,
  type ProductFields,
  type TenantEvent,
  type TenantOrder,
  type TenantOrderFilters,
  type WebhookDelivery,
  type WebhookEndpoint,
} from "./models.js";
import { DEFAULT_POLICY, EVENT_STREAM, pauseAfter, retrying, SURROUNDINGS, type RetryPolicy, type Surroundings, type Token } from "./retries.js";
import type { components, operations, paths } from "./schema.js";

/** Maximum seconds for which the API waits before it responds. */
const LONGEST_WAIT = 20;
const PAGE_SIZE = 100;
/** Pauses between reads of an order, used if the API responds without waiting. */
const POLLING = { base: 0.1, cap: 2 };
const HEADER_VALUE = /^[!-~](?:[ -~]{0,253}[!-~])?$/;

export interface ClientOptions {
  /** Address of the API, such as https://orders.example.com. */
  baseUrl: string;
  token: Token;
  retries?: Partial<RetryPolicy>;
  surroundings?: Partial<Surroundings>;
}

export interface OrderToPlace {
  /** Quantities by SKU. */
  lines: Readonly<Record<string, number>>;
  reference?: string;
  paymentToken?: string;
  /** Your own data, which is returned with the order: at most 20 keys, and 4,096 bytes in all. */
  metadata?: Readonly<Record<string, string>>;
  /** Without a key each call creates one. Pass your own to repeat the call after a restart of the program. */
  idempotencyKey?: string;
}

export interface WaitOptions {
  /** Seconds. */
  timeout?: number;
  /** States to wait for, such as `["cancelled"]` after a cancellation. By default every end state. */
  until?: Iterable<string>;
}

export interface EventOptions {
  /** A stored position, or `latest` for the end. Without it the events begin with the oldest one kept. */
  after?: string;
  /** Only events of these types. */
  types?: readonly EventType[];
}

/** Settings of a webhook endpoint. */
export interface WebhookOptions {
  /** Address of the receiver. */
  url: string;
  /** Types of the events to send; all types without it. */
  types?: readonly EventType[];
  description?: string;
  enabled?: boolean;
}

type EventQuery = NonNullable<operations["listEvents"]["parameters"]["query"]>;
type RawPage<E> = { items: Omit<E, "position">[]; next: string; has_more: boolean };

/**
 * Client of one customer: that of the token, or of `actingFor`. Any number of calls may run at once.
 *
 * Calls are retried within the deadline of the policy if the network or the API fails. In addition to the errors in
 * their documentation, all methods throw Unreachable, Unavailable, RateLimited, Unauthenticated, Forbidden,
 * InvalidRequest and UnexpectedAnswer.
 */
export class OrderClient {
  readonly #options: ClientOptions;
  readonly #around: Surroundings;
  readonly #api: Client<paths>;

  /** `headers` are sent with every request. Throws RangeError for an invalid address. */
  constructor(options: ClientOptions, headers: Readonly<Record<string, string>> = {}) {
    if (!/^https?:\/\/[^/]/.test(options.baseUrl)) {
      throw new RangeError(`the address of the API must begin with https:// or http://, but it is ${options.baseUrl}`);
    }
    this.#options = options;
    this.#around = { ...SURROUNDINGS, ...options.surroundings };
    this.#api = createClient<paths>({
      baseUrl: options.baseUrl,
      headers,
      fetch: retrying(options.token, { ...DEFAULT_POLICY, ...options.retries }, this.#around),
    });
  }

  /**
   * Return a client that acts for another customer of the token's tenant. The token needs the scope `orders:act`.
   * Throws RangeError for a customer whose subject a header cannot contain.
   */
  actingFor(customer: string): OrderClient {
    if (!HEADER_VALUE.test(customer)) {
      throw new RangeError("the customer must have 1 to 255 printable ASCII characters, and no blanks at the ends");
    }
    return new OrderClient(this.#options, { "Order-Customer": customer });
  }

  /**
   * Place an order. The returned order is durable and will be processed soon. The retries of a call place one order, and
   * two calls place two, unless they have the same idempotency key. A thrown error has the key in `idempotencyKey`.
   * Throws Unprocessable, Conflict, and RangeError for an invalid key.
   */
  async placeOrder({ lines, reference, paymentToken, metadata, idempotencyKey }: OrderToPlace): Promise<PlacedOrder> {
    const body = {
      lines: Object.entries(lines).map(([sku, quantity]) => ({ sku, quantity })),
      ...(reference === undefined ? {} : { reference }),
      ...(paymentToken === undefined ? {} : { payment_token: paymentToken }),
      ...(metadata === undefined ? {} : { metadata }),
    };
    return this.#withKey(idempotencyKey, async (header) => {
      const { data, response } = await this.#api.POST("/v1/orders", { params: { header }, body });
      return { ...orderOf(required(data, response)), replayed: response.headers.get("Idempotent-Replayed") === "true" };
    });
  }

  /** Return the current state of the order. Throws NotFound. */
  async getOrder(orderId: string): Promise<Order> {
    const { data, response } = await this.#api.GET("/v1/orders/{order_id}", { params: { path: { order_id: orderId } } });
    return orderOf(required(data, response));
  }

  /**
   * Cancel the order at once if it is pending; otherwise request its cancellation. Repeating the call has no effect.
   * With `version`, the order is cancelled only if it still has this version.
   * Throws NotFound, VersionMismatch, and Conflict if the order can no longer be cancelled.
   */
  async cancelOrder(orderId: string, { version }: { version?: number } = {}): Promise<Order> {
    const header = version === undefined ? {} : { "If-Match": `"${version}"` };
    const params = { path: { order_id: orderId }, header };
    const { data, response } = await this.#api.POST("/v1/orders/{order_id}/cancel", { params });
    return orderOf(required(data, response));
  }

  /**
   * Wait until the order is in a state of `until`, and return it.
   *
   * Throws NotFound, StillOpen after `timeout` seconds, EndedOtherwise as soon as the order can no longer reach such a
   * state, and RangeError for an unknown state.
   */
  async waitForEnd(orderId: string, options: WaitOptions = {}): Promise<Order> {
    let last: Order | undefined;
    for await (const order of this.#versions(orderId, options, false)) last = order;
    if (last === undefined) throw new UnexpectedAnswer(`order ${orderId} was not returned`);
    return last;
  }

  /** Yield the order now and after each change, until it is in a state of `until`. Throws as `waitForEnd` does. */
  watchOrder(orderId: string, options: WaitOptions = {}): AsyncGenerator<Order> {
    return this.#versions(orderId, options, true);
  }

  /** Yield the customer's orders, newest first unless `sort` is `created_at`, and read pages as needed. */
  orders(filters: OrderFilters = {}): AsyncGenerator<Order> {
    return itemsOf(async (cursor) => {
      const query = { limit: PAGE_SIZE, ...filters, ...cursor };
      const { data, response } = await this.#api.GET("/v1/orders", { params: { query } });
      const page = required(data, response);
      return { ...page, items: page.items.map(orderOf) };
    });
  }

  /**
   * Yield the orders of all customers of the token's tenant, newest first unless `sort` is `created_at`, and read pages as
   * needed. The token needs the scope `orders:admin`.
   */
  tenantOrders(filters: TenantOrderFilters = {}): AsyncGenerator<TenantOrder> {
    return itemsOf(async (cursor) => {
      const query = { limit: PAGE_SIZE, ...filters, ...cursor };
      const { data, response } = await this.#api.GET("/v1/tenant/orders", { params: { query } });
      return required(data, response);
    });
  }

  /**
   * Yield the events of the customer's orders, oldest first, up to the newest, and read pages as needed.
   *
   * Store `position` of each event that you have handled: after a restart, reading from it repeats at most the events of
   * one page. With `types`, use `eventPages`, which moves on even if no event matches. Throws PositionExpired.
   */
  events(options: EventOptions = {}): AsyncGenerator<OrderEvent> {
    return eventsOf(this.eventPages(options));
  }

  /**
   * Yield the events of the customer's orders page by page, oldest first, up to the newest. Store `next` of each page whose
   * events you have handled, and pass it as `after` the next time, also if the page is empty. Throws PositionExpired.
   */
  eventPages(options: EventOptions = {}): AsyncGenerator<EventPage<OrderEvent>> {
    return pagesOf<OrderEvent>(options, async (query) => {
      const { data, response } = await this.#api.GET("/v1/events", { params: { query } });
      return required(data, response);
    });
  }

  /**
   * Yield the events of the customer's orders as they happen, without end, from a position on. A lost connection is resumed
   * with the next event. Store `position` of each event that you have handled. Throws PositionExpired, and Unreachable or
   * Unavailable if no connection is possible within the deadline: call it again later with the stored position.
   */
  streamEvents(options: EventOptions = {}): AsyncGenerator<OrderEvent> {
    return this.#follow<OrderEvent>("/v1/events/stream", options);
  }

  /** As `events`, for all customers of the token's tenant. The token needs the scope `orders:admin`. */
  tenantEvents(options: EventOptions = {}): AsyncGenerator<TenantEvent> {
    return eventsOf(this.tenantEventPages(options));
  }

  /** As `eventPages`, for all customers of the token's tenant. The token needs the scope `orders:admin`. */
  tenantEventPages(options: EventOptions = {}): AsyncGenerator<EventPage<TenantEvent>> {
    return pagesOf<TenantEvent>(options, async (query) => {
      const { data, response } = await this.#api.GET("/v1/tenant/events", { params: { query } });
      return required(data, response);
    });
  }

  /** As `streamEvents`, for all customers of the token's tenant. The token needs the scope `orders:admin`. */
  streamTenantEvents(options: EventOptions = {}): AsyncGenerator<TenantEvent> {
    return this.#follow<TenantEvent>("/v1/tenant/events/stream", options);
  }

  /** Return a product with its available stock. Throws NotFound. */
  async getProduct(sku: string): Promise<Product> {
    const { data, response } = await this.#api.GET("/v1/products/{sku}", { params: { path: { sku } } });
    return required(data, response);
  }

  /** Yield the products of the token's tenant, sorted by SKU, and read pages as needed. */
  products(): AsyncGenerator<ListedProduct> {
    return itemsOf(async (cursor) => {
      const { data, response } = await this.#api.GET("/v1/products", { params: { query: { limit: PAGE_SIZE, ...cursor } } });
      return required(data, response);
    });
  }

  /** Create or replace a product. Its stock does not change. Throws Conflict if `stock_shards` would decrease. */
  async putProduct(sku: string, body: ProductFields): Promise<Product> {
    const { data, response } = await this.#api.PUT("/v1/products/{sku}", { params: { path: { sku } }, body });
    return required(data, response);
  }

  /**
   * Add `delta` units to the stock, or remove units if it is negative. Idempotency keys are as in `placeOrder`.
   * Throws NotFound, and Conflict if the stock is insufficient.
   */
  async adjustStock(sku: string, delta: number, { idempotencyKey }: { idempotencyKey?: string } = {}): Promise<Product> {
    return this.#withKey(idempotencyKey, async (header) => {
      const params = { path: { sku }, header };
      const { data, response } = await this.#api.POST("/v1/products/{sku}/stock", { params, body: { delta } });
      return required(data, response);
    });
  }

  /**
   * Create an endpoint that receives the events of all the tenant's orders. The receiver is challenged at once; `state` and
   * `verification` show whether it answered. Store `secret`. The token needs the scope `webhooks:write`, as for all methods
   * of webhooks. Throws Conflict for too many endpoints, and Unprocessable for a URL that cannot be sent to.
   */
  async createWebhookEndpoint({ idempotencyKey, ...options }: WebhookOptions & { idempotencyKey?: string }): Promise<WebhookEndpoint> {
    return this.#withKey(idempotencyKey, async (header) => {
      const body = settingsOf(options);
      const { data, response } = await this.#api.POST("/v1/webhook-endpoints", { params: { header }, body });
      return required(data, response);
    });
  }

  /** Yield the webhook endpoints of the tenant, oldest first. */
  webhookEndpoints(): AsyncGenerator<WebhookEndpoint> {
    return itemsOf(async (cursor) => {
      const params = { query: { limit: PAGE_SIZE, ...cursor } };
      const { data, response } = await this.#api.GET("/v1/webhook-endpoints", { params });
      return required(data, response);
    });
  }

  /** Return a webhook endpoint with its state. Throws NotFound. */
  async getWebhookEndpoint(endpointId: string): Promise<WebhookEndpoint> {
    const { data, response } = await this.#api.GET("/v1/webhook-endpoints/{endpoint_id}", { params: { path: { endpoint_id: endpointId } } });
    return required(data, response);
  }

  /**
   * Replace the settings of a webhook endpoint. A new URL, or an endpoint that is enabled, is challenged. With `version`, it
   * is changed only if it still has this version. Throws NotFound, VersionMismatch and Unprocessable.
   */
  async putWebhookEndpoint(endpointId: string, { version, ...options }: WebhookOptions & { version?: number }): Promise<WebhookEndpoint> {
    const header = version === undefined ? {} : { "If-Match": `"${version}"` };
    const params = { path: { endpoint_id: endpointId }, header };
    const { data, response } = await this.#api.PUT("/v1/webhook-endpoints/{endpoint_id}", { params, body: settingsOf(options) });
    return required(data, response);
  }

  /** Delete a webhook endpoint, and return it as it was. Throws NotFound, also if it is deleted already. */
  async deleteWebhookEndpoint(endpointId: string): Promise<WebhookEndpoint> {
    const params = { path: { endpoint_id: endpointId } };
    const { data, response } = await this.#api.DELETE("/v1/webhook-endpoints/{endpoint_id}", { params });
    return required(data, response);
  }

  /** Challenge the receiver again; the endpoint is active if it answers. Throws NotFound. */
  async verifyWebhookEndpoint(endpointId: string): Promise<WebhookEndpoint> {
    const params = { path: { endpoint_id: endpointId } };
    const { data, response } = await this.#api.POST("/v1/webhook-endpoints/{endpoint_id}/verify", { params });
    return required(data, response);
  }

  /**
   * Add a secret, and return it in `secret`. The previous one stays valid for 24 hours, in which a repetition returns the
   * same secret. With `endPrevious` it ends now, and no secret is added. Throws NotFound.
   */
  async rotateWebhookSecret(endpointId: string, { endPrevious = false }: { endPrevious?: boolean } = {}): Promise<WebhookEndpoint> {
    const params = { path: { endpoint_id: endpointId } };
    const body = { end_previous: endPrevious };
    const { data, response } = await this.#api.POST("/v1/webhook-endpoints/{endpoint_id}/rotate-secret", { params, body });
    return required(data, response);
  }

  /** Yield the deliveries whose first attempt failed, the newest events first. Throws NotFound. */
  webhookDeliveries(endpointId: string): AsyncGenerator<WebhookDelivery> {
    return itemsOf(async (cursor) => {
      const params = { path: { endpoint_id: endpointId }, query: { limit: PAGE_SIZE, ...cursor } };
      const { data, response } = await this.#api.GET("/v1/webhook-endpoints/{endpoint_id}/deliveries", { params });
      return required(data, response);
    });
  }

  /** Attempt a delivery again now. Throws NotFound, and Conflict if the endpoint receives nothing. */
  async redeliverWebhook(endpointId: string, deliveryId: string): Promise<WebhookDelivery> {
    const params = { path: { endpoint_id: endpointId, delivery_id: deliveryId } };
    const path = "/v1/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/redeliver";
    const { data, response } = await this.#api.POST(path, { params });
    return required(data, response);
  }

  /**
   * Send the events between two times again, by default those up to now. `replaying` is their number. Throws NotFound, and
   * Conflict if the endpoint receives nothing.
   */
  async replayWebhookEvents(endpointId: string, since: Date, until?: Date): Promise<WebhookEndpoint> {
    const params = { path: { endpoint_id: endpointId } };
    const body = { since: since.toISOString(), ...(until === undefined ? {} : { until: until.toISOString() }) };
    const { data, response } = await this.#api.POST("/v1/webhook-endpoints/{endpoint_id}/replay", { params, body });
    return required(data, response);
  }

  #follow<E extends { position: string | null }>(
    path: "/v1/events/stream" | "/v1/tenant/events/stream",
    options: EventOptions,
  ): AsyncGenerator<E> {
    const policy = { ...DEFAULT_POLICY, ...this.#options.retries };
    const open = async (position: string | undefined): Promise<Response> => {
      const header = position === undefined ? {} : { "Last-Event-Id": position };
      const params = { query: queryOf(options), header };
      const { response } = await this.#api.GET(path, { params, headers: { Accept: EVENT_STREAM }, parseAs: "stream" });
      return response;
    };
    return follow(open, policy, this.#around) as AsyncGenerator<E>;
  }

  /** Call `send` with the header of the key, or of a new one, and put the key into an error that it throws. */
  async #withKey<T>(given: string | undefined, send: (header: { "Idempotency-Key": string }) => Promise<T>): Promise<T> {
    const key = given ?? crypto.randomUUID();
    if (!HEADER_VALUE.test(key)) throw new RangeError("the idempotency key must have 1 to 255 printable ASCII characters");
    try {
      return await send({ "Idempotency-Key": key });
    } catch (error) {
      if (error instanceof OrderClientError) error.idempotencyKey = key;
      throw error;
    }
  }

  async *#versions(orderId: string, { timeout = 60, until = END_STATES }: WaitOptions, lookFirst: boolean): AsyncGenerator<Order> {
    const states = statesOf(until);
    const { clock, sleep } = this.#around;
    const end = clock() + timeout;
    let order: Order | undefined;
    for (let attempt = 0; ; attempt += 1) {
      const sentAt = clock();
      const wait = order === undefined && lookFirst ? 0 : Math.floor(Math.max(0, Math.min(LONGEST_WAIT, end - sentAt)));
      const header = {
        ...(wait >= 1 ? { Prefer: `wait=${wait}` } : {}),
        ...(order === undefined ? {} : { "If-None-Match": `"${order.version}"` }),
      };
      const params = { path: { order_id: orderId }, header };
      const { data, response } = await this.#api.GET("/v1/orders/{order_id}", { params });
      if (response.status !== 304) {
        const seen = orderOf(required(data, response));
        if (seen.version !== order?.version) {
          order = seen;
          attempt = 0;
          yield order;
        }
      }
      if (order === undefined) throw new UnexpectedAnswer(`${response.url} returned 304 to a request without If-None-Match`);
      if (!isBeingCancelled(order)) {
        if (states.has(order.status)) return;
        if (!canReach(order.status, states)) throw new EndedOtherwise(order);
      }
      const pause = pauseAfter(attempt, POLLING, this.#around) - (clock() - sentAt);
      if (clock() + Math.max(0, pause) >= end) throw new StillOpen(order);
      if (pause > 0) await sleep(pause);
    }
  }
}

function statesOf(until: Iterable<string>): ReadonlySet<string> {
  const states = new Set(typeof until === "string" ? [until] : until);
  const unknown = [...states].filter((state) => !STATES.includes(state));
  if (states.size === 0 || unknown.length > 0) {
    throw new RangeError(`the states to wait for must be among ${STATES.join(", ")}; not known: ${unknown.join(", ")}`);
  }
  return states;
}

/** Yield the items of a list. `read` returns a page: the first one without a cursor, each other with that of the page before. */
async function* itemsOf<T>(
  read: (cursor: { cursor?: string }) => Promise<{ items: T[]; next_cursor: string | null }>,
): AsyncGenerator<T> {
  let next: string | null = null;
  do {
    const page = await read(next === null ? {} : { cursor: next });
    yield* page.items;
    next = page.next_cursor;
  } while (next !== null);
}

function settingsOf({ url, types = [], description = "", enabled = true }: WebhookOptions): components["schemas"]["WebhookEndpointIn"] {
  return { url, types: [...types] as components["schemas"]["EventType"][], description, enabled };
}

function queryOf({ after, types }: EventOptions): EventQuery {
  return {
    ...(types === undefined ? {} : { type: [...types] as NonNullable<EventQuery["type"]> }),
    ...(after === undefined ? {} : { after }),
  };
}

/** Yield the pages of a feed up to the newest event. An event before the last of its page has the position before the page. */
async function* pagesOf<E extends { position: string | null }>(
  options: EventOptions,
  read: (query: EventQuery) => Promise<RawPage<E>>,
): AsyncGenerator<EventPage<E>> {
  let after = options.after;
  let more = true;
  while (more) {
    const page: RawPage<E> = await read({ limit: PAGE_SIZE, ...queryOf({ ...options, ...(after === undefined ? {} : { after }) }) });
    const last = page.items.length - 1;
    const before = after ?? null;
    const items = page.items.map((item, index) => ({ ...item, position: index === last ? page.next : before }) as E);
    yield { items, next: page.next, has_more: page.has_more };
    after = page.next;
    more = page.has_more;
  }
}

async function* eventsOf<E>(pages: AsyncGenerator<EventPage<E>>): AsyncGenerator<E> {
  for await (const page of pages) yield* page.items;
}

/** Return the order of a response. An API older than `metadata` and `payment` leaves them out. */
function orderOf(body: Omit<Order, "metadata" | "payment"> & Partial<Pick<Order, "metadata" | "payment">>): Order {
  return { ...body, metadata: body.metadata ?? {}, payment: body.payment ?? null };
}

/** Return the body of a successful response. */
function required<T>(data: T | undefined, response: Response): T {
  if (data === undefined) throw new UnexpectedAnswer(`the response of ${response.url} has no body`);
  return data;
}
