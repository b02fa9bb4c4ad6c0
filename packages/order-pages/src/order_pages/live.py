"""Live parts of pages: regions that a stream of server-sent events replaces as a whole."""

import htpy as h

CONTENT_TYPE = "text/event-stream"


def live_part(name: str, stream: str, *content: h.Node) -> h.Element:
    """Return a region with the id `name` that each message of `stream` replaces, and its status beside it.

    The status is "Live", "Paused" or "Signed out"; without JavaScript it asks the reader to load the page again.
    `innerMorph` keeps the focus, and text that is being typed.
    """
    attributes = {"id": name, "hx-sse:connect": stream, "hx-swap": "innerMorph", "hx-trigger": "load, retry"}
    return h.section[
        h.p(".live", {"data-live-status": name}, role="status")["Reload the page for newer data"],
        h.div(attributes)[content],
    ]


def message(content: h.Renderable | str, number: int) -> bytes:
    """Return a message with the whole content of a part. A stream sends one on connect and one per change.

    The script closes the stream of a hidden tab, so that no page may depend on a single message.
    """
    data = "\n".join(f"data: {line}" for line in str(content).splitlines())
    return f"id: {number}\n{data}\n\n".encode()
