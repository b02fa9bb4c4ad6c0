"""Profiles: the environment or local stack that orderctl connects to, and its credentials.

A local stack writes its profile to `stack.json`. For an environment, the profile comes from environment variables.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from pydantic import BaseModel, SecretStr, ValidationError

from aws_json_client import Key, StaticCredentials
from aws_json_client.proxies import proxy_for
from order_client import OrderClient
from order_operations.live.tasks import Task
from order_operations.target import Target, WrongRegion, user
from order_shared.aws.isolated import isolated_session
from order_shared.domain.errors import PlatformError, StorageUnavailable
from order_shared.runtime.config import Environment, PaymentSettings, Settings
from orderctl.exceptions import Failed, UsageError
from orderctl.settings import ApiAccess, load_settings
from orderctl.terminal import announce, reported

DEFAULT_STATE = Path(".local")
STACK_FILE = "stack.json"

LocalOption = Annotated[
    bool,
    typer.Option(
        "--local",
        help="Use the stack that `orderctl local up` runs. Without it: the environment given by AWS_REGION, "
        "AWS credentials, and ORDER_ENV or ORDER_TABLE_PREFIX.",
    ),
]
StateOption = Annotated[Path, typer.Option("--state", help="With --local: the stack's folder.")]


class StackNotRunning(Failed):
    def __init__(self, what: str) -> None:
        super().__init__(f"no stack is running: {what}. Start one with `orderctl local up`")


class ApiNotNamed(UsageError):
    def __init__(self) -> None:
        super().__init__(
            "no API is configured: set ORDER_API_URL and ORDER_TOKEN, or use --local with --tenant and --customer"
        )


class StackProfile(BaseModel):
    """Profile of the stack that `orderctl local up` runs. `api`, `aws` and the values of `services` are base URLs."""

    api: str
    services: dict[str, str]
    aws: str
    payments: str
    payment_api_key: str
    region: str
    access_key: str
    secret_key: str
    table_prefix: str
    token_url: str
    client_secret: str

    @classmethod
    def at(cls, state: Path) -> "StackProfile":
        """Read the profile of the stack in a folder. Raises StackNotRunning if there is no readable profile."""
        try:
            return cls.model_validate_json((state / STACK_FILE).read_bytes())
        except FileNotFoundError:
            raise StackNotRunning(f"{state / STACK_FILE} does not exist") from None
        except OSError as error:
            raise StackNotRunning(f"{state / STACK_FILE} cannot be read: {error.strerror}") from None
        except ValidationError:
            raise StackNotRunning(f"{state / STACK_FILE} was written by another release") from None

    @property
    def tasks(self) -> list[Task]:
        return [Task(service=name, address=address) for name, address in self.services.items()]

    def target(self) -> Target:
        """Return the target through which operators' commands access the stack."""
        import boto3  # noqa: PLC0415 - most commands need no AWS, and the import takes long

        settings = Settings(**self._settings())
        credentials = StaticCredentials(Key(self.access_key, self.secret_key))
        session = boto3.Session(
            self.access_key, self.secret_key, region_name=self.region, botocore_session=isolated_session()
        )
        return Target(settings, credentials, session, user())

    def payment_settings(self) -> PaymentSettings:
        """Return the settings for calls of the stack's payment sandbox."""
        return PaymentSettings(
            **self._settings(), payment_api_key=SecretStr(self.payment_api_key), payment_api_base=self.payments
        )

    def _settings(self) -> dict[str, Any]:
        return {
            "env": Environment.LOCAL,
            "table_prefix": self.table_prefix,
            "aws_region": self.region,
            "aws_endpoint_url": self.aws,
            "aws_endpoint_url_dynamodb": None,
            "aws_endpoint_url_sqs": None,
        }

    def client(self, tenant: str, customer: str) -> OrderClient:
        """Return a client of the stack's API that acts as a customer. Raises StackNotRunning."""
        return OrderClient(self.api, self.token(tenant, customer))

    def token(self, tenant: str, customer: str, scope: str | None = None) -> str:
        """Request a token for a customer from the stack's token issuer, and return it.

        `scope` has the scopes, separated by blanks; by default those of a customer. Raises StackNotRunning.
        """
        form = {"grant_type": "client_credentials", "client_secret": self.client_secret}
        form |= {} if scope is None else {"scope": scope}
        try:
            with httpx2.Client(transport=httpx2.HTTPTransport(proxy=proxy_for(self.token_url))) as http:
                answer = http.post(self.token_url, data={**form, "tenant": tenant, "customer": customer})
            return str(answer.raise_for_status().json()["access_token"])
        except httpx2.HTTPError as error:
            raise StackNotRunning(f"its token issuer at {self.token_url} does not respond: {error}") from error


@contextlib.contextmanager
def reported_failures() -> Iterator[None]:
    """Report errors of the platform, in addition to those that `terminal.reported` handles, and exit with a code."""
    with reported():
        try:
            yield
        except StorageUnavailable as error:
            raise Failed(f"{error}: check that the environment runs, and your permissions for its tables") from error
        except (PlatformError, WrongRegion) as error:
            raise Failed(str(error)) from error


def announce_target(target: Target, endpoint: str | None, **rows: str) -> None:
    """Print the region, endpoint and operator of a command on stderr, followed by the given rows."""
    where = {"region": target.settings.aws_region, "endpoint": f"{endpoint or 'AWS'}, as {target.actor}"}
    announce({**where, **rows})


def make_target(local: bool, state: Path) -> Target:  # noqa: FBT001 - the value of --local
    """Return the target of an operator's command: the local stack in `state`, or the configured environment.

    Raises:
        StackNotRunning: if `local`, and no stack is running.
        WrongRegion: if AWS_REGION is not the environment's home region.
    """
    return StackProfile.at(state).target() if local else Target.of_environment()


def make_payment_settings(local: bool, state: Path) -> PaymentSettings:  # noqa: FBT001 - the value of --local
    """Return the settings for calls of the payment provider. Raises StackNotRunning; exits if they are invalid."""
    return StackProfile.at(state).payment_settings() if local else load_settings(PaymentSettings)


def client_of_environment() -> OrderClient:
    """Return a client of the API at ORDER_API_URL. Raises ApiNotNamed."""
    return OrderClient(*api_of_environment())


def api_of_environment() -> tuple[str, str]:
    """Return the values of ORDER_API_URL and ORDER_TOKEN. Raises ApiNotNamed."""
    access = load_settings(ApiAccess)
    if not access.api_url or not access.token:
        raise ApiNotNamed
    return access.api_url, access.token.get_secret_value()
