"""Entry point of the sandbox process: `python -m devstack.payments --port 0`."""

import signal
import sys
from pathlib import Path

from aiohttp import web

from devstack.address import part_options
from devstack.payments.api import make_app
from devstack.payments.bank import Bank, Token
from devstack.payments.books import FileBooks
from devstack.payments.options import SLOW_SECONDS
from order_shared.runtime.logging import configure_logging
from order_shared.runtime.program import begin
from order_shared.runtime.sockets import listen

DRAIN_SECONDS = 5.0


def main() -> None:
    begin("devstack")
    parser = part_options("Run the local payment sandbox.")
    parser.add_argument(
        "--slow-seconds", type=float, default=SLOW_SECONDS, help=f"duration of a payment with {Token.SLOW}"
    )
    parser.add_argument("--books", type=Path, help="file in which the payments are kept; default: in memory")
    options = parser.parse_args()
    configure_logging("INFO")
    app = make_app(Bank(options.slow_seconds), FileBooks(options.books) if options.books else None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the server installs its own handler
    with listen(options.host, options.port) as listener:
        web.run_app(app, sock=listener, print=None, access_log=None, shutdown_timeout=DRAIN_SECONDS)


if __name__ == "__main__":
    main()
