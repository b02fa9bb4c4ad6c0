"""Settings that both services read, each from the environment, each in one typed place.

A blank or a line end around a value, as an editor or `echo` leaves it in a secret, is not part of it. Every variable
has the prefix `ORDER_`; AWS's own (`AWS_REGION`, `AWS_ENDPOINT_URL`, credentials) keep
their names. Nothing is read at import: a process makes its settings once, in `main`.
"""

import importlib.util
import os
from enum import StrEnum
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from aws_json_client import DYNAMODB, SQS
from aws_json_client.endpoints import resolve
from order_shared.tables import TableNames, order_queue

S = TypeVar("S", bound="Settings")


class Environment(StrEnum):
    LOCAL = "local"
    DEV = "dev"
    UAT = "uat"
    PROD = "prod"


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
    """Client of DynamoDB and SQS. `aioboto3` is the stock SDK, for comparison: it costs several times the CPU and needs
    the extra `order-shared[aioboto3]`."""

    home_region: Annotated[str | None, Field(min_length=1)] = None
    """The only region that writes, of those that share replicated tables: uniqueness and transactions do not cross
    regions. In any other the API only reads, and the processor does not start. If not set, this one writes."""

    sweep_base_seconds: Annotated[float, Field(gt=0)] = 15.0
    """How long an order may stay open before a sweep sends its message again; doubles each time."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """0 takes any free port; the address is in the log line `listening`."""
    commit: str = "unknown"
    """What the running image was built from; metrics and traces say it."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @model_validator(mode="before")
    @classmethod
    def _stripped_with_default_names(cls, values: dict[str, object]) -> dict[str, object]:
        values = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
        # An empty variable of AWS's counts as one that is not set, as in AWS's own tools.
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
        """No setting holds a control character, and an HTTP header could not carry it."""
        if isinstance(value, str) and not value.isprintable():
            raise ValueError("it has a line end or another control character within")
        return value

    @model_validator(mode="after")
    def _addresses_are_known(self) -> Self:
        """Find a wrong region, endpoint or profile before anything is opened."""
        resolve(DYNAMODB, self.aws_region, self.dynamodb_endpoint)
        resolve(SQS, self.aws_region, self.sqs_endpoint)
        return self

    @property
    def tables(self) -> TableNames:
        return TableNames.with_prefix(self.table_prefix)

    @property
    def home_elsewhere(self) -> str | None:
        """The region that writes, if it is not this one."""
        return None if self.home_region == self.aws_region else self.home_region

    @property
    def dynamodb_endpoint(self) -> str | None:
        return self.aws_endpoint_url_dynamodb or self.aws_endpoint_url

    @property
    def sqs_endpoint(self) -> str | None:
        return self.aws_endpoint_url_sqs or self.aws_endpoint_url


def load_settings(kind: type[S]) -> S:
    """The settings of this process; ends it with one line per fault, and no value, if they do not hold."""
    try:
        return kind()  # pyright: ignore[reportCallIssue]  # the environment has the fields, which mypy's plugin knows
    except ValidationError as error:
        faults = [
            f"  {_variable(kind, fault['loc'])}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_url=False)
        ]
        raise SystemExit("\n".join(["the settings do not hold:", *faults])) from None


def _variable(kind: type[Settings], location: tuple[int | str, ...]) -> str:
    """The environment variable that a fault is about."""
    name = str(location[0]) if location else "settings"
    return name if name.isupper() or name not in kind.model_fields else f"ORDER_{name}".upper()
