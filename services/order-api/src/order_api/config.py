"""The API's settings, on top of those both services share."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from order_shared.runtime.config import Environment, Settings

MIN_SECRET_LENGTH = 16


class ApiSettings(Settings):
    jwt_issuer: Annotated[str, Field(min_length=1)]
    """The `iss` that a token must carry."""
    jwt_audience: Annotated[tuple[str, ...], NoDecode, Field(min_length=1)]
    """Accepted audiences, comma separated. A token needs one of them."""
    jwks_url: Annotated[str, Field(pattern="^https?://")]
    """Address of the issuer's public keys."""
    jwt_audience_claim: Literal["aud", "client_id"] = "aud"
    """The claim that holds the audience. Cognito's access tokens have `client_id` only."""
    jwt_tenant_claim: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:/-]{1,128}$")] = "tenant"
    """The claim that names the tenant."""
    jwt_scope_prefix: Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{0,256}$")] = ""
    """Prefix of each scope at the issuer, such as `orders-api/`. A scope without it is ignored."""

    rate_limit_per_second: Annotated[float, Field(gt=0)] = 500.0
    """Sustained requests per second of one tenant in one process: about half of the capacity of a process."""
    rate_limit_burst: Annotated[int, Field(ge=1)] = 2500
    """Requests that a tenant may send at once after a rest: five seconds of its sustained rate."""
    max_in_flight: Annotated[int, Field(ge=1)] = 1000
    """Requests under way at once in one process. Any more are answered 503 at once, rather than late."""
    request_timeout_seconds: Annotated[float, Field(gt=0)] = 10.0
    """Time limit for a client to send the head of a request, to send its body, and to read the response."""
    lame_duck_seconds: Annotated[float, Field(ge=0)] = 0.0
    """How long the process goes on serving after SIGTERM, with `/serving` 503 and `Connection: close`, before it closes
    its listener. Behind a load balancer longer than the target group needs to notice: interval times threshold."""
    keep_alive_seconds: Annotated[int, Field(ge=1)] = 75
    """Lifetime of an idle connection: longer than the load balancer's 60 s, which then never uses a closed one."""

    cursor_secrets: Annotated[tuple[SecretStr, ...], NoDecode, Field(min_length=1)]
    """Comma separated. The first signs cursors, all verify them: add a new one in front to rotate."""

    cancel_window: timedelta = timedelta(hours=24)
    """Time after its confirmation in which an order can be cancelled, as ISO 8601: `PT24H`."""

    accept_deadline_seconds: Annotated[float, Field(gt=0)] = 5.0
    """Time limit for placing an order, and for one storage call of another request. Then the response is 503."""

    @field_validator("cursor_secrets", "jwt_audience", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("jwks_url")
    @classmethod
    def _not_forged_on_the_way(cls, address: str, info: ValidationInfo) -> str:
        """Refuse plain HTTP: whoever can change the keys in transit can sign tokens of any tenant."""
        if info.data.get("env") is not Environment.LOCAL and not address.startswith("https://"):
            raise ValueError(
                "it must begin with https:// unless ORDER_ENV is local, such as "
                "https://login.example.com/.well-known/jwks.json"
            )
        return address

    @field_validator("jwt_audience")
    @classmethod
    def _named(cls, audiences: tuple[str, ...]) -> tuple[str, ...]:
        if not all(audiences):
            raise ValueError("an audience is empty")
        return audiences

    @field_validator("cursor_secrets")
    @classmethod
    def _long_enough(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(secret.get_secret_value()) < MIN_SECRET_LENGTH for secret in secrets):
            raise ValueError(f"each secret needs at least {MIN_SECRET_LENGTH} characters")
        return secrets
