"""Settings of the API, in addition to those that both services share."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from aws_json_client.proxies import proxy_for
from order_shared.runtime.config import Environment
from order_shared.runtime.webhooks import WebhookSettings

MIN_SECRET_LENGTH = 16

ClaimName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._:/-]{1,128}$", title="1 to 128 of the characters A-Z a-z 0-9 . _ : / -")
]


class ApiSettings(WebhookSettings):
    jwt_issuer: Annotated[str, Field(min_length=1, examples=["https://login.example.com/"])]
    """Required `iss` claim of a token."""
    jwt_audience: Annotated[tuple[str, ...], Field(min_length=1, title="a list of names", examples=["orders"])]
    """Accepted audiences, comma separated. A token needs one of them."""
    jwks_url: Annotated[
        str,
        Field(
            pattern=r"^(https?://[^/\s].*)?$",
            title="an http or https URL",
            examples=["https://login.example.com/.well-known/jwks.json"],
        ),
    ] = ""
    """Address of the issuer's public keys. By default it is `jwks_uri` in the issuer's OpenID Connect discovery
    document, `/.well-known/openid-configuration` below `ORDER_JWT_ISSUER`."""
    jwt_audience_claim: Literal["aud", "client_id"] = "aud"
    """Claim that contains the audience. Access tokens of Cognito have only `client_id`."""
    jwt_tenant_claim: ClaimName = "tenant"
    """Claim that contains the tenant."""
    jwt_customer_claim: ClaimName = "sub"
    """Claim that contains the customer: 1 to 255 characters of ASCII. Choose a claim that never changes."""
    jwt_scope_claims: Annotated[
        tuple[ClaimName, ...],
        Field(min_length=1, max_length=10, title="a list of names of claims", examples=["scp,roles"]),
    ] = ("scope",)
    """Claims that contain scopes, comma separated, such as `scope`, `scp`, `roles` or `permissions`. Each is a text,
    separated by blanks, or a list of texts. The scopes of all of them count."""
    jwt_scope_prefix: Annotated[
        str,
        Field(
            pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{0,256}$",
            title="up to 256 characters of ASCII, without blanks, quotes and backslashes",
            examples=["orders-api/"],
        ),
    ] = ""
    """Prefix of each scope at the issuer, such as `orders-api/`. Scopes without it are ignored."""

    rate_limit_per_second: Annotated[float, Field(gt=0, le=1_000_000)] = 500.0
    """Sustained requests per second of one tenant in one process: about half of the capacity of a process."""
    rate_limit_burst: Annotated[int, Field(ge=1, le=10_000_000)] = 2500
    """Requests that a tenant may send at once after an idle time: five seconds of its sustained rate."""
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Concurrent requests in one process. Further requests get a 503 at once."""
    max_streams: Annotated[int, Field(ge=0, le=100_000)] = 2000
    """Open streams of events in one process. Further ones get a 503. They do not count as concurrent requests."""
    max_streams_per_tenant: Annotated[int, Field(ge=0, le=100_000)] = 500
    """Open streams of events of one tenant in one process, and never more than four times the free places of
    `ORDER_MAX_STREAMS`. Further ones get a 429."""
    request_timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Time limit for a client to send the head of a request, to send its body, and to read the response."""
    lame_duck_seconds: Annotated[float, Field(ge=0, le=600, examples=[20])] = 0.0
    """Time between SIGTERM and the closing of the listener, with `/serving` 503 and `Connection: close`. Behind a load
    balancer it must be longer than the target group takes to detect the 503: interval times threshold."""
    keep_alive_seconds: Annotated[int, Field(ge=1, le=4000)] = 75
    """Idle time-out of a connection: more than the load balancer's 60 s, so that it never uses a closed connection."""

    cursor_secrets: Annotated[
        tuple[SecretStr, ...],
        Field(min_length=1, title="a list of secrets", examples=["at-least-16-random-characters"]),
    ]
    """Comma separated. The first secret signs cursors and positions of events; all of them verify. To rotate, put a new
    secret first, and keep the former one for 30 days: as long as positions are valid."""

    public_address: Annotated[str, Field(pattern=r"^(https?://[^/?#\s]+)?$")] = ""
    """Address at which customers reach the API, such as `https://orders.example.com`, without a path. It is the first
    part of a problem's `type`, the page of its code. By default `type` is relative to the address of the request."""

    api_reference: bool | None = None
    """True if `/pages/api` shows the reference of the API. By default it does, unless `ORDER_ENV` is `prod`. The pages
    of the error codes are always shown."""

    cancel_window: Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=366))] = timedelta(hours=24)
    """Time after confirmation during which an order can be cancelled, as ISO 8601: `PT24H`."""

    stores_history: bool = True
    """True if new orders are stored with their history (item version 3). Set it to false while tasks of a release
    that cannot read it run: new orders are then stored with their timeline only (item version 2)."""

    accept_deadline_seconds: Annotated[float, Field(gt=0, le=600)] = 5.0
    """Time limit for placing an order, and for one storage call of any other request. After it the response is 503."""

    @field_validator("cursor_secrets", "jwt_audience", "jwt_scope_claims", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_address_of_keys(self) -> Self:
        """Reject plain HTTP: an attacker who replaces the keys in transit could sign tokens for any tenant."""
        variable, address, example = (
            ("ORDER_JWKS_URL", self.jwks_url, "https://login.example.com/.well-known/jwks.json")
            if self.jwks_url
            else ("ORDER_JWT_ISSUER", self.jwt_issuer, "https://login.example.com/; or set ORDER_JWKS_URL")
        )
        if not address.startswith("https://" if self.keys_need_https else ("https://", "http://")):
            raise ValueError(f"{variable}: it must begin with https:// unless ORDER_ENV is local, such as {example}")
        proxy_for(address)  # fails for a proxy that cannot be used
        return self

    @property
    def shows_reference(self) -> bool:
        return self.env is not Environment.PROD if self.api_reference is None else self.api_reference

    @property
    def keys_need_https(self) -> bool:
        return self.env is not Environment.LOCAL

    @field_validator("jwt_audience")
    @classmethod
    def _reject_empty(cls, audiences: tuple[str, ...]) -> tuple[str, ...]:
        if not all(audiences):
            raise ValueError("an audience must not be empty")
        return audiences

    @field_validator("cursor_secrets")
    @classmethod
    def _check_length(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(secret.get_secret_value()) < MIN_SECRET_LENGTH for secret in secrets):
            raise ValueError(f"each secret must have at least {MIN_SECRET_LENGTH} characters")
        return secrets
