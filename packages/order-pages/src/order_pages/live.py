"""Live parts of pages: regions that a stream of server-sent events replaces as a whole."""

import htpy as h

CONTENT_TYPE = "text/event-stream"


def live_part(name: str, stream: str, *content: h.Node) -> h.Element:
    """Return a region with the id `name` that each message of `stream` replaces.

    Without JavaScript the content stays as it was rendered: the page needs a link or button that loads it again.
    `innerMorph` keeps the focus, and text that is being typed.
    """
    return h.section({"id": name, "hx-sse:connect": stream, "hx-swap": "innerMorph"})[content]


def message(content: h.Renderable | str, number: int) -> bytes:
    """Return a message with the whole content of a part. A stream sends one on connect and one per change.

    The script closes the stream of a hidden tab, so that no page may depend on a single message.
    """
    data = "\n".join(f"data: {line}" for line in str(content).splitlines())
    return f"id: {number}\n{data}\n\n".encode()
