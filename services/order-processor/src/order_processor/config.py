"""Settings of the processor, in addition to those that both services share. Times are in seconds."""

import re
from typing import Annotated, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from aws_json_client.proxies import proxy_for
from order_shared.aws.dynamodb import MAX_CONNECTIONS
from order_shared.messaging.consumer.options import ConsumerOptions
from order_shared.messaging.queue import MAX_BATCH, MAX_WAIT_SECONDS
from order_shared.runtime.config import Environment, Settings

LIVE_KEYS = ("sk_live_", "rk_live_")
"""Prefixes of live keys (secret and restricted) of the payment provider. Live keys move real money."""
TEST_KEYS = ("sk_test_", "rk_test_")
PROVIDER = "https://api.stripe.com"
"""Address of the provider's API if `payment_api_base` is not set."""


class ProcessorSettings(Settings):
    concurrency: Annotated[int, Field(ge=1, le=MAX_CONNECTIONS)] = 64
    """Maximum messages handled concurrently. Each uses one connection at a time."""
    pollers: Annotated[int, Field(ge=1, le=16)] = 1
    """Number of pollers. Each receives up to ten messages; two or more need a `concurrency` of ten per poller."""
    receive_wait_seconds: Annotated[int, Field(ge=0, le=MAX_WAIT_SECONDS)] = MAX_WAIT_SECONDS
    """Long-poll time of a receive. Shutdown waits for open polls to return."""
    visibility_seconds: Annotated[int, Field(ge=2, le=12 * 3600)] = 30
    """Visibility time-out of a received message, unless it is extended."""
    retry_cap_seconds: Annotated[float, Field(gt=0, le=3600)] = 300.0
    """Longest pause before a failed message is handled again."""
    drain_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """Time after SIGTERM to finish the messages in progress. The stop time-out of the task must be at least 15 seconds
    longer, to release the other messages, flush the publisher and send the last traces."""
    storage_deadline_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Time limit of one call to DynamoDB, retries included."""
    lease_seconds: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """Lease of a worker on an order with a payment. A longer lease is lost by fewer slow workers, but delays the orders
    of crashed workers. The fence keeps both cases correct."""
    payment_api_key: Annotated[SecretStr, Field(examples=["sk_test_your-key"])]
    """Secret key of the payment provider: ASCII without spaces. A live key in prod, a test key everywhere else."""
    payment_api_base: Annotated[
        str | None, Field(title="an https URL", examples=["https://payments.internal.example.com"])
    ] = None
    """URL of the provider's API; None for the SDK's default. It must use https outside the local stack."""
    payment_calls_per_second: Annotated[float, Field(gt=0, le=10_000)] = 100.0
    """Highest rate of this process's calls to the payment provider. After an outage, or once the provider throttles,
    the rate is lower and rises step by step."""

    sweep_interval_seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """Mean time between two sweeps of the open orders."""

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

    @model_validator(mode="after")
    def _check_drain_time(self) -> Self:
        if self.drain_seconds <= self.receive_wait_seconds:
            raise ValueError(
                f"ORDER_DRAIN_SECONDS: must be longer than ORDER_RECEIVE_WAIT_SECONDS, such as "
                f"{self.receive_wait_seconds + 40}"
            )
        return self

    @model_validator(mode="after")
    def _check_concurrency(self) -> Self:
        if self.pollers > 1 and self.concurrency < self.pollers * MAX_BATCH:
            raise ValueError(
                f"ORDER_CONCURRENCY: {self.pollers} pollers need at least {MAX_BATCH} each, such as "
                f"{self.pollers * MAX_BATCH}"
            )
        return self

    @property
    def consumer_options(self) -> ConsumerOptions:
        return ConsumerOptions(
            concurrency=self.concurrency,
            pollers=self.pollers,
            wait=self.receive_wait_seconds,
            visibility=self.visibility_seconds,
            retry_cap=self.retry_cap_seconds,
            drain=self.drain_seconds,
        )
