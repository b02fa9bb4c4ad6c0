"""Clients of AWS to choose from: our own, and aioboto3 as the reference that it is compared with."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from aws_json_client import CredentialsProvider, Service, Transport, open_transport

Decorate = Callable[[Transport], Transport]


def undecorated(transport: Transport) -> Transport:
    return transport


class Connect(Protocol):
    """Opens a service in a region, or at an endpoint, with connections of its own. `timeout` is in seconds."""

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


class ClientNotInstalled(Exception):
    """The settings choose a client whose packages are missing."""

    def __init__(self) -> None:
        super().__init__("ORDER_AWS_CLIENT is aioboto3, and that is not installed: install order-shared[aioboto3]")


def connect_by(client: str) -> Connect:
    """Return the client that `ORDER_AWS_CLIENT` names. Raises ClientNotInstalled."""
    if client != "aioboto3":
        return open_transport
    try:
        from order_shared.aws.aioboto3_transport import open_aioboto3  # noqa: PLC0415 - an extra of this package
    except ImportError as error:
        raise ClientNotInstalled from error
    return open_aioboto3
