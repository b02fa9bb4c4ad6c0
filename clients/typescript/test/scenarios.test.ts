/** The scenarios of all clients, against the API in ORDER_API_URL, with a token of a new tenant per scenario in ORDER_TOKENS. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { OrderClient } from "../src/index.js";

interface Step {
  call: keyof OrderClient;
  args: unknown[];
  save?: string;
  result?: Record<string, unknown>;
  items?: Record<string, unknown>[];
  throws?: string;
}

interface Scenario {
  name: string;
  acting_for?: string;
  steps: Step[];
}

type Saved = Record<string, Record<string, unknown>>;

const baseUrl = process.env["ORDER_API_URL"];
const tokens = process.env["ORDER_TOKENS"]?.split(" ") ?? [];
const scenarios = JSON.parse(readFileSync(new URL("../../../scenarios.json", import.meta.url), "utf8")) as Scenario[];

/** Replace `$name.field` by the field of a saved result. */
function resolved(value: unknown, saved: Saved): unknown {
  if (typeof value === "string" && value.startsWith("$")) {
    const [name = "", field = ""] = value.slice(1).split(".");
    return saved[name]?.[field];
  }
  if (Array.isArray(value)) return value.map((each) => resolved(each, saved));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, resolved(each, saved)]));
}

/** Assert that objects have the expected fields, lists the expected entries, and empty ones nothing. */
function assertHas(actual: unknown, expected: unknown): void {
  const isPart = typeof expected === "object" && expected !== null && Object.keys(expected).length > 0;
  if (!isPart) return assert.deepEqual(actual, expected);
  if (Array.isArray(expected)) assert.equal((actual as unknown[]).length, expected.length);
  for (const [key, value] of Object.entries(expected)) assertHas((actual as Record<string, unknown>)[key], value);
}

async function outcome(client: OrderClient, { call, args, items }: Step, saved: Saved): Promise<unknown> {
  const method = client[call] as (...given: unknown[]) => unknown;
  const returned = method.apply(client, resolved(args, saved) as unknown[]);
  if (items === undefined) return await returned;
  const found: unknown[] = [];
  for await (const item of returned as AsyncIterable<unknown>) found.push(item);
  return found;
}

for (const [index, { name, acting_for: customer, steps }] of scenarios.entries()) {
  test(name, { skip: baseUrl === undefined && "ORDER_API_URL is not set" }, async () => {
    const own = new OrderClient({ baseUrl: baseUrl ?? "", token: tokens[index] ?? "" });
    const client = customer === undefined ? own : own.actingFor(customer);
    const saved: Saved = {};
    for (const step of steps) {
      if (step.throws !== undefined) {
        await assert.rejects(outcome(client, step, saved), { name: step.throws });
        continue;
      }
      const result = await outcome(client, step, saved);
      if (step.save !== undefined) saved[step.save] = result as Record<string, unknown>;
      if (step.result !== undefined) assertHas(result, resolved(step.result, saved));
      if (step.items !== undefined) assertHas(result, resolved(step.items, saved));
    }
  });
}
