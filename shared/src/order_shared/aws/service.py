"""Client of an AWS JSON service, which both adapters use: signed, and sent once.

A botocore client does the same for about five times the CPU: it checks, routes and parses by models of every service.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any, Protocol

import orjson
from aiodynamo.credentials import Credentials
from aiodynamo.errors import NoCredentialsFound
from aiodynamo.http.types import HttpImplementation, Request, Response
from botocore.loaders import create_loader
from botocore.regions import EndpointResolver
from botocore.session import Session
from yarl import URL

from order_shared.aws.credentials import BotocoreCredentials
from order_shared.aws.errors import refuses_key
from order_shared.aws.http import open_http
from order_shared.aws.signing import Signer
from order_shared.domain.clock import utc_now


@dataclass(frozen=True, kw_only=True)
class ServiceName:
    """Names of a service: in its host and signatures, and before each operation."""

    name: str
    target_prefix: str


DYNAMODB = ServiceName(name="dynamodb", target_prefix="DynamoDB_20120810")
SQS = ServiceName(name="sqs", target_prefix="AmazonSQS")


def endpoint_url(service: ServiceName, region: str, endpoint: str | None) -> URL:
    """Return the endpoint, if one is given, or else the address that botocore knows for the region.

    The address is FIPS's or the dual stack's if AWS's own settings ask for it (`AWS_USE_FIPS_ENDPOINT`,
    `AWS_USE_DUALSTACK_ENDPOINT`, or the same in a profile). Raises ValueError for an unknown region, and for an
    endpoint that is more than a scheme, a host and a port.
    """
    if endpoint is None:
        session = Session()
        found = _resolver().construct_endpoint(
            service.name,
            region,
            use_fips_endpoint=bool(session.get_config_variable("use_fips_endpoint")),
            use_dualstack_endpoint=bool(session.get_config_variable("use_dualstack_endpoint")),
        )
        if found is None:
            raise ValueError(f"AWS is not known to have a region {region}")
        return URL(f"https://{found['hostname']}/")
    url = URL(endpoint)
    if not url.host or url.path != "/" or url.query_string or url.user or url.fragment:
        raise ValueError(f"the endpoint of {service.name} is a scheme, a host and a port, and nothing more")
    return url


@cache  # a megabyte is read for it, and each pool of connections asks
def _resolver() -> EndpointResolver:
    return EndpointResolver(create_loader().load_data("endpoints"))


class Transport(Protocol):
    """Sends requests to one AWS service, each once. `JsonService` is the real one, and decorators wrap it."""

    @property
    def name(self) -> str: ...

    @property
    def region(self) -> str: ...

    @property
    def send(self) -> HttpImplementation: ...

    @property
    def credentials(self) -> Credentials: ...

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Response:
        """Return the response, whatever its status. Raises NoCredentialsFound, and OSError if there is none."""
        ...


Decorate = Callable[[Transport], Transport]


def undecorated(transport: Transport) -> Transport:
    return transport


class JsonService:
    """Transport without retries: the caller knows which requests can be repeated. Tests script `send`."""

    def __init__(
        self, service: ServiceName, send: HttpImplementation, credentials: Credentials, *, region: str, url: URL
    ) -> None:
        self.credentials = credentials
        self.send = send
        self.region = region
        self._url = str(url)
        self.name = service.name
        self._prefix = service.target_prefix
        self._signer = Signer(service.name, region, url)

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Response:
        """Return the response, whatever its status. Raises NoCredentialsFound, and OSError if there is none."""
        key = await self.credentials.get_key(self.send)
        if key is None:
            raise NoCredentialsFound
        body = orjson.dumps(payload)
        headers = self._signer.headers(key, f"{self._prefix}.{operation}", body, utc_now())
        response = await self.send(Request("POST", self._url, headers, body))
        if response.status != HTTPStatus.OK and refuses_key(response.status, response.body):
            if isinstance(self.credentials, BotocoreCredentials):
                self.credentials.refuse(key)
            else:
                self.credentials.invalidate()
        return response


@asynccontextmanager
async def open_service(
    service: ServiceName,
    credentials: Credentials,
    *,
    region: str,
    endpoint: str | None,
    timeout: float,  # noqa: ASYNC109 - of each request
    connections: int,
    decorate: Decorate = undecorated,
) -> AsyncIterator[Transport]:
    """Open the service in the region, or at the endpoint, with its own connection pool."""
    url = endpoint_url(service, region, endpoint)
    async with open_http(url, timeout=timeout, connections=connections) as send:
        yield decorate(JsonService(service, send, credentials, region=region, url=url))
