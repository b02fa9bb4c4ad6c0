"""Choice of the AWS client: aws-json-client, or aioboto3 for comparison."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from aws_json_client import CredentialsProvider, Service, Transport, open_transport

OURS = "aws-json-client"

Decorate = Callable[[Transport], Transport]


def undecorated(transport: Transport) -> Transport:
    return transport


class Connect(Protocol):
    """Function that opens a transport to one AWS service with its own connections.

    `endpoint` replaces the address of the service in the region. `timeout` limits each request, in seconds.
    """

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
    """Return the function that opens transports with the AWS client named `client` (ORDER_AWS_CLIENT).

    Raises ImportError if that client is not installed.
    """
    if client == OURS:
        return open_transport
    from order_shared.aws.aioboto3_transport import open_aioboto3  # noqa: PLC0415 - an extra of this package

    return open_aioboto3
