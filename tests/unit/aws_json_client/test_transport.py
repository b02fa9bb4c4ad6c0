"""One attempt: the request, the meaning of its response, and the corrections of key and clock."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from botocore.retries import standard

from aws_json_client import (
    DYNAMODB,
    Answer,
    AwsClient,
    ConnectionFailed,
    ForeignResponse,
    Key,
    ResponseError,
    RetryPolicy,
    ServiceError,
    SignedTransport,
    StaticCredentials,
    Unavailable,
)
from aws_json_client.errors import REASONS, TRANSIENT_CODES
from aws_json_client.http import Request, Response
from aws_json_client.transport import CLOCK_TOLERANCE, user_agent

BOTOCORE: Any = standard  # whose stub leaves the lists out
REQUEST_ID = {b"x-amzn-requestid": b"REQUEST-1"}


class Wire:
    """Fake HTTP layer that returns the scripted responses, then success, and keeps the requests."""

    def __init__(self, *script: Response | OSError) -> None:
        self._script = list(script)
        self.sent: list[Request] = []

    async def __call__(self, request: Request) -> Response:
        self.sent.append(request)
        answer = self._script.pop(0) if self._script else Response(200, b"{}")
        if isinstance(answer, OSError):
            raise answer
        return answer


def transport(wire: Any) -> SignedTransport:
    return SignedTransport(
        DYNAMODB, wire, StaticCredentials(Key("id", "a-secret")), region="eu-central-1", host="dynamodb.test"
    )


def refusal(code: str, status: int = 400, **more: Any) -> Response:
    content = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", **more}
    return Response(status, json.dumps(content).encode(), REQUEST_ID)


async def failure(*script: Response | OSError) -> Any:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one it is, each test says
        await transport(Wire(*script)).call("GetItem", {})
    return caught.value


async def test_a_request_has_its_operation_and_user_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", " a-shop ")
    wire = Wire(Response(200, b'{"Item": {}}', REQUEST_ID))
    assert await transport(wire).call("GetItem", {"TableName": "orders"}) == Answer({"Item": {}}, "REQUEST-1")
    headers, body = wire.sent[0]
    assert json.loads(body) == {"TableName": "orders"}
    assert headers["x-amz-target"] == "DynamoDB_20120810.GetItem"
    name, *parts = headers["user-agent"].split()
    assert name.startswith("aws-json-client/0.")
    assert parts[-1] == "app/a-shop"


@pytest.mark.parametrize("application", ["", "  ", "two\nlines", "Käse"])
def test_an_application_name_that_is_invalid_in_a_header_is_omitted(
    monkeypatch: pytest.MonkeyPatch, application: str
) -> None:
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", application)
    assert "app/" not in user_agent()


async def test_an_error_has_its_code_and_request_id_but_no_stored_values() -> None:
    error = await failure(refusal("ValidationException", message="the value grace@example.com is wrong"))
    assert isinstance(error, ServiceError)
    assert (error.code, error.status, error.reason, error.request_id) == ("ValidationException", 400, None, "REQUEST-1")
    assert str(error) == "ValidationException, status 400 (request REQUEST-1)"
    assert error.content["message"] == "the value grace@example.com is wrong"


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (Response(403, b"<html>a proxy's</html>"), "network"),
        (Response(302, b""), "network"),
        (Response(400, b""), "network"),
        (Response(400, b'{"message": "no type"}'), "network"),
        (Response(200, b"[]"), "network"),
        (Response(200, b"<html>a portal's</html>"), "network"),
        (Response(408, b""), "timeout"),
        (Response(429, b""), "throttled"),
        (Response(500, b""), "server_error"),
        (Response(502, b"bad gateway"), "server_error"),
        (Response(503, b"null"), "server_error"),
    ],
    ids=str,
)
async def test_a_response_that_is_not_from_aws_is_a_network_error(response: Response, reason: str) -> None:
    error = await failure(response)
    assert isinstance(error, ForeignResponse)
    assert (error.status, error.code, error.reason) == (response.status, str(response.status), reason)


@pytest.mark.parametrize(
    ("fault", "reason"), [(TimeoutError(), "timeout"), (ConnectionResetError("gone"), "network")], ids=str
)
async def test_a_missing_response_is_a_failed_connection(fault: OSError, reason: str) -> None:
    error = await failure(fault)
    assert isinstance(error, ConnectionFailed)
    assert error.reason == reason
    assert error.__cause__ is fault


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        (["None", "TransactionConflict"], "conflict"),
        (["ThrottlingError"], "throttled"),
        (["ProvisionedThroughputExceeded"], "throttled"),
        (["ConditionalCheckFailed", "None"], None),
        (["ValidationError"], None),
    ],
    ids=str,
)
async def test_a_cancelled_transaction_is_retried_according_to_its_reasons(
    codes: list[str], reason: str | None
) -> None:
    reasons = [{"Code": code} for code in codes]
    assert (await failure(refusal("TransactionCanceledException", CancellationReasons=reasons))).reason == reason


def test_every_code_that_botocore_retries_is_retried() -> None:
    throttled = BOTOCORE.ThrottledRetryableChecker._THROTTLED_ERROR_CODES
    transient = BOTOCORE.TransientRetryableChecker._TRANSIENT_ERROR_CODES
    assert {*throttled, *transient} <= TRANSIENT_CODES.keys()
    assert set(TRANSIENT_CODES.values()) <= REASONS


@pytest.mark.parametrize("status", BOTOCORE.TransientRetryableChecker._TRANSIENT_STATUS_CODES)
async def test_every_status_that_botocore_retries_is_retried(status: int) -> None:
    assert (await failure(Response(status, b""))).reason == "server_error"
    assert (await failure(refusal("InternalServerError", status))).reason == "server_error"


class SkewedAws:
    """Fake of AWS that rejects signatures more than five minutes off. Its clock differs by `skew`."""

    def __init__(self, skew: timedelta) -> None:
        self._skew = skew
        self.refused = 0

    async def __call__(self, request: Request) -> Response:
        now = datetime.now(UTC) + self._skew
        signed_at = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        date = {b"date": format_datetime(now, usegmt=True).encode()}
        if abs(now - signed_at) <= timedelta(minutes=5):
            return Response(200, b"{}", date)
        self.refused += 1
        return Response(400, b'{"__type": "com.amazon.coral.service#InvalidSignatureException"}', date)


@pytest.mark.parametrize("hours", [-30, -1, 1, 30])
async def test_a_wrong_clock_costs_one_attempt(hours: int) -> None:
    aws = SkewedAws(timedelta(hours=hours))
    client = AwsClient(transport(aws), RetryPolicy(base=0.0))
    for _ in range(3):
        await client.request("GetItem", {})
    assert aws.refused == 1


@pytest.mark.parametrize("date", [None, b"", b"yesterday", b"Mon, 30 Nov 2026 08:00:00 -0000"])
async def test_a_rejected_signature_without_a_date_is_only_retried(date: bytes | None) -> None:
    headers = {} if date is None else {b"date": date}
    refused = Response(400, b'{"__type": "a#InvalidSignatureException"}', headers)
    wire = Wire(refused)
    await AwsClient(transport(wire), RetryPolicy(base=0.0)).request("GetItem", {})
    assert len(wire.sent) == 2


async def test_a_small_clock_difference_is_not_corrected() -> None:
    """The signature was rejected for another reason, such as a wrong secret."""
    date = format_datetime(datetime.now(UTC) + CLOCK_TOLERANCE / 2, usegmt=True).encode()
    wire = Wire(Response(400, b'{"__type": "a#InvalidSignatureException"}', {b"date": date}))
    await AwsClient(transport(wire), RetryPolicy(base=0.0)).request("GetItem", {})
    first, second = (datetime.strptime(each.headers["x-amz-date"], "%Y%m%dT%H%M%S%z") for each in wire.sent)
    assert second - first < timedelta(seconds=30)


async def test_when_no_attempt_is_left_the_error_contains_the_last_one() -> None:
    client = AwsClient(transport(Wire(*[refusal("ThrottlingException")] * 10)), RetryPolicy(base=0.0))
    with pytest.raises(Unavailable) as caught:
        await client.request("GetItem", {})
    assert str(caught.value) == ("throttled, after 4 attempts: ThrottlingException, status 400 (request REQUEST-1)")
    assert (caught.value.reason, caught.value.request_id) == ("throttled", "REQUEST-1")
    assert isinstance(caught.value.__cause__, ResponseError)


def test_a_key_is_shown_without_its_secret() -> None:
    assert "a-secret" not in repr(Key("id", "a-secret", "a-token"))
    assert "a-token" not in repr(Key("id", "a-secret", "a-token"))
