"""Name server on this machine, whose answers a test chooses."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import cast

A, AAAA = 1, 28
NO_ERROR, NAME_ERROR = 0, 3


class NameServer(asyncio.DatagramProtocol):
    """Server that answers each query with the addresses of `answers`, the last of which stays. None: it is silent."""

    def __init__(self, answers: Sequence[Sequence[str]] | None) -> None:
        self.answers = None if answers is None else [list(each) for each in answers]
        self.asked: list[str] = []
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        name, kind, question = _question(data)
        self.asked.append(name)
        if self.answers is None or self._transport is None:
            return
        addresses = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        packed = [ip_address(each).packed for each in addresses if (ip_address(each).version == 4) == (kind == A)]
        code = NO_ERROR if addresses else NAME_ERROR
        head = data[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(packed), 0, 0)
        records = [b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(each)) + each for each in packed]
        self._transport.sendto(head + question + b"".join(records), addr)


def _question(query: bytes) -> tuple[str, int, bytes]:
    """Return the name, the type and the bytes of the question in a query."""
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode())
        at += 1 + length
    (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
    return ".".join(labels), kind, query[12 : at + 5]


@asynccontextmanager
async def name_server(*answers: Sequence[str], silent: bool = False) -> AsyncIterator[NameServer]:
    """Start a server whose queries get one of the answers after the other."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(None if silent else answers), local_addr=("127.0.0.1", 0), family=socket.AF_INET
    )
    try:
        yield server
    finally:
        transport.close()
