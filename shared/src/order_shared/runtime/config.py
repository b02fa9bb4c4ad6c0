"""Settings that all services share, in addition to AWS's own credentials and profile."""

import importlib.util
import re
from enum import IntEnum, StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from aws_json_client import DYNAMODB, SQS
from aws_json_client.endpoints import resolve
from aws_json_client.proxies import proxy_for
from order_shared.runtime.settings import ProgramSettings, Variable, load_settings
from order_shared.tables import DEFAULT_OPEN_SHARDS, OPEN_SHARDS, Queue, TableNames, order_queue

__all__ = ["Environment", "OpenShards", "PaymentSettings", "Settings", "load_settings"]

REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")

LIVE_KEYS = ("sk_live_", "rk_live_")
"""Prefixes of live keys (secret and restricted) of the payment provider. Live keys move real money."""
TEST_KEYS = ("sk_test_", "rk_test_")
PROVIDER = "https://api.stripe.com"
"""Address of the provider's API if `payment_api_base` is not set."""


class Environment(StrEnum):
    LOCAL = "local"
    DEV = "dev"
    UAT = "uat"
    PROD = "prod"


class OpenShards(IntEnum):
    """Supported numbers of outbox keys that a process writes; see `order_shared.storage.outbox`."""

    DEFAULT = DEFAULT_OPEN_SHARDS
    ALL = OPEN_SHARDS


class Settings(ProgramSettings):
    env: Environment = Environment.LOCAL
    table_prefix: Annotated[str, Field(examples=["dev-"])] = ""
    """Prefix of every table; `{env}-` if not set."""
    queue_name: Annotated[str, Field(examples=["dev-orders"])] = ""
    """Name of the work queue; `{table_prefix}orders` if not set."""
    dlq_name: Annotated[str, Field(examples=["dev-orders-dead"])] = ""
    """Name of the dead-letter queue; `{table_prefix}orders-dead` if not set."""

    aws_region: Annotated[
        str, Variable("AWS_REGION", "AWS_DEFAULT_REGION"), Field(title="a region of AWS", examples=["eu-central-1"])
    ]
    aws_endpoint_url: Annotated[
        str | None,
        Variable("AWS_ENDPOINT_URL"),
        Field(title="a URL with a scheme, a host and an optional port", examples=["http://127.0.0.1:4566"]),
    ] = None
    """Endpoint of every AWS service; AWS's own if not set."""
    aws_endpoint_url_dynamodb: Annotated[
        str | None,
        Variable("AWS_ENDPOINT_URL_DYNAMODB"),
        Field(title="a URL with a scheme, a host and an optional port", examples=["http://127.0.0.1:8000"]),
    ] = None
    """Endpoint of DynamoDB; `AWS_ENDPOINT_URL` if not set."""
    aws_endpoint_url_sqs: Annotated[
        str | None,
        Variable("AWS_ENDPOINT_URL_SQS"),
        Field(title="a URL with a scheme, a host and an optional port", examples=["http://127.0.0.1:9324"]),
    ] = None
    """Endpoint of SQS; `AWS_ENDPOINT_URL` if not set."""

    aws_client: Literal["aws-json-client", "aioboto3"] = "aws-json-client"
    """Client for DynamoDB and SQS. `aioboto3` is the stock SDK, for comparison: it uses several times the CPU and needs
    the extra `order-shared[aioboto3]`."""

    home_region: Annotated[str | None, Field(title="a region of AWS", examples=["eu-central-1"])] = None
    """Home region: the only one that takes writes among the regions with replicated tables, because uniqueness and
    transactions do not span regions. In every other region the API only reads, and the processor does not start. If not
    set, this region is the home region."""

    open_shards: OpenShards = OpenShards.DEFAULT
    """Number of keys of the index `open_orders` that this process writes: 16, or 128 for more than 1,000 orders a
    second. Every process reads all 128 keys. `docs/evolution.md` describes the change to 128 keys and back."""

    sweep_base_seconds: Annotated[float, Field(gt=0, le=3600)] = 15.0
    """Seconds that an order may stay open before a sweep republishes its message; doubles with each sweep."""

    stock_increases_counted: bool = True
    """True if every running task counts the increases of stock shards, so that two plain reads prove a shortage. Set it
    to false while tasks of a release without the counter run: a read transaction then proves a shortage. On a hot
    product, concurrent attempts to take stock may cancel that transaction and delay the proof."""

    former_message_types: bool = False
    """True while processors of the last release run: messages then have the types that it reads, `order.placed.v1` and
    `order.cancel_requested.v1`. It dead-letters any other type."""

    host: Annotated[str, Field(title="an address of this machine", examples=["::"])] = "127.0.0.1"
    """Address to listen on: IPv4, IPv6 or a name. `0.0.0.0` is every IPv4 address, `::` every address."""
    port: Annotated[int, Field(ge=0, le=65535, examples=[8080])] = 0
    """0 selects a free port; the log line `listening` has the address."""
    commit: str = "unknown"
    """Commit that the image was built from, for metrics and traces."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @model_validator(mode="before")
    @classmethod
    def _with_default_names(cls, values: dict[str, object]) -> dict[str, object]:
        prefix = values.get("table_prefix") or f"{values.get('env') or Environment.LOCAL}-"
        queue = cls.queue_of(str(prefix))
        defaults = {"table_prefix": prefix, "queue_name": queue.name, "dlq_name": queue.dead_letter_name}
        return {**values, **{name: values.get(name) or default for name, default in defaults.items()}}

    @staticmethod
    def queue_of(prefix: str) -> Queue:
        """Return the queue that the program uses. A worker of another queue overrides this."""
        return order_queue(prefix)

    @field_validator("home_region")
    @classmethod
    def _region(cls, region: str | None) -> str | None:
        """Reject a name that no region can have: with it, this region would silently take no writes."""
        if region is not None and not REGION.fullmatch(region):
            raise ValueError("must be a region of AWS, such as eu-central-1")
        return region

    @field_validator("aws_client")
    @classmethod
    def _installed(cls, client: str) -> str:
        if importlib.util.find_spec(client.replace("-", "_")) is None:
            raise ValueError(f"{client} is not installed; install order-shared[{client}]")
        return client

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        """Reject an invalid region, endpoint, profile or proxy before anything is opened."""
        for service, endpoint, name in (
            (DYNAMODB, self.dynamodb_endpoint, self.aws_endpoint_url_dynamodb and "AWS_ENDPOINT_URL_DYNAMODB"),
            (SQS, self.sqs_endpoint, self.aws_endpoint_url_sqs and "AWS_ENDPOINT_URL_SQS"),
        ):
            try:
                proxy_for(resolve(service, self.aws_region, endpoint).url)
            except ValueError as error:
                variable = "AWS_REGION" if endpoint is None else name or "AWS_ENDPOINT_URL"
                raise ValueError(f"{variable}: {error}") from None
        return self

    @property
    def tables(self) -> TableNames:
        return TableNames.with_prefix(self.table_prefix)

    @property
    def home_elsewhere(self) -> str | None:
        """Home region, if it is another region than this one; otherwise None."""
        return None if self.home_region == self.aws_region else self.home_region

    @property
    def dynamodb_endpoint(self) -> str | None:
        return self.aws_endpoint_url_dynamodb or self.aws_endpoint_url

    @property
    def sqs_endpoint(self) -> str | None:
        return self.aws_endpoint_url_sqs or self.aws_endpoint_url


class PaymentSettings(Settings):
    """Settings of programs that call the payment provider, in addition to those of every service."""

    payment_api_key: Annotated[SecretStr, Field(examples=["sk_test_your-key"])]
    """Secret key of the payment provider: ASCII without spaces. A live key in prod, a test key everywhere else."""
    payment_api_base: Annotated[
        str | None, Field(title="an https URL", examples=["https://payments.internal.example.com"])
    ] = None
    """URL of the provider's API; None for the SDK's default. It must use https outside the local stack."""
    payment_environment: Annotated[str, Field(pattern=r"^[a-z0-9-]{0,40}$")] = ""
    """Name of the environment in the metadata of its payments; `ORDER_ENV` if not set. Environments that share an
    account at the provider need different names. It is not the table prefix, which a restore changes."""

    @property
    def environment_of_payments(self) -> str:
        return self.payment_environment or str(self.env)

    @field_validator("payment_api_key")
    @classmethod
    def _require_header_value(cls, key: SecretStr) -> SecretStr:
        """Reject a key that is not a valid header value: each call would fail as if the provider did not respond."""
        if not re.fullmatch(r"[!-~]+", key.get_secret_value()):
            raise ValueError("the key must have at least one character, only ASCII, and no spaces")
        return key

    @field_validator("payment_api_key")
    @classmethod
    def _require_live_key_only_in_prod(cls, key: SecretStr, info: ValidationInfo) -> SecretStr:
        env = info.data.get("env")
        kind, prefixes = ("live", LIVE_KEYS) if env is Environment.PROD else ("test", TEST_KEYS)
        if env is not None and not key.get_secret_value().startswith(prefixes):
            raise ValueError(f"with ORDER_ENV={env} it must be a {kind} key, such as {'… or '.join(prefixes)}…")
        return key

    @field_validator("payment_api_base")
    @classmethod
    def _require_https(cls, address: str | None, info: ValidationInfo) -> str | None:
        """Reject plain HTTP: every request contains the API key."""
        schemes = "https?" if info.data.get("env") is Environment.LOCAL else "https"
        if address and not re.match(rf"{schemes}://[^/]", address):
            raise ValueError(
                "it must begin with https:// unless ORDER_ENV is local, such as https://payments.internal.example.com"
            )
        return address

    @model_validator(mode="after")
    def _provider_can_be_reached(self) -> Self:
        proxy_for(self.payment_api_base or PROVIDER)  # fails for a proxy that cannot be used
        return self
