"""Resolver of host names that returns checked addresses only."""

import socket
from collections.abc import Sequence
from typing import Protocol

import aiodns
import pycares
from aiohttp.abc import AbstractResolver, ResolveResult

from order_shared.webhook_http.addresses import is_allowed

TIMEOUT, TRIES = 3.0, 2  # seconds until a name server is asked again, and how often


class AddressNotPublic(OSError):
    """The host has an address that webhooks may not be sent to. The address is not told: it may be internal."""


class NameNotFound(OSError):
    """The name has no address, or its name server did not respond."""


class Lookup(Protocol):
    async def __call__(self, host: str) -> Sequence[tuple[socket.AddressFamily, str]]:
        """Return the addresses of a name. Raises NameNotFound."""
        ...

    async def close(self) -> None: ...


class DnsLookup:
    """Lookup at the name servers of this machine, without threads: a silent name server delays no other name."""

    def __init__(self, *, servers: Sequence[str] | None = None, port: int | None = None) -> None:
        self._dns = aiodns.DNSResolver(nameservers=servers, timeout=TIMEOUT, tries=TRIES, udp_port=port)

    async def __call__(self, host: str) -> Sequence[tuple[socket.AddressFamily, str]]:
        try:
            found = await self._dns.getaddrinfo(host, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM)
        except aiodns.error.DNSError as error:
            raise NameNotFound(f"{host} was not found") from error
        return [(socket.AddressFamily(node.family), _text(node)) for node in found.nodes]

    async def close(self) -> None:
        await self._dns.close()


def _text(node: pycares.AddrInfoNode) -> str:
    address = node.addr[0]
    return address.decode("ascii") if isinstance(address, bytes) else address


class CheckedResolver(AbstractResolver):
    """Resolver of aiohttp that refuses a name if any of its addresses is not allowed."""

    def __init__(self, lookup: Lookup, *, local_receivers: bool) -> None:
        self._lookup = lookup
        self._local_receivers = local_receivers

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Raises AddressNotPublic or NameNotFound."""
        found = [(kind, address) for kind, address in await self._lookup(host) if family in (socket.AF_UNSPEC, kind)]
        if not found:
            raise NameNotFound(f"{host} has no address")
        if not all(is_allowed(address, local_receivers=self._local_receivers) for _, address in found):
            raise AddressNotPublic(f"{host} has an address that is not public")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, address in found
        ]

    async def close(self) -> None:
        await self._lookup.close()
