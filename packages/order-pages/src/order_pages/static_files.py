"""Static files of all pages, below `/pages/static/`. The name of each contains the hash of its content."""

import hashlib
from functools import cache
from importlib.resources import files

from starlette.datastructures import Headers
from starlette.responses import Response

from order_pages.documents import Document

STATIC = "/pages/static/"
STYLE = "pages.css"
SCRIPT = "htmx.js"
STATUS_SCRIPT = "live.js"
ICON = "icon.svg"

MEDIA_TYPES = {STYLE: "text/css", SCRIPT: "text/javascript", STATUS_SCRIPT: "text/javascript", ICON: "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"
HASH_LENGTH = 12


@cache
def address_of(name: str) -> str:
    """Return the path of a static file, such as `/pages/static/pages.0123456789ab.css`."""
    stem, _, suffix = name.rpartition(".")
    digest = hashlib.sha256(_document(name).content).hexdigest()[:HASH_LENGTH]
    return f"{STATIC}{stem}.{digest}.{suffix}"


def static_file(name: str, request_headers: Headers) -> Response | None:
    """Return the response for a name below `/pages/static/`; None if there is no such file.

    A page of another release asks for another hash. It gets the file of this release, which no cache may keep.
    """
    parts = name.split(".")
    file = f"{parts[0]}.{parts[-1]}"
    if file not in MEDIA_TYPES or len(parts) > len(("stem", "hash", "suffix")):
        return None
    is_current = f"{STATIC}{name}" == address_of(file)
    return _document(file).response(request_headers, cache_control=FOR_EVER if is_current else "no-store")


@cache
def _document(name: str) -> Document:
    return Document((files(__package__) / "static" / name).read_bytes(), MEDIA_TYPES[name])
