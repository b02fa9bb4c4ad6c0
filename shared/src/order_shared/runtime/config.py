"""Settings that all services share, read from environment variables.

Every variable has the prefix `ORDER_`, except AWS's own (`AWS_REGION`, `AWS_ENDPOINT_URL`, credentials). White space
around a value, as an editor or `echo` leaves it in a secret, is removed. Nothing is read at import: a process loads its
settings once, in `main`.
"""

import importlib.util
import os
from enum import IntEnum, StrEnum
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from aws_json_client import DYNAMODB, SQS
from aws_json_client.endpoints import resolve
from order_shared.tables import DEFAULT_OPEN_SHARDS, OPEN_SHARDS, TableNames, order_queue

S = TypeVar("S", bound="Settings")


class Environment(StrEnum):
    LOCAL = "local"
    DEV = "dev"
    UAT = "uat"
    PROD = "prod"


class OpenShards(IntEnum):
    """Supported numbers of outbox keys that a process writes; see `order_shared.storage.outbox`."""

    DEFAULT = DEFAULT_OPEN_SHARDS
    ALL = OPEN_SHARDS


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="ORDER_", frozen=True, populate_by_name=True, hide_input_in_errors=True
    )

    env: Environment = Environment.LOCAL
    table_prefix: str = ""
    """Prefix of every table; `{env}-` if not set."""
    queue_name: str = ""
    """Name of the work queue; `{table_prefix}orders` if not set."""
    dlq_name: str = ""
    """Name of the dead-letter queue; `{table_prefix}orders-dead` if not set."""

    aws_region: Annotated[str, Field(validation_alias="AWS_REGION")]
    aws_endpoint_url: Annotated[str | None, Field(validation_alias="AWS_ENDPOINT_URL")] = None
    aws_endpoint_url_dynamodb: Annotated[str | None, Field(validation_alias="AWS_ENDPOINT_URL_DYNAMODB")] = None
    aws_endpoint_url_sqs: Annotated[str | None, Field(validation_alias="AWS_ENDPOINT_URL_SQS")] = None

    aws_client: Literal["aws-json-client", "aioboto3"] = "aws-json-client"
    """Client for DynamoDB and SQS. `aioboto3` is the stock SDK, for comparison: it uses several times the CPU and needs
    the extra `order-shared[aioboto3]`."""

    home_region: Annotated[str | None, Field(min_length=1)] = None
    """Home region: the only region that may write to the replicated tables, because uniqueness and transactions do not
    span regions. In every other region the API only reads, and the processor does not start. If not set, this region is
    the home region."""

    open_shards: OpenShards = OpenShards.DEFAULT
    """Number of keys of the index `open_orders` that this process writes: 16, or 128 for more than 1,000 orders a
    second. Every process reads all 128 keys. `docs/evolution.md` describes the change to 128 keys and back."""

    sweep_base_seconds: Annotated[float, Field(gt=0)] = 15.0
    """Seconds that an order may stay open before a sweep republishes its message; doubles with each sweep."""

    stock_increases_counted: bool = True
    """True if every running task counts the increases of stock shards, so that two plain reads prove a shortage. Set it
    to false while tasks of a release without the counter run: a read transaction then proves a shortage. On a hot
    product, concurrent attempts to take stock may cancel that transaction and delay the proof."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """0 selects a free port; the log line `listening` has the address."""
    commit: str = "unknown"
    """Commit that the image was built from, for metrics and traces."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @model_validator(mode="before")
    @classmethod
    def _stripped_with_default_names(cls, values: dict[str, object]) -> dict[str, object]:
        values = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
        # An empty AWS variable counts as not set, as in AWS's tools.
        values = {name: value for name, value in values.items() if value != "" or not name.startswith("AWS_")}
        if (other_name := os.environ.get("AWS_DEFAULT_REGION", "").strip()) and "aws_region" not in values:
            values.setdefault("AWS_REGION", other_name)
        prefix = values.get("table_prefix") or f"{values.get('env') or Environment.LOCAL}-"
        queue = order_queue(str(prefix))
        defaults = {"table_prefix": prefix, "queue_name": queue.name, "dlq_name": queue.dead_letter_name}
        return {**values, **{name: values.get(name) or default for name, default in defaults.items()}}

    @field_validator("aws_client")
    @classmethod
    def _installed(cls, client: str) -> str:
        if importlib.util.find_spec(client.replace("-", "_")) is None:
            raise ValueError(f"{client} is not installed; install order-shared[{client}]")
        return client

    @field_validator("*", mode="before")
    @classmethod
    def _printable(cls, value: object) -> object:
        """Reject control characters: no setting needs them, and an HTTP header cannot contain them."""
        if isinstance(value, str) and not value.isprintable():
            raise ValueError("contains a line break or another control character")
        return value

    @model_validator(mode="after")
    def _addresses_are_known(self) -> Self:
        """Reject an invalid region, endpoint or profile before anything is opened."""
        resolve(DYNAMODB, self.aws_region, self.dynamodb_endpoint)
        resolve(SQS, self.aws_region, self.sqs_endpoint)
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


def load_settings(kind: type[S]) -> S:
    """Return the settings of this process.

    Raises SystemExit for invalid settings, with one line per error. The message contains no values.
    """
    try:
        return kind()  # pyright: ignore[reportCallIssue]  # pydantic reads the fields from the environment
    except ValidationError as error:
        faults = [
            f"  {_variable(kind, fault['loc'])}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_url=False)
        ]
        raise SystemExit("\n".join(["invalid configuration:", *faults])) from None


def _variable(kind: type[Settings], location: tuple[int | str, ...]) -> str:
    """Return the name of the environment variable that caused a validation error at `location`."""
    name = str(location[0]) if location else "settings"
    return name if name.isupper() or name not in kind.model_fields else f"ORDER_{name}".upper()
