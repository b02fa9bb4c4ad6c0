"""AWS Signature Version 4 for JSON requests. The signing key is derived once per day and secret, not for each request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from aws_json_client.credentials import Key

ALGORITHM = "AWS4-HMAC-SHA256"
CONTENT_TYPE = "application/x-amz-json-1.0"


class Signer:
    """Signer of POST requests to the path `/` of one service in one region. `host` is the `Host` header."""

    def __init__(self, *, service: str, region: str, host: str) -> None:
        self._service = service
        self._region = region
        self._host = host
        self._derived: tuple[str, str, bytes] = ("", "", b"")

    def headers(self, key: Key, target: str, body: bytes, at: datetime) -> dict[str, str]:
        """Return the headers of a POST request with `body`, signed for the time `at` (UTC).

        `target` is the value of `X-Amz-Target`, such as `DynamoDB_20120810.GetItem`.
        """
        timestamp = at.strftime("%Y%m%dT%H%M%SZ")
        headers = {"content-type": CONTENT_TYPE, "host": self._host, "x-amz-date": timestamp}
        if key.token:
            headers["x-amz-security-token"] = key.token
        headers["x-amz-target"] = target
        headers["authorization"] = self.authorization(key, headers, body, timestamp)
        return headers

    def authorization(self, key: Key, headers: Mapping[str, str], body: bytes, timestamp: str) -> str:
        """Return the `Authorization` header, which signs all `headers`. Their names are in lower case and sorted."""
        date = timestamp[:8]
        names = ";".join(headers)
        lines = "".join([f"{name}:{value}\n" for name, value in headers.items()])
        canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{date}/{self._region}/{self._service}/aws4_request"
        to_sign = f"{ALGORITHM}\n{timestamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._signing_key(key, date), to_sign.encode(), "sha256").hex()
        return f"{ALGORITHM} Credential={key.id}/{scope}, SignedHeaders={names}, Signature={signature}"

    def _signing_key(self, key: Key, date: str) -> bytes:
        known_date, known_secret, derived = self._derived
        if (known_date, known_secret) != (date, key.secret):
            derived = f"AWS4{key.secret}".encode()
            for part in (date, self._region, self._service, "aws4_request"):
                derived = hmac.digest(derived, part.encode(), "sha256")
            self._derived = (date, key.secret, derived)
        return derived
