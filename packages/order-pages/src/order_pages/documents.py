"""Documents that do not change while the process runs: compressed once, sent as they are."""

import gzip
import re

from starlette.datastructures import Headers
from starlette.responses import Response

MIN_COMPRESSED_BYTES = 1024
EXCLUDED = re.compile(r"q=0(\.0*)?", re.IGNORECASE)


class Document:
    """Bytes with a media type, and their compressed form."""

    def __init__(self, content: bytes, media_type: str) -> None:
        self.content = content
        self._compressed = gzip.compress(content, mtime=0) if len(content) >= MIN_COMPRESSED_BYTES else None
        self._media_type = media_type

    def response(self, request_headers: Headers, *, cache_control: str = "no-store") -> Response:
        """Return the response, compressed if the client accepts gzip and it is worth it."""
        headers = {"Cache-Control": cache_control, "Vary": "Accept-Encoding"}
        if self._compressed is not None and _accepts_gzip(request_headers):
            headers["Content-Encoding"] = "gzip"
            return Response(self._compressed, headers=headers, media_type=self._media_type)
        return Response(self.content, headers=headers, media_type=self._media_type)


def _accepts_gzip(headers: Headers) -> bool:
    """Return whether `Accept-Encoding` names gzip and does not exclude it with `q=0`."""
    for entry in ",".join(headers.getlist("accept-encoding")).split(","):
        coding, _, parameters = entry.partition(";")
        if coding.strip().lower() == "gzip":
            return not EXCLUDED.fullmatch(parameters.strip())
    return False
