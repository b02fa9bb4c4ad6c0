"""AWS Signature Version 4 of a JSON request, with the signing key derived once a day instead of for each request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
from datetime import datetime

from aiodynamo.credentials import Key
from yarl import URL

ALGORITHM = "AWS4-HMAC-SHA256"
CONTENT_TYPE = "application/x-amz-json-1.0"
NAMES = "content-type;host;x-amz-date;x-amz-target"
NAMES_IN_SESSION = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"


class Signer:
    """Signs requests of one service in one region, sent to the root of `url`."""

    def __init__(self, service: str, region: str, url: URL) -> None:
        self._service = service
        self._region = region
        self._host = str(url.host_port_subcomponent)
        self._derived: tuple[str, str, bytes] = ("", "", b"")

    def headers(self, key: Key, target: str, body: bytes, at: datetime) -> dict[str, str]:
        """Return the headers of a POST of `body` to the operation `target` at this time (UTC)."""
        timestamp = at.strftime("%Y%m%dT%H%M%SZ")
        date = timestamp[:8]
        token, names = "", NAMES
        if key.token:
            token, names = f"x-amz-security-token:{key.token}\n", NAMES_IN_SESSION
        canonical = (
            f"POST\n/\n\ncontent-type:{CONTENT_TYPE}\nhost:{self._host}\nx-amz-date:{timestamp}\n{token}"
            f"x-amz-target:{target}\n\n{names}\n{hashlib.sha256(body).hexdigest()}"
        )
        scope = f"{date}/{self._region}/{self._service}/aws4_request"
        to_sign = f"{ALGORITHM}\n{timestamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._signing_key(key, date), to_sign.encode(), "sha256").hex()
        headers = {
            "content-type": CONTENT_TYPE,
            "host": self._host,
            "x-amz-date": timestamp,
            "x-amz-target": target,
            "authorization": f"{ALGORITHM} Credential={key.id}/{scope}, SignedHeaders={names}, Signature={signature}",
        }
        if key.token:
            headers["x-amz-security-token"] = key.token
        return headers

    def _signing_key(self, key: Key, date: str) -> bytes:
        known_date, known_secret, derived = self._derived
        if (known_date, known_secret) != (date, key.secret):
            derived = f"AWS4{key.secret}".encode()
            for part in (date, self._region, self._service, "aws4_request"):
                derived = hmac.digest(derived, part.encode(), "sha256")
            self._derived = (date, key.secret, derived)
        return derived
