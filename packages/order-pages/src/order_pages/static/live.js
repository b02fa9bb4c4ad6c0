// Show beside each live part whether its data is live, and repeat a first connection that failed, which htmx does not.
// Loaded before htmx, so that no event is missed.
(() => {
  const RETRY_MS = 2000;
  const WORDS = {
    live: "Live",
    paused: "Paused: connecting again",
    "signed-out": "Signed out: reload the page to sign in",
  };
  const STREAM = "hx-sse:connect";

  function show(part, state) {
    const status = document.querySelector(`[data-live-status="${part.id}"]`);
    if (!status || status.dataset.state === state) return;
    status.dataset.state = state;
    status.textContent = WORDS[state];
  }

  function fail(part, status) {
    show(part, status === 401 || status === 403 ? "signed-out" : "paused");
  }

  function on(name, handle) {
    document.addEventListener(name, (event) => {
      if (event.target.hasAttribute?.(STREAM)) handle(event.target, event.detail, event);
    });
  }

  function repeatLater(part) {
    setTimeout(() => window.htmx.trigger(part, "retry"), RETRY_MS);
  }

  on("htmx:sse:before:connection", (part, { connection }) => {
    if (connection.attempt > 0 && connection.status !== 401 && connection.status !== 403) show(part, "paused");
  });
  on("htmx:sse:after:connection", (part) => show(part, "live"));
  on("htmx:sse:error", (part, { connection, status }) => {
    if (connection) connection.status = status;
    fail(part, status);
  });
  on("htmx:after:request", (part, { ctx }, event) => {
    event.preventDefault(); // the response is no stream: it must not replace the part
    fail(part, ctx.response.status);
    repeatLater(part);
  });
  on("htmx:error", (part) => {
    fail(part);
    repeatLater(part);
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return;
    for (const part of document.querySelectorAll(`[${STREAM.replace(":", "\\:")}]`)) show(part, "paused");
  });
})();
