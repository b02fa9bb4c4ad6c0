"""Target environment of an operation, and the operator who runs it."""

import asyncio
import getpass
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.config import Config

from aws_json_client import BotocoreCredentials, CredentialsProvider, RetryPolicy
from order_shared.aws.dynamodb import Dynamo, open_dynamo
from order_shared.runtime.adapters import Adapters, open_adapters
from order_shared.runtime.config import Settings, load_settings
from order_shared.runtime.metrics import Metrics
from order_shared.storage.audit_trail import AuditTrail, DynamoAuditTrail

if TYPE_CHECKING:
    import boto3

T = TypeVar("T")

STORAGE_DEADLINE = 15.0
CALLS = Config(connect_timeout=3, read_timeout=15, retries={"total_max_attempts": 3, "mode": "standard"})


class WrongRegion(Exception):
    """AWS_REGION is not the home region, the only region that may write. The other regions have replicas."""

    def __init__(self, home: str, region: str) -> None:
        super().__init__(f"AWS_REGION is {region}, but operations must run in the home region {home}, not on a replica")


@dataclass(frozen=True)
class Target:
    """Target environment of an operation, with clients for it. `actor` is the operator's name in the audit trail."""

    settings: Settings
    credentials: CredentialsProvider
    sync_session: "boto3.Session"
    actor: str

    @classmethod
    def of_environment(cls) -> "Target":
        """Return the target that the environment variables of the services (ORDER_…, AWS_…) configure.

        The actor is the ARN of the AWS caller, or the user of this machine if a DynamoDB endpoint is configured.

        Raises:
            WrongRegion: if ORDER_HOME_REGION is another region.
        """
        import boto3  # noqa: PLC0415 - most commands need no AWS, and the import takes long

        settings = load_settings(Settings)
        if home := settings.home_elsewhere:
            raise WrongRegion(home, settings.aws_region)
        if settings.dynamodb_endpoint is not None:
            return cls(settings, BotocoreCredentials(), boto3.Session(), user())
        caller = boto3.client("sts", region_name=settings.aws_region).get_caller_identity()
        return cls(settings, BotocoreCredentials(), boto3.Session(), caller["Arn"])

    def open_tables(self, *, deadline: float = STORAGE_DEADLINE) -> AbstractAsyncContextManager[Dynamo]:
        """Open a DynamoDB client of the target. `deadline` limits each call including its retries, in seconds."""
        return open_dynamo(
            self.credentials,
            region=self.settings.aws_region,
            endpoint=self.settings.dynamodb_endpoint,
            retries=RetryPolicy(deadline=deadline),
        )

    @cached_property
    def audit(self) -> AuditTrail:
        client = self.client("dynamodb", self.settings.dynamodb_endpoint)
        return DynamoAuditTrail(client, self.settings.tables.operations)

    def client(self, service: str, endpoint: str | None) -> Any:
        """Return a boto3 client in the target's region. The connection is made at first use."""
        make: Any = self.sync_session.client  # its overloads need a literal service name
        return make(service, region_name=self.settings.aws_region, endpoint_url=endpoint, config=CALLS)

    def run(self, work: Callable[[Adapters], Awaitable[T]]) -> T:
        """Open the environment's storage and queues, run `work` with them, and return its result."""

        async def with_adapters() -> T:
            async with open_adapters(
                self.settings, Metrics(), deadline=STORAGE_DEADLINE, credentials=self.credentials
            ) as adapters:
                return await work(adapters)

        return asyncio.run(with_adapters())


def user() -> str:
    """Return the user and host of this process, such as `ada@laptop`, or `1000@laptop` without a passwd entry."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"
