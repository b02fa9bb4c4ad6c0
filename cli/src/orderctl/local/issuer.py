"""The local stack's own token issuer: a key of its own, its public half over HTTP, tokens for development.

`python -m orderctl.local.issuer --key FILE --port 0` publishes the key set, and logs `listening` with its port.
"""

import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from order_shared.runtime.logging import configure_logging
from orderctl.local.address import LOOPBACK, part_options

log = structlog.get_logger(__name__)

ISSUER = "https://issuer.order-platform.local"
AUDIENCE = "order-api"
ALGORITHM = "RS256"
KEY_ID = "local"
ALL_SCOPES = "orders:write orders:read products:read products:write"
DEFAULT_TTL_SECONDS = 12 * 3600


@dataclass(frozen=True)
class Issuer:
    private_key: rsa.RSAPrivateKey

    @classmethod
    def at(cls, path: Path) -> "Issuer":
        """The issuer whose private key is in this file; made, for its owner only, if there is none."""
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            with tempfile.NamedTemporaryFile(dir=path.parent) as draft:  # readable by its owner only
                draft.write(pem)
                draft.flush()
                with contextlib.suppress(FileExistsError):
                    os.link(draft.name, path)  # of several at once, one wins
        loaded = load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise TypeError(f"{path} holds no RSA key; remove it to have one made")
        return cls(loaded)

    @cached_property
    def key_set(self) -> dict[str, Any]:
        """The JWKS document."""
        algorithm = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256)
        public = json.loads(algorithm.to_jwk(self.private_key.public_key()))
        return {"keys": [{**public, "kid": KEY_ID, "alg": ALGORITHM, "use": "sig"}]}

    def token(self, tenant: str, customer: str, scope: str = ALL_SCOPES, ttl_seconds: int = DEFAULT_TTL_SECONDS) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": customer,
            "tenant": tenant,
            "scope": scope,
            "iat": now,
            "exp": now + ttl_seconds,
        }
        return jwt.encode(claims, self.private_key, algorithm=ALGORITHM, headers={"kid": KEY_ID})

    @contextlib.contextmanager
    def serve(self, host: str = LOOPBACK, port: int = 0) -> Iterator[str]:
        """Publishes the key set while the block runs, at any path; gives its URL. Port 0 takes any free one."""
        document = json.dumps(self.key_set).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(document)))
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                pass

        with ThreadingHTTPServer((host, port), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield f"http://{host}:{server.server_port}/.well-known/jwks.json"
            finally:
                server.shutdown()
                thread.join()


def main() -> None:
    parser = part_options("The local token issuer.")
    parser.add_argument("--key", type=Path, required=True, help="its private key; made if it is not there")
    options = parser.parse_args()
    configure_logging("INFO")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Issuer.at(options.key).serve(options.host, options.port) as url:
        log.info("listening", host=options.host, port=urlsplit(url).port)
        signal.pause()


if __name__ == "__main__":
    main()
