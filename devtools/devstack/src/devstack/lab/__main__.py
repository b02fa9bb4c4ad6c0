"""Entry point of the process of the Lab: `python -m devstack.lab --state .local`."""

import asyncio
import socket
from pathlib import Path

import uvicorn

from devstack.address import part_options
from devstack.lab.app import make_app
from devstack.lab.laboratory import open_laboratory
from order_shared.runtime.logging import configure_logging
from order_shared.runtime.program import begin
from order_shared.runtime.sockets import listen

SHUTDOWN_SECONDS = 1


async def serve(listener: socket.socket, state: Path) -> None:
    """Serve the pages until SIGTERM."""
    async with open_laboratory(state) as laboratory:
        app = make_app(laboratory, port=listener.getsockname()[1])
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=SHUTDOWN_SECONDS, server_header=False
        )
        await uvicorn.Server(config).serve(sockets=[listener])


def main() -> None:
    begin("devstack")
    parser = part_options("Serve the pages of the local stack: start page and Lab.")
    parser.add_argument("--state", type=Path, required=True, help="folder of the stack, with stack.json and data")
    options = parser.parse_args()
    configure_logging("INFO")
    with listen(options.host, options.port) as listener:
        asyncio.run(serve(listener, options.state))


if __name__ == "__main__":
    main()
