"""The processor's settings, on top of those both services share. Times are in seconds."""

import re
from typing import Annotated, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from order_shared.aws.dynamodb import MAX_CONNECTIONS
from order_shared.messaging.consumer.options import ConsumerOptions
from order_shared.messaging.queue import MAX_BATCH, MAX_WAIT_SECONDS
from order_shared.runtime.config import Environment, Settings

LIVE_KEYS = ("sk_live_", "rk_live_")
"""Prefixes of the payment provider's secret and restricted keys that move real money."""
TEST_KEYS = ("sk_test_", "rk_test_")


class ProcessorSettings(Settings):
    concurrency: Annotated[int, Field(ge=1, le=MAX_CONNECTIONS)] = 64
    """Messages handled at once; each needs a connection at a time."""
    pollers: Annotated[int, Field(ge=1, le=16)] = 1
    """Each takes up to ten messages, so `concurrency` is at least ten for each if there is more than one."""
    receive_wait_seconds: Annotated[int, Field(ge=0, le=MAX_WAIT_SECONDS)] = MAX_WAIT_SECONDS
    """Time that a poll waits for a message. SIGTERM waits for the open poll."""
    visibility_seconds: Annotated[int, Field(ge=2, le=12 * 3600)] = 30
    """Time that a message stays hidden unless it is extended."""
    retry_cap_seconds: Annotated[float, Field(gt=0, le=3600)] = 300.0
    drain_seconds: Annotated[float, Field(gt=0)] = 60.0
    """Time to finish what has begun when SIGTERM comes. The task's stop time-out is at least 15 seconds longer, to
    release the rest, to flush messages, and to send the last traces."""
    storage_deadline_seconds: Annotated[float, Field(gt=0)] = 10.0
    lease_seconds: Annotated[float, Field(ge=1)] = 60.0
    """Time that a worker holds a paid order. A longer lease overtakes fewer slow workers, and delays the orders of dead
    ones. The fence keeps both cases correct."""
    payment_api_key: SecretStr
    """The payment provider's secret key: ASCII, without blanks. A live one in prod, a test key everywhere else."""
    payment_api_base: str | None = None
    """Address of the provider's API, if it is not the SDK's default. It is https outside the local stack."""
    payment_calls_per_second: Annotated[float, Field(gt=0)] = 100.0
    """Highest rate of this process's calls to the payment provider. After an outage, or once the provider throttles,
    the rate is lower and rises step by step."""

    sweep_interval_seconds: Annotated[float, Field(gt=0)] = 5.0
    """Time between two sweeps of the open orders."""

    @field_validator("payment_api_key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr) -> SecretStr:
        """Refuse a key that no header can carry: every payment would fail as if the provider did not respond."""
        if not re.fullmatch(r"[!-~]+", key.get_secret_value()):
            raise ValueError("a key has at least one character, all of them ASCII, and no blank")
        return key

    @field_validator("payment_api_key")
    @classmethod
    def _moves_real_money_in_prod_only(cls, key: SecretStr, info: ValidationInfo) -> SecretStr:
        env = info.data.get("env")
        kind, prefixes = ("live", LIVE_KEYS) if env is Environment.PROD else ("test", TEST_KEYS)
        if env is not None and not key.get_secret_value().startswith(prefixes):
            raise ValueError(f"with ORDER_ENV={env} it must be a {kind} key, such as {'… or '.join(prefixes)}…")
        return key

    @field_validator("payment_api_base")
    @classmethod
    def _not_in_the_clear(cls, address: str | None, info: ValidationInfo) -> str | None:
        """Refuse plain HTTP: the API key is sent with every request."""
        if not address or info.data.get("env") is Environment.LOCAL:
            return address
        if not re.match(r"https://[^/]", address):
            raise ValueError(
                "it must begin with https:// unless ORDER_ENV is local, such as https://payments.internal.example.com"
            )
        return address

    @model_validator(mode="after")
    def _drain_outlasts_a_poll(self) -> Self:
        if self.drain_seconds <= self.receive_wait_seconds:
            raise ValueError("drain_seconds must be longer than receive_wait_seconds")
        return self

    @model_validator(mode="after")
    def _pollers_do_not_wait_for_each_other(self) -> Self:
        if self.pollers > 1 and self.concurrency < self.pollers * MAX_BATCH:
            raise ValueError(f"{self.pollers} pollers need a concurrency of {self.pollers * MAX_BATCH} or more")
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
