"""Relay of TCP connections before SQS of the embedded AWS, which is suspended to try an outage of SQS.

The embedded AWS is one process for every service of AWS. Through the relay, only SQS can be made to stop responding.

`python -m devstack.sqs_gate --port 4567 --target 4566` relays, and logs `listening` with its port.
"""

import asyncio
import contextlib
import signal

import structlog

from devstack.address import LOOPBACK, part_options
from order_shared.runtime.logging import configure_logging
from order_shared.runtime.program import begin
from order_shared.runtime.sockets import listen

log = structlog.get_logger(__name__)

CHUNK_BYTES = 65536


async def relay(host: str, port: int, target: int) -> None:
    """Relay every connection to the target, a port of this machine, until SIGTERM."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            target_reader, target_writer = await asyncio.open_connection(LOOPBACK, target)
            await asyncio.gather(_copy(reader, target_writer), _copy(target_reader, writer))
        writer.close()

    with listen(host, port) as listener:
        server = await asyncio.start_server(serve, sock=listener)
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        await ended.wait()
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until one of the two sides has closed."""
    try:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                writer.write(data)
                await writer.drain()
    finally:
        writer.close()


def main() -> None:
    begin("devstack")
    parser = part_options("Relay connections to SQS of the embedded AWS.")
    parser.add_argument("--target", type=int, required=True, help="port of the embedded AWS")
    options = parser.parse_args()
    configure_logging("INFO")
    asyncio.run(relay(options.host, options.port, options.target))


if __name__ == "__main__":
    main()
