"""Where a part of the local stack listens when it runs as a process of its own."""

import argparse
import os

LOOPBACK = "127.0.0.1"


def part_options(description: str) -> argparse.ArgumentParser:
    """`--host` and `--port`; if they are not given, ORDER_HOST and ORDER_PORT, as the services have it."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default=os.environ.get("ORDER_HOST", LOOPBACK))
    parser.add_argument("--port", type=int, default=os.environ.get("ORDER_PORT", "0"), help="0 takes any free one")
    return parser
