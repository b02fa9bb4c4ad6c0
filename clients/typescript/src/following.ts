/** Streams of events: read server-sent events, and connect again where the last connection ended. */
import { problemOf, UnexpectedAnswer } from "./errors.js";
import { pauseAfter, type RetryPolicy, type Surroundings } from "./retries.js";

/** Seconds without a byte after which a connection counts as lost. The API sends a heartbeat every 15 seconds. */
const SILENCE = 45;

type Fields = Record<string, string>;

/**
 * Yield the events of a stream without end, each with the position after it. `open` connects, and gets the position after
 * which to continue, or undefined for the first connection.
 */
export async function* follow<E extends object>(
  open: (position: string | undefined) => Promise<Response>,
  policy: RetryPolicy,
  around: Surroundings,
): AsyncGenerator<E & { position: string | null }> {
  let position: string | undefined;
  for (let attempt = 0; ; attempt += 1) {
    const response = await open(position);
    for await (const fields of messagesOf(response)) {
      position = fields["id"] ?? position;
      const data = fields["data"];
      if (data === undefined) continue;
      if (fields["event"] === "error") throw await problemIn(data);
      attempt = 0;
      yield { ...eventIn<E>(data), position: position ?? null };
    }
    await around.sleep(pauseAfter(attempt, policy, around));
  }
}

/** Yield the messages of a response until the connection ends or is lost. An incomplete message is dropped. */
async function* messagesOf(response: Response): AsyncGenerator<Fields> {
  if (response.body === null) throw new UnexpectedAnswer(`the response of ${response.url} has no body`);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const chunk = await nextChunk(reader);
      if (chunk === undefined) return;
      const messages = (text + decoder.decode(chunk, { stream: true })).split("\n\n");
      text = messages.pop() ?? "";
      for (const message of messages) yield fieldsOf(message);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Return the next bytes, or undefined if the connection has ended, is lost or is silent for too long. */
async function nextChunk(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), SILENCE * 1000);
  });
  const next = reader.read().then(
    ({ value }) => value,
    () => undefined,
  );
  try {
    return await Promise.race([next, silence]);
  } finally {
    clearTimeout(timer);
  }
}

function fieldsOf(message: string): Fields {
  const fields: Fields = {};
  for (const line of message.split("\n")) {
    const [name = "", ...rest] = line.split(":");
    if (name !== "") fields[name] = rest.join(":").replace(/^ /, "");
  }
  return fields;
}

function eventIn<E>(data: string): E {
  try {
    return JSON.parse(data) as E;
  } catch (error) {
    throw new UnexpectedAnswer("a message of the stream is not JSON", { cause: error });
  }
}

/** Return the error of a problem document in a stream. */
async function problemIn(data: string): Promise<Error> {
  const { status } = eventIn<{ status?: number }>(data);
  if (status === undefined || status < 400 || status > 599) return new UnexpectedAnswer(`the stream ended with ${data}`);
  return problemOf(new Response(data, { status }));
}
