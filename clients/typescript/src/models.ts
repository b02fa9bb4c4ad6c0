/** Types of the API, from its OpenAPI document. Money is in minor units of `currency`; times are UTC. */
import type { components, operations } from "./schema.js";

type Schemas = components["schemas"];

/** State of an order. A newer API may return one that this release does not know. */
export type OrderStatus = Schemas["OrderStatus"] | (string & {});
/** State of a payment; `cancelled` if the order ended without a charge. A newer API may return an unknown one. */
export type PaymentStatus = Schemas["PaymentSummaryStatus"] | (string & {});
/** A charge or a refund. A newer API may return another type. */
export type Movement = Omit<Schemas["MovementOut"], "type"> & { type: Schemas["MovementType"] | (string & {}) };
/** What was charged and refunded so far. */
export type Payment = Omit<Schemas["PaymentOut"], "status" | "history"> & { status: PaymentStatus; history: Movement[] };
/** An order. `metadata` is empty, and `payment` null, if the API is older than these fields. */
export type Order = Omit<Schemas["OrderOut"], "status" | "payment"> & { status: OrderStatus; payment: Payment | null };
/** A placed order. `replayed` is true if an earlier request with the same idempotency key placed it. */
export type PlacedOrder = Order & { replayed: boolean };
/** An order of any customer of the tenant. `customer` is the subject of its customer. */
export type TenantOrder = Omit<Order, "__typename"> & Pick<Schemas["TenantOrderOut"], "__typename" | "customer">;
/** Type of an event. A newer API may return one that this release does not know. */
export type EventType = Schemas["EventType"] | (string & {});
type Positioned<Body, Data> = Omit<Body, "type" | "data"> & { type: EventType; data?: Data; position: string | null };
/**
 * One change of an order. Its `id` is the same whenever the event is read: ignore one that you have handled. `data` is the
 * order as it was when the event was read, and may be newer than the change; it is left out if the API could not read the
 * order. `position` is what to store when the event is handled: reading continues after it.
 */
export type OrderEvent = Positioned<Schemas["EventOut"], Order>;
/** One change of an order of any customer of the tenant. */
export type TenantEvent = Positioned<Schemas["TenantEventOut"], TenantOrder>;
/** Events, and the position after them: store `next` when all are handled. `items` may be empty. */
export interface EventPage<E> {
  items: E[];
  next: string;
  has_more: boolean;
}
export type Product = Schemas["StockedProductOut"];
/** A product as lists contain it, without its stock. */
export type ListedProduct = Schemas["ProductOut"];
export type ProductFields = Schemas["ProductIn"];
type State<S> = S | (string & {});
/** Result of one request to a receiver. It succeeded if `status` is 200 to 299 and `error` is null. */
export type WebhookAttempt = Omit<Schemas["AttemptOut"], "error"> & { error: State<Schemas["AttemptError"]> | null };
/** Endpoint that receives the events of all orders of the tenant; `types` is empty for all types. */
export type WebhookEndpoint = Omit<Schemas["WebhookEndpointOut"], "types" | "state" | "disabled_reason" | "verification"> & {
  types: EventType[];
  state: State<Schemas["EndpointState"]>;
  disabled_reason: State<Schemas["DisabledReason"]> | null;
  verification: WebhookAttempt | null;
};
/** Delivery of one event whose first attempt failed. */
export type WebhookDelivery = Omit<Schemas["WebhookDeliveryOut"], "type" | "state" | "attempts"> & {
  type: EventType;
  state: State<Schemas["DeliveryState"]>;
  attempts: WebhookAttempt[];
};
export type Fault = Schemas["ProblemError"];
/** Filters and sort of a list of orders. */
export type OrderFilters = Omit<NonNullable<operations["listOrders"]["parameters"]["query"]>, "cursor">;
/** Filters and sort of a list of a tenant's orders. */
export type TenantOrderFilters = Omit<NonNullable<operations["listTenantOrders"]["parameters"]["query"]>, "cursor">;

export const STATES: readonly string[] = ["pending", "reserved", "confirmed", "rejected", "cancelled"];
/** States in which processing has finished. A confirmed order can still be cancelled. */
export const END_STATES: ReadonlySet<string> = new Set(["confirmed", "rejected", "cancelled"]);

/** Return whether an order in this state can still reach one of the states. */
export function canReach(status: string, until: ReadonlySet<string>): boolean {
  if (!END_STATES.has(status)) return true;
  return until.has(status) || (status === "confirmed" && until.has("cancelled"));
}

/** Return whether cancellation was requested and is not complete: the order will end as `cancelled`. */
export function isBeingCancelled(order: Order): boolean {
  return order.cancel_requested_at !== null && order.status !== "cancelled";
}
