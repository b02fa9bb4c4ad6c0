"""Limits per tenant, per connection and per process, in process and over real sockets."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from order_api.config import ApiSettings
from order_api.connections import MAX_MESSAGE_BYTES
from order_api.limits import MAX_BODY_BYTES, TenantBuckets
from order_api.refusals import MAX_HEAD_BYTES, MAX_HEADERS, MAX_PIPELINED, MAX_TARGET_BYTES
from order_shared.domain.order.models import Customer, Order
from order_shared.healthcheck import find_fault
from tests.fakes import MemoryOrderRepository, MemoryStore
from tests.unit.api.conftest import SETTINGS, Api, issuer, open_api, problem_of
from tests.unit.api.sockets import connected, exchange, head, post_head, problem_in, serving, with_settings

POLICY = re.compile(r'"default";q=(\d+);w=(\d+)')
LEFT = re.compile(r'"default";r=(\d+);t=(\d+)')


class Time:
    """Clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def two_requests() -> ApiSettings:
    """A burst of two requests, and the next token after hours, which is longer than any test."""
    return with_settings(rate_limit_burst=2, rate_limit_per_second=0.0001)


def test_a_bucket_holds_its_burst_and_fills_at_its_rate() -> None:
    time = Time()
    buckets = TenantBuckets(rate=2, burst=4, clock=time)
    assert [buckets.take("acme").remaining for _ in range(4)] == [3, 2, 1, 0]
    refused = buckets.take("acme")
    assert (refused.granted, refused.remaining, refused.reset, refused.retry_after) == (False, 0, 2, 1)
    time.now += 0.5
    assert [buckets.take("acme").granted for _ in range(2)] == [True, False]
    time.now += 100
    assert [buckets.take("acme").granted for _ in range(5)] == [True] * 4 + [False]


def test_a_request_after_retry_after_is_granted() -> None:
    time = Time()
    buckets = TenantBuckets(rate=0.3, burst=1, clock=time)
    assert buckets.take("acme").granted
    refused = buckets.take("acme")
    assert (refused.granted, refused.retry_after) == (False, 4)
    time.now += refused.retry_after
    assert buckets.take("acme").granted


def test_a_refused_request_takes_no_token() -> None:
    time = Time()
    buckets = TenantBuckets(rate=1, burst=1, clock=time)
    buckets.take("acme")
    assert not any(buckets.take("acme").granted for _ in range(1000))
    time.now += 1
    assert buckets.take("acme").granted


def test_a_tenant_s_requests_cost_no_other_tenant_anything() -> None:
    buckets = TenantBuckets(rate=1, burst=3, clock=Time())
    while buckets.take("acme").granted:
        pass
    assert buckets.take("globex").remaining == 2


def test_a_charge_takes_further_tokens_and_may_leave_a_debt() -> None:
    time = Time()
    buckets = TenantBuckets(rate=1, burst=4, clock=time)
    buckets.take("acme")
    assert buckets.charge("acme", 2) == 0
    assert buckets.take("acme").remaining == 0
    assert buckets.charge("acme", 3) == 3, "seconds until the debt is paid"
    refused = buckets.take("acme")
    assert (refused.granted, refused.remaining, refused.retry_after) == (False, 0, 4)
    time.now += 4
    assert buckets.take("acme").granted
    assert buckets.take("globex").remaining == 3


def test_a_debt_is_bounded_by_the_burst() -> None:
    time = Time()
    buckets = TenantBuckets(rate=2, burst=4, clock=time)
    buckets.take("acme")
    assert buckets.charge("acme", 1_000_000) == 2
    assert buckets.take("acme").retry_after == 3
    time.now += 2.5
    assert buckets.take("acme").granted


def test_a_charge_of_nothing_changes_nothing() -> None:
    buckets = TenantBuckets(rate=1, burst=4, clock=Time())
    assert buckets.charge("acme", 0) == buckets.charge("acme", -1) == 0
    assert len(buckets) == 0


def test_full_buckets_are_forgotten() -> None:
    time = Time()
    buckets = TenantBuckets(rate=10, burst=20, clock=time)
    for number in range(10_000):
        buckets.take(f"tenant-{number}")
        time.now += 0.01
    assert len(buckets) <= 11, "each is full again after a tenth of a second"


@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(1, 50),
    waits=st.lists(st.floats(0, 5), max_size=60),
)
def test_never_more_than_the_burst_and_what_flowed_in(rate: float, burst: int, waits: list[float]) -> None:
    time = Time()
    buckets = TenantBuckets(rate=rate, burst=burst, clock=time)
    granted = 0
    for wait in waits:
        time.now += wait
        left = buckets.take("acme")
        granted += left.granted
        assert 0 <= left.remaining < burst
        assert left.granted or left.retry_after >= 1
        assert granted <= burst + (time.now - 1000) * rate + 0.1


async def test_every_response_below_v1_has_the_remaining_quota(api: Api) -> None:
    paths = ("/v1/orders", "/v1/orders/ord_x", "/v1/nowhere")
    answers = [await api.http.get(path, headers=api.headers()) for path in paths]
    answers.append(await api.http.get("/v1/orders", headers=api.headers(scope="")))
    answers.append(await api.post_order("x" * MAX_BODY_BYTES))
    assert [answer.status_code for answer in answers] == [200, 404, 404, 403, 413]
    for answer in answers:
        policy, left = POLICY.fullmatch(answer.headers["RateLimit-Policy"]), LEFT.fullmatch(answer.headers["RateLimit"])
        assert policy is not None
        assert left is not None
        assert (int(policy[1]), int(policy[2])) == (SETTINGS.rate_limit_burst, 5)
        assert int(left[1]) < SETTINGS.rate_limit_burst
        assert int(left[2]) <= 5


async def test_who_asks_too_often_is_told_when_to_come_back() -> None:
    async with open_api(settings=two_requests()) as api:
        left = [(await api.http.get("/v1/orders", headers=api.headers())).headers["RateLimit"][:13] for _ in range(2)]
        assert left == ['"default";r=1', '"default";r=0']
        refused = await api.http.get("/v1/orders", headers=api.headers())
        assert problem_of(refused, 429, "rate_limited")["retryable"] is True
        assert int(refused.headers["Retry-After"]) > 1000
        assert refused.headers["RateLimit"].startswith('"default";r=0;t=')
        assert (await api.http.get("/v1/orders", headers=api.headers("globex"))).status_code == 200
        assert (await api.http.get("/healthz")).status_code == 200
        assert 'order_http_refused_total{limit="rate"} 1.0' in (await api.http.get("/metrics")).text


async def test_a_stranger_costs_no_tenant_anything_and_learns_of_none() -> None:
    async with open_api(settings=two_requests()) as api:
        for _ in range(5):
            response = await api.http.get("/v1/orders", headers={"Authorization": api.headers()["Authorization"] + "x"})
            problem_of(response, 401, "unauthenticated")
            assert POLICY.fullmatch(response.headers["RateLimit-Policy"])
            assert "RateLimit" not in response.headers
        assert (await api.http.get("/v1/orders", headers=api.headers())).status_code == 200


async def unread() -> AsyncIterator[bytes]:
    raise AssertionError("the body was read")
    yield b""


@pytest.mark.parametrize(
    ("scope", "earlier", "status"), [("orders:read", 0, 403), ("orders:write", 2, 429), ("orders:read", 2, 429)]
)
async def test_who_may_not_is_refused_before_the_body_is_read(scope: str, earlier: int, status: int) -> None:
    async with open_api(settings=two_requests()) as api:
        for _ in range(earlier):
            await api.http.get("/v1/orders", headers=api.headers())
        headers = {**api.headers(scope=scope), "Idempotency-Key": "k", "Content-Type": "application/json"}
        response = await api.http.post("/v1/orders", content=unread(), headers=headers)
        assert response.status_code == status


class HeldOrders(MemoryOrderRepository):
    """Repository whose reads wait until they are released."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.asked = asyncio.Semaphore(0)
        self.released = asyncio.Event()

    async def get(self, customer: Customer, order_id: str) -> Order:
        self.asked.release()
        await self.released.wait()
        return await super().get(customer, order_id)


async def test_more_requests_than_fit_are_refused_at_once() -> None:
    held: list[HeldOrders] = []

    def orders(store: MemoryStore) -> HeldOrders:
        held.append(HeldOrders(store))
        return held[0]

    async with open_api(orders, settings=with_settings(max_in_flight=2)) as api:
        under_way = [asyncio.create_task(api.http.get("/v1/orders/ord_x", headers=api.headers())) for _ in range(2)]
        for _ in under_way:
            await held[0].asked.acquire()
        refused = await api.http.get("/v1/orders/ord_x", headers=api.headers())
        assert problem_of(refused, 503, "temporarily_unavailable")["retryable"] is True
        assert int(refused.headers["Retry-After"]) >= 1
        assert (await api.http.get("/v1/orders")).status_code == 503, "before anybody looks who asks"
        assert (await api.http.get("/healthz")).status_code == (await api.http.get("/readyz")).status_code == 200
        text = (await api.http.get("/metrics")).text
        assert "order_http_in_flight 2.0" in text
        assert 'order_http_refused_total{limit="in_flight"} 2.0' in text
        held[0].released.set()
        assert {(await answer).status_code for answer in under_way} == {404}
        assert (await api.http.get("/v1/orders/ord_x", headers=api.headers())).status_code == 404
        assert "order_http_in_flight 0.0" in (await api.http.get("/metrics")).text


@pytest.mark.parametrize("depth", [50, 200, 900, 1000, 5000, 30_000])
@pytest.mark.parametrize("make", [lambda n: "[" * n + "]" * n, lambda n: '{"lines":' * (n // 5) + "1" + "}" * (n // 5)])
async def test_a_body_nested_deeply_is_a_bad_request(api: Api, make: Callable[[int], str], depth: int) -> None:
    headers = {**api.headers(), "Content-Type": "application/json", "Idempotency-Key": "k"}
    for content in (make(depth), f'{{"lines": {make(depth)}}}'):
        problem_of(await api.http.post("/v1/orders", content=content, headers=headers), 400, "validation_failed")


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (head("/" + "x" * MAX_TARGET_BYTES), 414, "uri_too_long"),
        (head("/healthz", "X-Long: " + "x" * MAX_HEAD_BYTES), 431, "request_header_fields_too_large"),
        (
            head("/healthz", *(f"X-{number}: x" for number in range(MAX_HEADERS))),
            431,
            "request_header_fields_too_large",
        ),
        (b"GET /" + b"x" * (MAX_HEAD_BYTES + 1), 431, "request_header_fields_too_large"),
        (b"GET / HTTP/1.1\r\nX-Endless: " + b"x" * MAX_HEAD_BYTES, 431, "request_header_fields_too_large"),
        (b"what is this?\r\n\r\n", 400, "malformed_request"),
        (head("/healthz", "Content-Length: x"), 400, "malformed_request"),
        (head("/healthz", "Content-Length: 1", "Content-Length: 2"), 400, "malformed_request"),
    ],
    ids=range(8),
)
async def test_a_head_out_of_bounds_is_a_problem_and_the_end(sent: bytes, status: int, code: str) -> None:
    async with serving() as port:
        problem = problem_in(await exchange(port, sent))
        assert (problem["status"], problem["code"]) == (status, code)


async def test_a_head_within_bounds_is_answered() -> None:
    filler = [f"X-{number}: {'x' * 300}" for number in range(MAX_HEADERS - 10)]
    async with serving() as port:
        answer = await exchange(
            port, head("/healthz?" + "x" * (MAX_TARGET_BYTES - 100), "Connection: close", *filler[:70])
        )
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "sent",
    [b"", b"\r\n", b"G", b"GET /healthz HTTP/1.1\r\nHost: api.test\r\n"],
    ids=["nothing", "an empty line", "a letter", "half a head"],
)
async def test_a_head_that_does_not_come_is_not_waited_for(sent: bytes) -> None:
    async with serving(request_timeout_seconds=0.1) as port:
        assert await exchange(port, sent) == b""


async def test_the_containers_health_check_is_within_the_limits() -> None:
    async with serving() as port:
        assert await asyncio.to_thread(find_fault, str(port)) is None


async def test_a_head_that_comes_in_drops_is_cut_off() -> None:
    async with serving(request_timeout_seconds=0.1) as port, connected(port) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nX-Endless: ")
        closed = asyncio.create_task(reader.read())
        drops = 0
        while not closed.done():
            writer.write(b"x")
            drops += 1
            await asyncio.wait([closed], timeout=0.01)
        assert drops > 1
        assert closed.exception() is not None or closed.result() == b""


@pytest.mark.parametrize("headers", [["Content-Length: 100"], ["Transfer-Encoding: chunked"]])
async def test_a_body_that_does_not_come_is_a_408(headers: list[str]) -> None:
    async with serving(request_timeout_seconds=0.1) as port:
        problem = problem_in(await exchange(port, post_head(*headers), b"1\r\n{"))
        assert (problem["status"], problem["code"], problem["retryable"]) == (408, "request_timeout", True)


async def test_slow_bodies_do_not_keep_others_out() -> None:
    async with serving(max_in_flight=5) as port, httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        headers = {"Authorization": f"Bearer {issuer().token('acme', 'ada')}"}
        strangers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for _, writer in strangers:
            writer.write(head("/v1/orders", "Content-Length: 100", method="POST"))
        for reader, _ in strangers:
            assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
        assert (await http.get("/v1/orders", headers=headers)).status_code == 200
        for _, writer in strangers:
            writer.close()


async def test_an_unread_body_does_not_keep_the_connection_open() -> None:
    async with serving(request_timeout_seconds=0.1) as port:
        answer = await exchange(port, head("/healthz", "Content-Length: 100"), b"{")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), "answered, and closed when the rest did not come"


@pytest.mark.parametrize("rest", [b"x" * MAX_MESSAGE_BYTES, b"0\r\nX-Endless: " + b"x" * MAX_MESSAGE_BYTES])
async def test_an_endless_request_is_disconnected(rest: bytes) -> None:
    chunked = rest.startswith(b"0")
    headers = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {2 * MAX_MESSAGE_BYTES}"
    async with serving() as port, connected(port) as (reader, writer):
        writer.write(head("/healthz", headers))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 OK")
        writer.write(rest)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readuntil(b"there is no such answer")


async def test_what_follows_a_chunked_body_is_no_header() -> None:
    async with serving() as port:
        sent = (
            post_head("Transfer-Encoding: chunked", "Connection: close") + b"2\r\n{}\r\n0\r\nX-Request-Id: mine\r\n\r\n"
        )
        answer = await exchange(port, sent)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"x-request-id: mine" not in answer


async def test_an_idle_connection_is_closed_after_a_while() -> None:
    async with serving(keep_alive_seconds=1) as port:
        assert (await exchange(port, head())).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_connection_serves_many_requests() -> None:
    async with serving(request_timeout_seconds=0.1) as port, connected(port) as (reader, writer):
        for _ in range(3):
            writer.write(head()[:20])
            writer.write(head()[20:])
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
            assert json.loads(await reader.readuntil(b"}")) == {"status": "ok"}


async def test_requests_in_a_row_are_answered_in_their_order() -> None:
    async with serving() as port:
        answer = await exchange(port, head() * 10 + head("/healthz", "Connection: close"))
        assert answer.count(b"HTTP/1.1 200 OK\r\n") == 11


async def test_a_client_that_pipelines_too_many_requests_is_disconnected() -> None:
    async with serving() as port:
        answer = await exchange(port, head() * 10 * MAX_PIPELINED)
        assert answer.count(b"HTTP/1.1 200 OK\r\n") <= 1 + MAX_PIPELINED


async def test_an_answer_before_the_body_leaves_the_connection_for_another_request() -> None:
    async with serving(request_timeout_seconds=0.1) as port, connected(port) as (reader, writer):
        writer.write(head("/v1/orders", "Content-Length: 2", method="POST"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401 ")
        writer.write(b"{}")
        await reader.readuntil(b"}")
        for _ in range(3):
            await exchange(
                port, head()[:20]
            )  # closed by the deadline of a head: so long, and thrice, the other is idle
        writer.write(head())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_client_that_does_not_take_its_answers_is_cut_off() -> None:
    async with serving(request_timeout_seconds=0.1) as port, connected(port) as (reader, writer):

        async def ask_on() -> None:
            while True:
                writer.write(head("/metrics"))
                await writer.drain()  # once no answer is taken, no request is read, and this waits

        with pytest.raises(ConnectionError):
            await ask_on()
        assert not reader.at_eof()
