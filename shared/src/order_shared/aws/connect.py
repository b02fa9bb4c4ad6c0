"""Choice of the AWS client: aws-json-client, or aioboto3 as the reference to compare it with."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from aws_json_client import CredentialsProvider, Service, Transport, open_transport

OURS = "aws-json-client"

Decorate = Callable[[Transport], Transport]


def undecorated(transport: Transport) -> Transport:
    return transport


class Connect(Protocol):
    """Open a service in a region, or at an endpoint, with its own connections. `timeout` is in seconds."""

    def __call__(
        self,
        service: Service,
        credentials: CredentialsProvider,
        *,
        region: str,
        endpoint: str | None,
        timeout: float,
        connections: int,
    ) -> AbstractAsyncContextManager[Transport]: ...


def connect_by(client: str) -> Connect:
    """Return the client with the name `client` (ORDER_AWS_CLIENT). Raises ImportError if it is not installed."""
    if client == OURS:
        return open_transport
    from order_shared.aws.aioboto3_transport import open_aioboto3  # noqa: PLC0415 - an extra of this package

    return open_aioboto3
