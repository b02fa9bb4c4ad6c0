/** Client for the order platform's API. It repeats failed requests and places no order twice. */
export { OrderClient, type ClientOptions, type EventOptions, type OrderToPlace, type WaitOptions, type WebhookOptions } from "./client.js";
export * from "./errors.js";
export * from "./models.js";
export { InvalidWebhook, verifyWebhook, type Webhook } from "./webhooks.js";
export { DEFAULT_POLICY, type RetryPolicy, type Surroundings, type Token } from "./retries.js";
