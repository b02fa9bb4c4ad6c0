"""Token issuer of the local stack: its own signing key, a key set over HTTP, and tokens for development.

A client with the client secret of the running stack gets tokens over HTTP by the OAuth client credentials grant.

`python -m devstack.issuer --key FILE --port 0` publishes the key set and logs `listening` with its port.
"""

import contextlib
import hmac
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import RSAAlgorithm

from devstack.address import LOOPBACK, Handler, part_options, served
from order_shared.runtime.logging import configure_logging
from order_shared.runtime.program import begin

log = structlog.get_logger(__name__)

ISSUER = "https://issuer.order-platform.local"
AUDIENCE = "order-api"
ALGORITHM = "RS256"
KEY_ID = "local"
SCOPE_CLAIMS = "scope,scp,roles,permissions"
"""Claims in which the local stack accepts scopes, so that tokens shaped as another issuer's can be tried."""
ALL_SCOPES = "orders:write orders:read products:read products:write"
DEFAULT_TTL_SECONDS = 12 * 3600


class BrokenKey(Exception):
    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} contains no RSA key; remove the file to create a new key")


@dataclass(frozen=True)
class Issuer:
    private_key: rsa.RSAPrivateKey

    @classmethod
    def at(cls, path: Path) -> "Issuer":
        """Return the issuer with the private key in this file. A missing file is created for its owner only.

        Raises BrokenKey.
        """
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            with tempfile.NamedTemporaryFile(dir=path.parent) as draft:  # readable by its owner only
                draft.write(pem)
                draft.flush()
                with contextlib.suppress(FileExistsError):
                    os.link(draft.name, path)  # if several processes create it, the first one wins
        try:
            loaded = load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise BrokenKey(path) from None
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise BrokenKey(path)
        return cls(loaded)

    @cached_property
    def key_set(self) -> dict[str, Any]:
        """Return the JWKS document."""
        algorithm = RSAAlgorithm(RSAAlgorithm.SHA256)
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
    def serve(self, host: str = LOOPBACK, port: int = 0, *, client_secret: str | None = None) -> Iterator[str]:
        """Serve the key set at every path while the block runs; yield its URL. Port 0 selects a free port.

        With `client_secret`, a POST that contains it returns a token for the `tenant` and `customer` of its form,
        with the scopes in `scope`.
        """
        issuer = self

        class IssuerHandler(Handler):
            def do_GET(self) -> None:  # noqa: N802 - name in the base class
                self._respond(200, issuer.key_set)

            def do_POST(self) -> None:  # noqa: N802 - name in the base class
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                form = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
                given = form.get("client_secret", "").encode()
                if client_secret is None or not hmac.compare_digest(given, client_secret.encode()):
                    self._respond(401, {"error": "invalid_client"})
                elif form.get("grant_type") != "client_credentials" or not form.keys() >= {"tenant", "customer"}:
                    self._respond(400, {"error": "invalid_request"})
                else:
                    token = issuer.token(form["tenant"], form["customer"], form.get("scope", ALL_SCOPES))
                    self._respond(
                        200, {"access_token": token, "token_type": "Bearer", "expires_in": DEFAULT_TTL_SECONDS}
                    )

            def _respond(self, status: int, content: dict[str, Any]) -> None:
                self.respond(status, json.dumps(content).encode())

        with served(IssuerHandler, host, port) as address:
            yield f"{address}/.well-known/jwks.json"


def main() -> None:
    begin("devstack")
    parser = part_options("Run the local token issuer.")
    parser.add_argument("--key", type=Path, required=True, help="private key file; created if missing")
    options = parser.parse_args()
    configure_logging("INFO")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        issuer = Issuer.at(options.key)
    except BrokenKey as error:
        sys.exit(str(error))
    with issuer.serve(options.host, options.port) as url:
        log.info("listening", host=options.host, port=urlsplit(url).port)
        signal.pause()


if __name__ == "__main__":
    main()
