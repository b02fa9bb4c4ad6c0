"""Local stack: embedded AWS, issuer, payment sandbox and all services."""

import asyncio
import contextlib
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from aws_json_client import CredentialsProvider, Key, StaticCredentials
from devstack.address import LOOPBACK
from devstack.emulator import readiness_url, start_emulator
from devstack.event_repair import append_missing_events
from devstack.issuer import AUDIENCE, ISSUER, SCOPE_CLAIMS, Issuer
from devstack.kept_data import KeptData, new_cursor_secret, new_webhook_key
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
GATE = "sqs-gate"
"""Name of the relay before SQS."""


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


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """Options of a stack. Without any it has free ports, keeps its data in memory, and tries each start once."""

    ports: Mapping[str, int] = field(default_factory=dict)
    """Port of each part, by name. A part that is not listed takes any free port."""
    data: KeptData | None = None
    attempts: int = 1
    """Starts of a part, until it becomes ready."""
    announce: Callable[[str], None] = lambda _: None
    """Receives a line about each failed start."""


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
    probes: dict[str, str] = field(default_factory=dict)
    """URL of each child that responds with 200 once the child is ready."""
    services: dict[str, str] = field(default_factory=dict)
    """Addresses of running services by name."""
    payments: str = ""
    pages: str = ""
    """Address of the start page, if it is served."""
    python: str = sys.executable
    """Python interpreter of the services."""
    options: StackOptions = field(default_factory=StackOptions)

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
        books = None if self.options.data is None else self.options.data.payments
        port = self.options.ports.get("payments", 0)
        child, self.payments = self._tried(partial(start_payments, self.group, port, books=books))
        self._add(child, f"{self.payments}/healthz")
        self.environment = {**self.environment, "ORDER_PAYMENT_API_BASE": self.payments}

    def start(self, service: Service) -> None:
        """Start a service; one that ran before keeps its port. Raises ChildFailed."""
        child, self.services[service.name] = self._tried(partial(self._started, service))
        self._add(child, f"{self.services[service.name]}/readyz")

    def start_services(self) -> None:
        """Start all services. Raises ChildFailed."""
        for service in SERVICES:
            self.start(service)

    def start_gate(self) -> None:
        """Start the relay before SQS. Services started later use it."""
        child, address = self._tried(self._started_gate)
        self._add(child, readiness_url(address))
        self.environment = {**self.environment, "AWS_ENDPOINT_URL_SQS": address}

    def _started(self, service: Service) -> tuple[Child, str]:
        port = self.options.ports.get(service.name) or urlsplit(self.services.get(service.name, "")).port or 0
        environment = {**self.environment, "ORDER_HOST": LOOPBACK, "ORDER_PORT": str(port)}
        child = self.group.start(service.name, [self.python, "-m", service.module], environment)
        self.children[service.name] = child
        address = child.wait_for_address()
        child.wait_until(partial(is_ready, f"{address}/readyz"), "ready", READY_SECONDS)
        return child, address

    def _started_gate(self) -> tuple[Child, str]:
        options = ["--host", LOOPBACK, "--port", str(self.options.ports.get(GATE, 0))]
        command = [sys.executable, "-m", "devstack.sqs_gate", *options, "--target", str(urlsplit(self.aws).port)]
        child = self.group.start(GATE, command, self.environment)
        return child, child.wait_for_address()

    def _tried(self, start: Callable[[], tuple[Child, str]]) -> tuple[Child, str]:
        return tried(start, self.options)

    def _add(self, child: Child, probe: str) -> None:
        self.children[child.name] = child
        self.probes[child.name] = probe

    def describe(self) -> dict[str, object]:
        """Return the content of `stack.json`: all information needed to connect."""
        return {
            "api": self.api,
            "services": self.services,
            "aws": self.aws,
            "payments": self.payments,
            "pages": self.pages,
            "payment_api_key": API_KEY,
            "region": REGION,
            "access_key": KEY,
            "secret_key": KEY,
            "table_prefix": TABLE_PREFIX,
            "token_url": urljoin(self.environment["ORDER_JWKS_URL"], "/token"),
            "client_secret": self.client_secret,
            "pids": {name: child.pid for name, child in self.children.items()},
        }


def tried(start: Callable[[], tuple[Child, str]], options: StackOptions) -> tuple[Child, str]:
    """Start a part until it becomes ready. Raises ChildFailed after the last attempt."""
    for _ in range(options.attempts - 1):
        try:
            return start()
        except ChildFailed as error:
            options.announce(f"{error} before it was ready; starting it again")
    return start()


def prepare(aws: str, options: StackOptions) -> None:
    """Create missing tables and queues in the embedded AWS. If it restores data, repair the event logs too."""
    is_kept = options.data is not None
    provision(local_session(), endpoint=aws, prefix=TABLE_PREFIX, renews_pipe=is_kept)
    if is_kept and (appended := asyncio.run(append_missing_events(local_settings(aws), local_credentials()))):
        options.announce(f"{appended} events appended that were not delivered before the last stop")


@contextlib.contextmanager
def running_infrastructure(
    state: Path, overrides: Mapping[str, str] | None = None, options: StackOptions | None = None
) -> Iterator[Stack]:
    """Run the embedded AWS with tables and queues, and the issuer, but no service; yield the stack.

    `overrides` are environment variables for the services. All processes are stopped at the end of the block.
    """
    options = options or StackOptions()
    data = options.data
    with ProcessGroup(state / "logs") as group:
        issuer_key = state / ISSUER_KEY_FILE
        issuer = Issuer.at(issuer_key)
        port, folder = options.ports.get("emulator", 0), None if data is None else data.emulator
        emulator, endpoint = tried(partial(start_emulator, group, port, data=folder), options)
        prepare(endpoint, options)
        client_secret = secrets.token_hex(32)
        cursor_secret = new_cursor_secret() if data is None else data.cursor_secret()
        webhook_key = new_webhook_key() if data is None else data.webhook_key()
        with issuer.serve(port=options.ports.get("issuer", 0), client_secret=client_secret) as jwks_url:
            settings = service_settings(
                aws=endpoint, jwks_url=jwks_url, cursor_secrets=cursor_secret, webhook_keys=webhook_key
            )
            yield Stack(
                group=group,
                issuer=issuer,
                issuer_key=issuer_key,
                aws=endpoint,
                environment={**without_stack_variables(os.environ), **settings, **(overrides or {})},
                client_secret=client_secret,
                children={"emulator": emulator},
                probes={"emulator": readiness_url(endpoint)},
                options=options,
            )


@contextlib.contextmanager
def running_stack(state: Path, *, overrides: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Run the whole stack and yield it. Raises ChildFailed, EmulatorMissing."""
    with running_infrastructure(state, overrides) as stack:
        stack.start_payments()
        stack.start_services()
        yield stack


@contextlib.contextmanager
def published(stack: Stack, path: Path) -> Iterator[None]:
    """Write `stack.json` to the path, and remove it at the end of the block.

    The file is readable by its owner only, because it contains a secret.
    """
    publish(stack, path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def publish(stack: Stack, path: Path) -> None:
    """Write `stack.json` to the path in one step."""
    draft = path.with_suffix(f".{os.getpid()}")
    draft.touch(0o600)
    draft.write_text(json.dumps(stack.describe(), indent=2) + "\n")
    draft.replace(path)
