"""Which proxy a URL has, and the tunnel through it."""

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from aws_json_client import http, proxies
from aws_json_client.endpoints import Address
from aws_json_client.http import Response, open_http
from aws_json_client.proxies import exempt_loopback, proxy_for
from tests.forwarding import forwarding
from tests.unit.aws_json_client.test_http import FAST, OK, answering, post, running, silence

HERE = (
    "localhost",
    "LOCALHOST",
    "api.localhost",
    "127.0.0.1",
    "127.8.9.10",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "0.0.0.0",  # noqa: S104 - nothing listens
    "[::]",
)
PROXY = "http://proxy.test:3128"
AWS = Address(hostname="aws.test", port=443, tls=True)
COPY = Path(proxies.__file__).parents[4] / "clients" / "python" / "src" / "order_client" / "proxies.py"


def test_the_published_client_has_the_same_rules() -> None:
    """It depends on none of our packages."""
    assert COPY.read_text() == Path(proxies.__file__).read_text()


@pytest.mark.parametrize("host", HERE)
@pytest.mark.parametrize("proxy", [PROXY, "socks5://127.0.0.1:1", "nonsense://"])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
def test_this_machine_never_has_one(monkeypatch: pytest.MonkeyPatch, host: str, proxy: str, name: str) -> None:
    monkeypatch.setenv(name, proxy)
    assert [proxy_for(f"{scheme}://{host}:8000/") for scheme in ("http", "https")] == [None, None]


@pytest.mark.parametrize(
    ("environ", "url", "expected"),
    [
        ({}, "https://aws.test", None),
        ({"HTTPS_PROXY": PROXY}, "https://aws.test", PROXY),
        ({"HTTPS_PROXY": PROXY}, "http://aws.test", None),
        ({"HTTPS_PROXY": "proxy.test:3128"}, "https://aws.test", PROXY),
        ({"HTTPS_PROXY": ""}, "https://aws.test", None),
        ({"ALL_PROXY": PROXY}, "https://aws.test", PROXY),
        ({"ALL_PROXY": "socks5://proxy.test", "HTTPS_PROXY": PROXY}, "https://aws.test", PROXY),
        ({"https_proxy": "http://ada:s%20x@proxy.test:3128"}, "https://aws.test", "http://ada:s%20x@proxy.test:3128"),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "aws.test"}, "https://aws.test", None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": ".aws.test"}, "https://sqs.aws.test", None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "aws.test:8443"}, "https://aws.test:8443", None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "*"}, "https://aws.test", None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "[::1]"}, "https://aws.test", PROXY),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "[fd00::1]"}, "https://[fd00::1]:8443", None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "fd00::1"}, "https://[fd00::1]:8443", None),
    ],
)
def test_elsewhere_the_environment_decides(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], url: str, expected: str | None
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == expected


@pytest.mark.parametrize(
    "proxy",
    ["socks5://proxy.test:1080", "socks5h://proxy.test", "https://proxy.test", "http://", "http://[", "ftp://x"],
)
def test_one_that_cannot_be_used_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(
        ValueError, match=r"^ALL_PROXY is not a proxy that can be used for aws\.test: set it to a URL such as"
    ):
        proxy_for("https://aws.test")


@pytest.mark.parametrize(
    ("environ", "added"),
    [
        ({}, {}),
        ({"NO_PROXY": "a.test"}, {}),
        ({"HTTP_PROXY": PROXY}, {"no_proxy": "localhost,127.0.0.1,::1,[::1]"}),
        ({"HTTP_PROXY": PROXY, "NO_PROXY": "a.test, ::1"}, {"no_proxy": "a.test,::1,localhost,127.0.0.1,[::1]"}),
        ({"HTTP_PROXY": PROXY, "no_proxy": "*"}, {"no_proxy": "*"}),
        (
            {"ALL_PROXY": PROXY, "HTTP_PROXY": "http://other.test"},
            {"https_proxy": PROXY, "no_proxy": "localhost,127.0.0.1,::1,[::1]"},
        ),
        ({"ALL_PROXY": "socks5://proxy.test"}, {"no_proxy": "localhost,127.0.0.1,::1,[::1]"}),
    ],
)
def test_libraries_that_read_the_variables_themselves_learn_it(environ: dict[str, str], added: dict[str, str]) -> None:
    settled = dict(environ)
    exempt_loopback(settled)
    if "no_proxy" in added:
        added = added | {"NO_PROXY": added["no_proxy"]}
    assert settled == environ | added


class TestTunnel:
    """The endpoint has a name that only the proxy knows."""

    @pytest.mark.parametrize("tls", [False, True])
    async def test_requests_go_through_it(
        self, monkeypatch: pytest.MonkeyPatch, certificate: Path, *, tls: bool
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        async with (
            running(answering(OK), context if tls else None) as (_, address),
            forwarding(address.port, login="ada:s x") as proxy,
        ):
            monkeypatch.setenv("ALL_PROXY", proxy.url)
            async with open_http(replace(address, hostname="aws.test", port=443), timeout=5, connections=1) as send:
                assert [await post(send) for _ in range(2)] == [Response(200, b"{}")] * 2
        assert proxy.asked == ["CONNECT aws.test:443"], "the connection is kept"

    @pytest.mark.parametrize("answer", [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"", b"no HTTP\r\n\r\n"])
    async def test_a_proxy_that_refuses_is_a_network_fault(
        self, monkeypatch: pytest.MonkeyPatch, answer: bytes
    ) -> None:
        async with forwarding(1, refusal=answer) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            async with open_http(AWS, timeout=5, connections=1) as send:
                with pytest.raises(OSError, match=r"the proxy 127\.0\.0\.1"):
                    await post(send)

    async def test_a_silent_proxy_is_left_in_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http, "CONNECT_TIMEOUT", FAST)
        async with running(silence) as (_, address):
            monkeypatch.setenv("HTTPS_PROXY", address.url)
            async with open_http(AWS, timeout=5, connections=1) as send:
                with pytest.raises(TimeoutError):
                    await post(send)
