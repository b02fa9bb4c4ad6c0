"""Retries of the client: which requests, when, and without placing a second order."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest

from order_client import (
    Conflict,
    OrderClient,
    Problem,
    RateLimited,
    RetryPolicy,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from order_client.retries import retry_after
from tests.unit.client.api import FakeApi, problem


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


async def test_an_order_whose_response_was_lost_is_placed_once(api: FakeApi) -> None:
    api.lost = 3
    async with api.client() as client:
        order = await client.place_order({"TEA": 2})
    assert len(api.requests) == 4
    assert list(api.orders) == [order.id]
    assert order.replayed


async def test_each_call_places_an_order_of_its_own_and_a_key_brought_along_does_not(api: FakeApi) -> None:
    async with api.client() as client:
        orders = [await client.place_order({"TEA": 1}) for _ in range(2)]
        assert len({order.id for order in orders}) == 2
        first = await client.place_order({"TEA": 1}, idempotency_key="mine")
        again = await client.place_order({"TEA": 1}, idempotency_key="mine")
    assert (again.id, first.replayed, again.replayed) == (first.id, False, True)


@pytest.mark.parametrize(
    "trouble",
    [
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout(""),
        httpx2.RemoteProtocolError("closed"),
        problem(408, "request_timeout", retryable=True),
        problem(429, "rate_limited", retryable=True),
        problem(503, "temporarily_unavailable", retryable=True),
        problem(500, "internal_error", retryable=True),
        httpx2.Response(502, text="<html>bad gateway</html>"),
        httpx2.Response(503, text=""),
    ],
    ids=repr,
)
async def test_transient_errors_are_retried(api: FakeApi, trouble: httpx2.Response | Exception) -> None:
    api.instead = [trouble, trouble]
    async with api.client() as client:
        order = await client.place_order({"TEA": 1})
    assert order.id in api.orders
    assert len({request.headers["Idempotency-Key"] for request in api.requests}) == 1
    assert api.time.sleeps == [0.1, 0.2]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem(409, "reference_taken"), Conflict),
        (problem(503, "temporarily_unavailable", retryable=False), Unavailable),
        (httpx2.Response(500, text="oops"), Unavailable),
    ],
    ids=["409", "503 for good", "500 of a stranger"],
)
async def test_permanent_errors_are_raised_at_once(api: FakeApi, answer: httpx2.Response, error: type[Problem]) -> None:
    api.instead = [answer]
    async with api.client() as client:
        with pytest.raises(error):
            await client.place_order({"TEA": 1})
    assert (len(api.requests), api.time.sleeps) == (1, [])


async def test_retry_after_comes_on_top_of_the_pause(api: FakeApi) -> None:
    api.instead = [problem(429, "rate_limited", headers={"Retry-After": "7"}, retryable=True)]
    async with api.client() as client:
        await client.place_order({"TEA": 1})
    assert api.time.sleeps == [7.1]


async def test_a_pause_never_exceeds_the_deadline(api: FakeApi) -> None:
    api.instead = [problem(429, "rate_limited", headers={"Retry-After": "31"}, retryable=True)]
    async with api.client() as client:
        with pytest.raises(RateLimited) as caught:
            await client.place_order({"TEA": 1})
    assert (caught.value.retry_after, api.time.sleeps) == (31.0, [])


async def test_it_gives_up_within_its_deadline_and_hands_over_the_key(api: FakeApi) -> None:
    api.instead = [httpx2.ConnectError("refused")] * 100
    async with api.client(RetryPolicy(deadline=4.0, base=0.5, cap=1.0)) as client:
        with pytest.raises(Unreachable, match="refused") as caught:
            await client.place_order({"TEA": 1})
    assert api.time.sleeps == [0.5, 1.0, 1.0, 1.0]
    key = api.requests[0].headers["Idempotency-Key"]
    assert caught.value.idempotency_key == key
    api.instead = []
    async with api.client() as client:
        assert (await client.place_order({"TEA": 1}, idempotency_key=key)).id in api.orders


async def test_an_attempt_without_an_end_is_ended() -> None:
    async def never(_: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    policy = RetryPolicy(deadline=0.02, attempt_timeout=0.01, base=0.005)
    async with OrderClient("http://api", "token", retries=policy, transport=httpx2.MockTransport(never)) as client:
        with pytest.raises(Unreachable, match="no response in time"):
            await client.get_order("ord_0")


async def test_cancelling_again_after_a_lost_answer_changes_nothing(api: FakeApi) -> None:
    async with api.client() as client:
        placed = await client.place_order({"TEA": 1})
        api.lost = 1
        cancelled = await client.cancel_order(placed.id)
    assert (cancelled.status, cancelled.version) == ("cancelled", 2)


async def test_a_response_of_another_server_is_an_unexpected_answer(api: FakeApi) -> None:
    api.instead = [httpx2.Response(200, text="<html>welcome</html>"), httpx2.Response(302)]
    async with api.client() as client:
        for _ in range(2):
            with pytest.raises(UnexpectedAnswer):
                await client.get_order("ord_0")


async def test_a_token_is_requested_before_each_attempt(api: FakeApi) -> None:
    tokens = iter(["old", "new"])

    async def token() -> str:
        return next(tokens)

    api.instead = [httpx2.ConnectError("refused")]
    async with api.client(token=token) as client:
        await client.place_order({"TEA": 1})
    assert [request.headers["Authorization"] for request in api.requests] == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "ä"])
async def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(api: FakeApi, token: str) -> None:
    async with api.client(token=token) as client:
        with pytest.raises(ValueError, match="the token is empty, or has characters that are not allowed in a header"):
            await client.get_order("ord_0")
    assert api.requests == []


async def test_a_line_end_after_the_token_does_no_harm(api: FakeApi) -> None:
    async with api.client(token="token\n") as client:
        await client.place_order({"TEA": 1})
    assert api.requests[0].headers["Authorization"] == "Bearer token"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("", None),
        ("soon", None),
        (None, None),
        ("Wed, 21 Oct 3000000000 07:28:00 GMT", None),
    ],
)
def test_retry_after_in_seconds(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


def test_retry_after_as_a_date() -> None:
    later = retry_after(format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True))
    assert later is not None
    assert 3500 < later <= 3600
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


async def test_a_refused_token_is_renewed_once(api: FakeApi) -> None:
    tokens = ["old", "new", "newer"]

    async def token() -> str:
        return tokens.pop(0)

    api.instead = [problem(401, "unauthenticated")]
    async with api.client(token=token) as client:
        await client.place_order({"TEA": 1})
        assert [request.headers["Authorization"] for request in api.requests] == ["Bearer old", "Bearer new"]
        api.instead = [problem(401, "unauthenticated"), problem(401, "unauthenticated")]
        tokens += ["newest"]
        with pytest.raises(Unauthenticated):
            await client.place_order({"TEA": 1})
    assert len(api.requests) == 4
    assert api.time.sleeps == []


async def test_a_fixed_token_that_is_refused_is_not_sent_again(api: FakeApi) -> None:
    api.instead = [problem(401, "unauthenticated")]
    async with api.client() as client:
        with pytest.raises(Unauthenticated):
            await client.place_order({"TEA": 1})
    assert len(api.requests) == 1


async def test_the_first_refused_attempt_of_an_outage_is_logged(api: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    api.instead = [httpx2.ConnectError("connection refused")] * 3
    async with api.client() as client:
        order = await client.place_order({"TEA": 1})
        assert len(caplog.messages) == 1
        assert "http://api" in caplog.messages[0]
        assert "connection refused; calls are repeated" in caplog.messages[0]
        api.instead = [httpx2.ConnectError("connection refused")]
        await client.get_order(order.id)
        assert len(caplog.messages) == 2
