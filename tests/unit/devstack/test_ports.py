"""Ports of the local stack: fixed ones, or those that the caller chooses; a taken one is named."""

import socket
from collections.abc import Iterator

import pytest

from devstack.ports import LOCAL_PORTS, PortTaken, chosen_ports
from order_shared.naming import SERVICES


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_each_part_has_a_port_of_its_own() -> None:
    assert len(set(LOCAL_PORTS.values())) == len(LOCAL_PORTS)
    assert {service.name: service.local_port for service in SERVICES}.items() <= LOCAL_PORTS.items()


def test_any_free_ports() -> None:
    ports = chosen_ports(0)
    assert ports.keys() == LOCAL_PORTS.keys()
    assert len(set(ports.values())) == len(ports)


def test_a_taken_port_is_named_with_its_part_and_with_a_way_out(taken: int) -> None:
    with pytest.raises(PortTaken, match=rf"{taken} \(pages\).*PORTS=18000"):
        chosen_ports(taken)


def test_ports_follow_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devstack.ports.is_free", lambda _: True)
    assert list(chosen_ports(18000).values()) == list(range(18000, 18000 + len(LOCAL_PORTS)))
    assert chosen_ports(None) == LOCAL_PORTS
