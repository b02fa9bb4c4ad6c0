"""Local stack: embedded AWS, issuer, payment sandbox and all services."""

import base64
import contextlib
import json
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from aws_json_client import CredentialsProvider, Key, StaticCredentials
from devstack.address import LOOPBACK
from devstack.emulator import start_emulator
from devstack.issuer import AUDIENCE, ISSUER, SCOPE_CLAIMS, Issuer
from devstack.payments.options import API_KEY
from devstack.payments.process import start_payments
from devstack.probe import is_ready
from devstack.processes import READY_SECONDS, Child, ChildFailed, ProcessGroup
from devstack.provision import provision
from order_shared.aws.isolated import isolated_session
from order_shared.naming import ORDER_API, SERVICES, Service
from order_shared.runtime.config import Environment, Settings

if TYPE_CHECKING:
    import boto3

REGION = "eu-central-1"
TABLE_PREFIX = "local-"
KEY = "local"
"""Access key and secret. The embedded AWS accepts any."""
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": KEY,
    "AWS_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
"""Variables of AWS for child processes, which do not read the user's configuration of AWS."""

ISSUER_KEY_FILE = "issuer.pem"
WEBHOOK_KEY_BYTES = 32  # of Fernet


def local_session() -> "boto3.Session":
    import boto3  # noqa: PLC0415 - most commands need no AWS, and the import takes long

    return boto3.Session(KEY, KEY, region_name=REGION, botocore_session=isolated_session())


def local_credentials() -> CredentialsProvider:
    return StaticCredentials(Key(KEY, KEY))


def local_settings(endpoint: str) -> Settings:
    """Return the common settings of the services, for a program that connects to a running stack."""
    return Settings(
        env=Environment.LOCAL,
        table_prefix=TABLE_PREFIX,
        aws_region=REGION,
        aws_endpoint_url=endpoint,
    )


def service_settings(*, aws: str, jwks_url: str, cursor_secrets: str, webhook_keys: str) -> dict[str, str]:
    """Return the environment variables of the services, without the address of the payment sandbox.

    Containers use `env/local.env` instead.
    """
    return {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": aws,
        "ORDER_ENV": "local",
        "ORDER_TABLE_PREFIX": TABLE_PREFIX,
        "ORDER_JWT_ISSUER": ISSUER,
        "ORDER_JWT_AUDIENCE": AUDIENCE,
        "ORDER_JWT_SCOPE_CLAIMS": SCOPE_CLAIMS,
        "ORDER_JWKS_URL": jwks_url,
        "ORDER_CURSOR_SECRETS": cursor_secrets,
        "ORDER_WEBHOOK_KEYS": webhook_keys,
        "ORDER_WEBHOOK_LOCAL_RECEIVERS": "true",
        "ORDER_RECEIVE_WAIT_SECONDS": "1",  # the emulator still receives messages for a cancelled long poll
        "ORDER_DRAIN_SECONDS": "10",
        "ORDER_PAYMENT_API_KEY": API_KEY,
    }


def without_stack_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without variables that configure AWS or a service."""
    return {name: value for name, value in environment.items() if not name.startswith(("AWS_", "ORDER_"))}


@dataclass(kw_only=True)
class Stack:
    """A running stack. Addresses are base URLs."""

    group: ProcessGroup
    issuer: Issuer
    issuer_key: Path
    aws: str
    environment: Mapping[str, str]
    client_secret: str
    """Client secret for tokens of the issuer."""
    children: dict[str, Child]
    services: dict[str, str] = field(default_factory=dict)
    """Addresses of running services by name."""
    payments: str = ""
    python: str = sys.executable
    """Python interpreter of the services."""

    @property
    def api(self) -> str:
        return self.services[ORDER_API.name]

    @property
    def settings(self) -> Settings:
        return local_settings(self.aws)

    @property
    def credentials(self) -> CredentialsProvider:
        return local_credentials()

    def start_payments(self) -> None:
        """Start the payment sandbox. Services started later use it."""
        self.children["payments"], self.payments = start_payments(self.group)
        self.environment = {**self.environment, "ORDER_PAYMENT_API_BASE": self.payments}

    def start(self, service: Service, port: int = 0) -> None:
        """Start a service on the port if it is free, otherwise on any free port. Raises ChildFailed."""
        if port and is_free(port):
            with contextlib.suppress(ChildFailed):  # another process may have taken the port
                return self._start_on(service, port)
        return self._start_on(service, 0)

    def start_services(self, *, local_ports: bool = False) -> None:
        """Start all services, with `local_ports` each on its own local port. Raises ChildFailed."""
        for service in SERVICES:
            self.start(service, service.local_port if local_ports else 0)

    def _start_on(self, service: Service, port: int) -> None:
        environment = {**self.environment, "ORDER_HOST": LOOPBACK, "ORDER_PORT": str(port)}
        child = self.group.start(service.name, [self.python, "-m", service.module], environment)
        self.children[service.name] = child
        address = child.wait_for_address()
        child.wait_until(partial(is_ready, f"{address}/readyz"), "ready", READY_SECONDS)
        self.services[service.name] = address

    def describe(self) -> dict[str, object]:
        """Return the content of `stack.json`: all information needed to connect."""
        return {
            "api": self.api,
            "services": self.services,
            "aws": self.aws,
            "payments": self.payments,
            "payment_api_key": API_KEY,
            "region": REGION,
            "access_key": KEY,
            "secret_key": KEY,
            "table_prefix": TABLE_PREFIX,
            "token_url": urljoin(self.environment["ORDER_JWKS_URL"], "/token"),
            "client_secret": self.client_secret,
            "pids": {name: child.pid for name, child in self.children.items()},
        }


@contextlib.contextmanager
def running_infrastructure(state: Path, overrides: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Run the embedded AWS with tables and queues, and the issuer, but no service; yield the stack.

    `overrides` are environment variables for the services. All processes are stopped at the end of the block.
    """
    with ProcessGroup(state / "logs") as group:
        issuer_key = state / ISSUER_KEY_FILE
        issuer = Issuer.at(issuer_key)
        emulator, endpoint = start_emulator(group)
        provision(local_session(), endpoint=endpoint, prefix=TABLE_PREFIX)
        client_secret = secrets.token_hex(32)
        with issuer.serve(client_secret=client_secret) as jwks_url:
            settings = service_settings(
                aws=endpoint,
                jwks_url=jwks_url,
                cursor_secrets=secrets.token_hex(32),
                webhook_keys=base64.urlsafe_b64encode(secrets.token_bytes(WEBHOOK_KEY_BYTES)).decode(),
            )
            yield Stack(
                group=group,
                issuer=issuer,
                issuer_key=issuer_key,
                aws=endpoint,
                environment={**without_stack_variables(os.environ), **settings, **(overrides or {})},
                client_secret=client_secret,
                children={"emulator": emulator},
            )


@contextlib.contextmanager
def running_stack(
    state: Path, *, local_ports: bool = False, overrides: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """Run the whole stack and yield it. With `local_ports`, each service uses its own local port if it is free.

    Raises ChildFailed, EmulatorMissing.
    """
    with running_infrastructure(state, overrides) as stack:
        stack.start_payments()
        stack.start_services(local_ports=local_ports)
        yield stack


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def published(stack: Stack, path: Path) -> Iterator[None]:
    """Write `stack.json` to the path, and remove it at the end of the block.

    The file is readable by its owner only, because it contains a secret.
    """
    draft = path.with_suffix(f".{os.getpid()}")
    draft.touch(0o600)
    draft.write_text(json.dumps(stack.describe(), indent=2) + "\n")
    draft.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
