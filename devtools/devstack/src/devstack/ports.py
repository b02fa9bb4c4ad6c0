"""Ports of the parts of the local stack, all on the loopback interface."""

import contextlib
import socket
from collections.abc import Mapping

from devstack.address import LOOPBACK
from order_shared.naming import SERVICES

LOCAL_PORTS: Mapping[str, int] = {
    "pages": 8088,
    **{service.name: service.local_port for service in SERVICES},
    "payments": 8082,
    "issuer": 8083,
    "emulator": 4566,
    "sqs-gate": 4567,
}
"""Port of each part, unless other ports are chosen."""


class PortTaken(Exception):
    """Another program listens on a port that a part needs."""

    def __init__(self, taken: Mapping[str, int]) -> None:
        listed = ", ".join(f"{port} ({name})" for name, port in taken.items())
        super().__init__(
            f"these ports are taken by other programs: {listed}. Stop those programs, or choose other ports: "
            "`make up PORTS=18000` or `orderctl local up --ports 18000` uses the ports from 18000 on"
        )


def chosen_ports(first: int | None) -> dict[str, int]:
    """Return the port of each part: its own, or consecutive ports from `first` on, or any free ones if that is 0.

    Raises PortTaken.
    """
    if first == 0:
        return _free_ports()
    ports = dict(LOCAL_PORTS) if first is None else {name: first + at for at, name in enumerate(LOCAL_PORTS)}
    if taken := {name: port for name, port in ports.items() if not is_free(port)}:
        raise PortTaken(taken)
    return ports


def _free_ports() -> dict[str, int]:
    with contextlib.ExitStack() as bound:
        sockets = {name: bound.enter_context(socket.socket()) for name in LOCAL_PORTS}
        for each in sockets.values():
            each.bind((LOOPBACK, 0))
        return {name: int(each.getsockname()[1]) for name, each in sockets.items()}


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
