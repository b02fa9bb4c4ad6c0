"""Requests to receivers that fail in every way, and to names that lead to addresses of ours."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET, AF_INET6, AddressFamily

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks.webhooks import Webhook

from order_shared.domain.clock import utc_now
from order_shared.domain.webhook.attempt import Attempt, AttemptError
from order_shared.domain.webhook.signing import new_secret, signed_headers
from order_shared.webhook_http.challenge import CHALLENGE_TYPE, ChallengeResult, challenge
from order_shared.webhook_http.resolver import CheckedResolver, DnsLookup, NameNotFound
from order_shared.webhook_http.sender import MAX_RESPONSE_BYTES, open_sender
from tests.name_server import name_server

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BODY = b'{"type":"order.confirmed.v1"}'
PATIENCE = 0.3  # seconds after which these senders give up

Answer = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]


@dataclass
class Receiver:
    """Server that answers each request as the test wants."""

    answer: Answer
    url: str = ""
    port: int = 0
    connections: int = 0
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.tasks.append(asyncio.create_task(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append((headers, body))
                await self.answer(writer, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def text(raw: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter, _body: bytes) -> None:
        writer.write(raw)
        await writer.drain()

    return answer


def text_and_end(raw: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter, _body: bytes) -> None:
        writer.write(raw)
        await writer.drain()
        writer.close()

    return answer


def endless(head: bytes, piece: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter, _body: bytes) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return answer


@asynccontextmanager
async def receiver(
    answer: Answer, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    started = Receiver(answer)
    server = await asyncio.start_server(started.accept, host, 0, ssl=tls)
    started.port = server.sockets[0].getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    started.url = f"{'https' if tls else 'http'}://{name}:{started.port}/hooks"
    try:
        yield started
    finally:
        server.close()
        for task in started.tasks:
            task.cancel()
        for writer in started.writers:
            writer.close()
        await asyncio.gather(*started.tasks, *(each.wait_closed() for each in started.writers), return_exceptions=True)


class Names:
    """Lookup that returns one list of addresses after the other; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = [list(each) for each in answers]
        self.asked = 0

    async def __call__(self, host: str) -> Sequence[tuple[AddressFamily, str]]:
        self.asked += 1
        found = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if not found:
            raise NameNotFound(host)
        return [(AF_INET6 if ":" in each else AF_INET, each) for each in found]

    async def close(self) -> None:
        pass


async def post(url: str, body: bytes = BODY, *, names: Names | None = None, local: bool = True) -> Attempt:
    async with open_sender(local_receivers=local, lookup=names, seconds=PATIENCE) as sender:
        return await sender.post(url, {"webhook-id": "msg_1"}, body)


class TestRequest:
    async def test_has_the_body_the_headers_and_nothing_else(self) -> None:
        headers = signed_headers([secret := new_secret()], "ord_1.2.confirmed", utc_now(), BODY)
        async with receiver(text(OK)) as shop, open_sender(local_receivers=True) as sender:
            attempt = await sender.post(shop.url, headers, BODY)
        ((received, body),) = shop.requests
        assert Webhook(secret).verify(body, received) == json.loads(BODY)
        assert received.keys() - headers.keys() == {"host", "accept", "accept-encoding", "content-length"}
        assert (attempt.status, attempt.error, attempt.response, attempt.succeeded) == (200, None, "ok", True)

    async def test_connections_are_used_again(self) -> None:
        async with receiver(text(OK)) as shop, open_sender(local_receivers=True) as sender:
            for _ in range(3):
                assert (await sender.post(shop.url, {}, BODY)).succeeded
        assert (shop.connections, len(shop.requests)) == (1, 3)

    async def test_a_proxy_of_the_environment_is_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        async with receiver(text(OK)) as shop:
            assert (await post(shop.url)).succeeded

    async def test_cookies_are_not_sent_back(self) -> None:
        cookie = b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"
        async with receiver(text(cookie)) as shop, open_sender(local_receivers=True) as sender:
            await sender.post(shop.url, {}, BODY)
            await sender.post(shop.url, {}, BODY)
        assert "cookie" not in shop.requests[1][0]

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
    async def test_local_receivers_have_either_family(self, host: str) -> None:
        async with receiver(text(OK), host=host) as shop:
            assert (await post(shop.url)).succeeded


class TestResponse:
    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    async def test_a_redirect_is_not_followed(self, status: int) -> None:
        async with receiver(text(OK)) as inner:
            moved = f"HTTP/1.1 {status} Moved\r\nlocation: {inner.url}\r\ncontent-length: 0\r\n\r\n".encode()
            async with receiver(text(moved)) as shop:
                attempt = await post(shop.url)
        assert (attempt.status, attempt.error, attempt.succeeded) == (status, None, False)
        assert inner.requests == []

    @pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
    async def test_a_failure_has_its_status_and_first_kilobyte(self, status: int) -> None:
        raw = b"HTTP/1.1 %d No\r\ncontent-length: 5000\r\n\r\n%s" % (status, b"x" * 5000)
        async with receiver(text(raw)) as shop:
            attempt = await post(shop.url)
        assert (attempt.status, attempt.error, attempt.succeeded) == (status, None, False)
        assert attempt.response == "x" * 1024
        assert attempt.gone == (status == 410)

    async def test_is_kept_as_printable_text(self) -> None:
        raw = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\na\x00\x1b[31m\xff\n\xc3\xbc\x80"
        async with receiver(text(raw)) as shop:
            attempt = await post(shop.url)
        assert attempt.response == "a\ufffd\ufffd[31m\ufffd\nü\ufffd"

    async def test_is_not_expanded(self) -> None:
        raw = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00"
        async with receiver(text(raw)) as shop:
            attempt = await post(shop.url)
        assert (attempt.succeeded, len(attempt.response)) == (True, 4)

    async def test_an_endless_body_is_cut_and_its_connection_closed(self) -> None:
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        async with (
            receiver(endless(head, b"1000\r\n%s\r\n" % (b"x" * 4096))) as shop,
            open_sender(local_receivers=True) as sender,
        ):
            first = await sender.post(shop.url, {}, BODY)
            assert (first.succeeded, len(first.response)) == (True, 1024)
            await sender.post(shop.url, {}, BODY)
        assert shop.connections == 2

    async def test_the_longest_body_is_read(self) -> None:
        raw = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (MAX_RESPONSE_BYTES, b"x" * MAX_RESPONSE_BYTES)
        async with receiver(text(raw)) as shop, open_sender(local_receivers=True) as sender:
            for _ in range(2):
                assert (await sender.post(shop.url, {}, BODY)).succeeded
        assert shop.connections == 1

    @pytest.mark.parametrize(
        ("answer", "status"),
        [
            pytest.param(text(b""), None, id="silent"),
            pytest.param(text(b"HTTP/1.1 200 OK\r\n"), None, id="half a head"),
            pytest.param(text(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"), 200, id="half a body"),
            pytest.param(endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), None, id="endless continue"),
        ],
    )
    async def test_a_hanging_response_ends_in_time(self, answer: Answer, status: int | None) -> None:
        async with receiver(answer) as shop:
            attempt = await post(shop.url)
        assert (attempt.status, attempt.error, attempt.succeeded) == (status, AttemptError.TIMED_OUT, False)
        assert attempt.milliseconds < 10 * PATIENCE * 1000

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(text_and_end(b"SSH-2.0-OpenSSH_9.6\r\n"), id="not HTTP"),
            pytest.param(text_and_end(b"HTTP/1.1 two OK\r\n\r\n"), id="no status"),
            pytest.param(text_and_end(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n"), id="no length"),
            pytest.param(text_and_end(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"), id="ends early"),
            pytest.param(text_and_end(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), id="no chunk"),
            pytest.param(text_and_end(b"HTTP/1.1 200 OK\r\na: %s\r\n\r\n" % (b"x" * 100_000)), id="huge header"),
            pytest.param(endless(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 100), id="endless headers"),
            pytest.param(endless(b"HTTP/1.1 200 OK\r\na: ", b"x" * 1000), id="endless header"),
        ],
    )
    async def test_a_broken_response_is_a_failure(self, answer: Answer) -> None:
        async with receiver(answer) as shop:
            attempt = await post(shop.url)
        assert (attempt.error, attempt.succeeded) == (AttemptError.INVALID_RESPONSE, False)

    async def test_a_closed_connection_is_a_failure(self) -> None:
        async with receiver(text_and_end(b"")) as shop:
            assert (await post(shop.url)).error is AttemptError.CONNECTION_FAILED

    async def test_a_port_where_nobody_listens_is_a_failure(self) -> None:
        async with receiver(text(OK)) as shop:
            url = shop.url
        assert (await post(url)).error is AttemptError.CONNECTION_FAILED


class TestAddress:
    @pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254"])
    async def test_a_name_of_an_address_that_is_not_public_is_refused(self, address: str) -> None:
        async with receiver(text(OK)) as shop:
            url = f"https://shop.example.com:{shop.port}/"
            attempt = await post(url, names=Names(["93.184.216.34", address]), local=False)
        assert (attempt.error, attempt.status) == (AttemptError.ADDRESS_NOT_PUBLIC, None)
        assert shop.connections == 0

    @pytest.mark.parametrize("url", ["https://127.0.0.1:{port}/", "https://[::1]:{port}/", "https://127.1:{port}/"])
    async def test_an_address_in_the_url_is_refused(self, url: str) -> None:
        async with receiver(text(OK)) as shop:
            attempt = await post(url.format(port=shop.port), local=False)
        assert (attempt.error, shop.connections) == (AttemptError.ADDRESS_NOT_PUBLIC, 0)

    async def test_http_is_refused(self) -> None:
        async with receiver(text(OK)) as shop:
            attempt = await post(f"http://shop.example.com:{shop.port}/", names=Names(["127.0.0.1"]), local=False)
        assert (attempt.error, shop.connections) == (AttemptError.INVALID_URL, 0)

    async def test_a_name_is_resolved_once_for_the_check_and_the_connection(self) -> None:
        """A second look-up could return another address than the one that was checked."""
        names = Names(["127.0.0.1"], ["169.254.169.254"])
        async with receiver(text(OK)) as shop:
            attempt = await post(f"http://shop.example.com:{shop.port}/", names=names)
        assert (attempt.succeeded, names.asked) == (True, 1)
        assert shop.requests[0][0]["host"] == f"shop.example.com:{shop.port}"

    async def test_a_name_without_an_address_is_a_failure(self) -> None:
        assert (await post("https://shop.example.com/", names=Names([]))).error is AttemptError.NAME_NOT_FOUND

    @pytest.mark.parametrize(("public", "private"), [("93.184.216.34", "127.0.0.1"), ("2606:4700:4700::1111", "::1")])
    async def test_a_name_that_becomes_private_is_refused(self, public: str, private: str) -> None:
        """The first answers, to the queries of both families, are those at the creation of an endpoint."""
        async with receiver(text(OK)) as shop, name_server([public], [public], [private]) as server:
            lookup = DnsLookup(servers=["127.0.0.1"], port=server.port)
            found = await CheckedResolver(lookup, local_receivers=False).resolve("shop.example.com")
            assert [each["host"] for each in found] == [public]
            async with open_sender(lookup=lookup) as sender:
                attempt = await sender.post(f"https://shop.example.com:{shop.port}/", {}, BODY)
        assert (attempt.error, shop.connections) == (AttemptError.ADDRESS_NOT_PUBLIC, 0)
        assert len(server.asked) > 2

    async def test_an_address_that_was_never_checked_gets_no_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each socket is checked too, whatever resolved the name. The patch is a resolver that checks nothing."""
        monkeypatch.setattr("order_shared.webhook_http.resolver.is_allowed", lambda *_, **__: True)
        async with receiver(text(OK)) as shop:
            attempt = await post(f"https://shop.example.com:{shop.port}/", names=Names(["127.0.0.1"]), local=False)
        assert (attempt.error, shop.connections) == (AttemptError.ADDRESS_NOT_PUBLIC, 0)


class TestLookup:
    async def test_asks_for_both_families(self) -> None:
        async with name_server(["93.184.216.34", "2606:4700:4700::1111"]) as server:
            lookup = DnsLookup(servers=["127.0.0.1"], port=server.port)
            found = await lookup("shop.example.com")
            await lookup.close()
        assert set(found) == {(AF_INET, "93.184.216.34"), (AF_INET6, "2606:4700:4700::1111")}

    async def test_an_unknown_name_is_not_found(self) -> None:
        async with name_server([]) as server:
            lookup = DnsLookup(servers=["127.0.0.1"], port=server.port)
            with pytest.raises(NameNotFound):
                await lookup("shop.example.com")
            await lookup.close()

    async def test_a_silent_name_server_delays_no_other_name(self) -> None:
        async with receiver(text(OK)) as shop, name_server(silent=True) as server:
            lookup = DnsLookup(servers=["127.0.0.1"], port=server.port)
            async with open_sender(local_receivers=True, lookup=lookup, seconds=PATIENCE) as sender:
                hanging = [sender.post(f"https://a{each}.example.com/", {}, BODY) for each in range(40)]
                *hung, healthy = await asyncio.gather(*hanging, sender.post(shop.url, {}, BODY))
        assert {each.error for each in hung} == {AttemptError.TIMED_OUT}
        assert healthy.succeeded
        assert healthy.milliseconds < PATIENCE * 1000


class TestTls:
    async def test_a_certificate_must_be_trusted(self, tmp_path: Path) -> None:
        server, trust = certificates(tmp_path)
        async with receiver(text(OK), tls=server) as shop:
            assert (await post(shop.url)).error is AttemptError.TLS_FAILED
            async with open_sender(local_receivers=True, trust=trust) as sender:
                assert (await sender.post(shop.url, {}, BODY)).succeeded

    async def test_a_receiver_without_tls_is_a_failure(self) -> None:
        async with receiver(text(OK)) as shop:
            attempt = await post(shop.url.replace("http:", "https:"))
        assert attempt.error in (AttemptError.TLS_FAILED, AttemptError.TIMED_OUT)


class TestChallenge:
    async def ask(self, answer: Answer) -> tuple[ChallengeResult, Receiver]:
        async with receiver(answer) as shop, open_sender(local_receivers=True, seconds=PATIENCE) as sender:
            result = await challenge(
                sender, url=shop.url, endpoint_id="we_1", tenant="acme", secrets=[SECRET], clock=utc_now
            )
        return result, shop

    async def test_is_answered_by_a_receiver_that_returns_it(self) -> None:
        result, shop = await self.ask(returned(lambda data: json.dumps(data).encode()))
        assert result.answered
        ((headers, body),) = shop.requests
        event = Webhook(SECRET).verify(body, headers)
        assert (event["type"], event["subject"], event["tenantid"]) == (CHALLENGE_TYPE, "we_1", "acme")

    @pytest.mark.parametrize(
        "response",
        [
            b"",
            b"ok",
            b"[]",
            b"{}",
            b'{"challenge": null}',
            b'{"challenge": "another"}',
            b"[" * 1000,
        ],
    )
    async def test_is_not_answered_by_another_response(self, response: bytes) -> None:
        result, _ = await self.ask(returned(lambda _: response))
        assert not result.answered
        assert result.attempt.succeeded

    async def test_is_not_answered_by_a_failure(self) -> None:
        result, _ = await self.ask(returned(lambda data: json.dumps(data).encode(), status=500))
        assert not result.answered

    async def test_is_new_each_time(self) -> None:
        bodies = [(await self.ask(text(OK)))[1].requests[0][1] for _ in range(2)]
        assert len({json.loads(body)["data"]["challenge"] for body in bodies}) == 2


SECRET = "whsec_" + "A" * 44


def returned(of: Callable[[dict[str, str]], bytes], status: int = 200) -> Answer:
    """Return the answer that is made of the data of the received event."""

    async def answer(writer: asyncio.StreamWriter, body: bytes) -> None:
        response = of(json.loads(body)["data"])
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (status, len(response), response))
        await writer.drain()

    return answer


def certificates(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the TLS context of a server at 127.0.0.1, and that of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    now = utc_now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "receiver.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    trust = ssl.create_default_context(cadata=certificate.public_bytes(serialization.Encoding.PEM).decode())
    return server, trust
