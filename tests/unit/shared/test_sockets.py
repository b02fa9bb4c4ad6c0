"""Listening on any address of this machine, and the sentence for one that is not."""

import socket

import pytest

from order_shared.runtime.settings import InvalidConfiguration
from order_shared.runtime.sockets import bind, listen


@pytest.mark.parametrize(
    ("host", "reached"),
    [("127.0.0.1", ["127.0.0.1"]), ("::1", ["::1"]), ("[::1]", ["::1"]), ("::", ["::1", "127.0.0.1"])],
)
def test_it_listens_on_ipv4_and_ipv6(host: str, reached: list[str]) -> None:
    with listen(host, 0) as listener:
        for address in reached:
            socket.create_connection((address, listener.getsockname()[1]), timeout=5).close()


def test_a_port_that_is_taken_is_named_with_another_one() -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            InvalidConfiguration, match=f"ORDER_PORT: port {port} of 127.0.0.1 is taken; use a free port"
        ):
            bind("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a" * 300, "::zz"])
def test_an_address_that_is_not_ours_is_named_with_a_right_one(host: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r"ORDER_HOST: .* such as 127\.0\.0\.1, 0\.0\.0\.0 or ::"):
        bind(host, 0)
