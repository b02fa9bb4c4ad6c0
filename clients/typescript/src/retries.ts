/** Requests that are repeated until a final response or the deadline. */
import { problemOf, Problem, Unauthenticated, Unreachable } from "./errors.js";

/** Bearer token, or a function that returns one; it is called before every attempt. */
export type Token = string | (() => string | Promise<string>);

/**
 * Limits in seconds. A call ends within `deadline`, and one attempt within `attemptTimeout`; both are extended by the
 * time that the call asks the API to wait. The pause before retry n, counted from 0, is random between 0 and the lesser
 * of `base` * 2**n and `cap`; the seconds of `Retry-After` are added to it.
 */
export interface RetryPolicy {
  deadline: number;
  attemptTimeout: number;
  base: number;
  cap: number;
}

export const DEFAULT_POLICY: RetryPolicy = { deadline: 30, attemptTimeout: 10, base: 0.1, cap: 5 };

/** Functions that tests replace. Times are in seconds. */
export interface Surroundings {
  fetch: (request: Request) => Promise<Response>;
  clock: () => number;
  sleep: (seconds: number) => Promise<void>;
  jitter: (most: number) => number;
  log: (message: string) => void;
}

export const SURROUNDINGS: Surroundings = {
  fetch: (request) => fetch(request),
  clock: () => performance.now() / 1000,
  sleep: (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000)),
  jitter: (most) => Math.random() * most,
  log: (message) => console.warn(message),
};

/** Media type of a stream. The body of its response is not read here. */
export const EVENT_STREAM = "text/event-stream";

/** Return the pause after the failed attempt number `attempt`, counted from 0. */
export function pauseAfter(attempt: number, { base, cap }: Pick<RetryPolicy, "base" | "cap">, around: Surroundings): number {
  return around.jitter(Math.min(cap, base * 2 ** Math.min(attempt, 30)));
}

/**
 * Return a fetch that authenticates and repeats requests. Every request must be idempotent.
 *
 * It returns 2xx and 304, and throws Problem for other statuses and Unreachable without a response. The body has arrived,
 * except that of a request that accepts an event stream.
 */
export function retrying(token: Token, policy: RetryPolicy, around: Surroundings): (request: Request) => Promise<Response> {
  let isReached = true;

  async function attempt(request: Request, seconds: number): Promise<Response> {
    const value = (typeof token === "string" ? token : await token()).trim();
    if (!/^[!-~]+$/.test(value)) throw new RangeError("the token is empty, or has characters that no header allows");
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), Math.ceil(Math.max(1, seconds * 1000)));
    const copy = new Request(request, { signal: AbortSignal.any([request.signal, timeout.signal]) });
    copy.headers.set("Authorization", `Bearer ${value}`);
    let response: Response;
    try {
      const answer = await around.fetch(copy);
      if (answer.ok && request.headers.get("Accept") === EVENT_STREAM) return answer;
      const body = answer.status === 304 ? null : await answer.arrayBuffer();
      response = new Response(body, answer);
    } catch (error) {
      request.signal.throwIfAborted();
      const reason = timeout.signal.aborted ? "no response in time" : describe(error);
      throw new Unreachable(`${new URL(request.url).origin}: ${reason}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
    if (response.ok || response.status === 304) return response;
    throw await problemOf(response);
  }

  return async (request) => {
    const held = Number(/^wait=(\d+)$/.exec(request.headers.get("Prefer") ?? "")?.[1] ?? 0);
    const end = around.clock() + policy.deadline + held;
    let mayRenew = typeof token !== "string";
    for (let number = 0; ; number += 1) {
      let pause = pauseAfter(number, policy, around);
      try {
        const response = await attempt(request.clone(), Math.min(policy.attemptTimeout + held, end - around.clock()));
        isReached = true;
        return response;
      } catch (error) {
        if (error instanceof Unauthenticated && mayRenew) {
          mayRenew = false;
          number -= 1;
          continue;
        }
        if (error instanceof Unreachable && isReached) {
          isReached = false;
          around.log(`${error.message}; calls are repeated for up to ${policy.deadline} s`);
        }
        if (error instanceof Problem && error.retryable) pause += error.retryAfter ?? 0;
        else if (!(error instanceof Unreachable)) throw error;
        if (around.clock() + pause >= end) throw error;
      }
      await around.sleep(pause);
    }
  };
}

function describe(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}
