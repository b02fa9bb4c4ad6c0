"""Signatures equal botocore's, for generated requests."""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_json_client import Key
from aws_json_client.signing import Signer

words = st.from_regex(r"[A-Za-z0-9/+=]{1,40}", fullmatch=True)
keys = st.builds(Key, words, words, st.none() | words)
urls = st.sampled_from(
    [
        "https://dynamodb.eu-central-1.amazonaws.com/",
        "http://127.0.0.1:4566/",
        "https://sqs.test:8443/",
        "http://[::1]:1/",
    ]
)
times = st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001 - made aware
AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 Credential=\S+, SignedHeaders=\S+, Signature=[0-9a-f]{64}")


def botocores(key: Key, service: str, region: str, url: str, target: str, body: bytes, at: datetime) -> str:
    """Return botocore's header for the same request at the same time."""
    request = AWSRequest("POST", url, data=body)
    request.headers["Content-Type"] = "application/x-amz-json-1.0"
    request.headers["X-Amz-Target"] = target
    auth = SigV4Auth(Credentials(key.id, key.secret, key.token), service, region)
    request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
    untyped: Any = auth  # its stub leaves these out; `add_auth` calls them with the clock of the system
    untyped._modify_request_before_signing(request)
    canonical = auth.canonical_request(request)
    untyped._inject_signature_to_request(request, auth.signature(auth.string_to_sign(request, canonical), request))
    return str(request.headers["Authorization"])


@settings(max_examples=60, deadline=None)
@given(
    key=keys,
    service=st.sampled_from(["dynamodb", "sqs"]),
    region=st.sampled_from(["eu-central-1", "cn-north-1"]),
    url=urls,
    target=st.from_regex(r"[A-Za-z0-9_]{1,20}\.[A-Za-z]{1,20}", fullmatch=True),
    body=st.binary(max_size=200),
    at=times,
)
def test_a_signature_equals_botocores(
    key: Key, service: str, region: str, url: str, target: str, body: bytes, at: datetime
) -> None:
    headers = Signer(service=service, region=region, host=urlsplit(url).netloc).headers(key, target, body, at)
    assert headers["authorization"] == botocores(key, service, region, url, target, body, at)
    assert AUTHORIZATION.fullmatch(headers["authorization"])
    assert headers.get("x-amz-security-token") == key.token


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(keys, times), min_size=2, max_size=6))
def test_the_signing_key_changes_with_the_key_and_the_day(signed: list[tuple[Key, datetime]]) -> None:
    def make() -> Signer:
        return Signer(service="sqs", region="eu-central-1", host="sqs.eu-central-1.amazonaws.com")

    signer = make()
    for key, at in [*signed, *signed]:
        fresh = make()
        assert signer.headers(key, "AmazonSQS.SendMessage", b"{}", at) == fresh.headers(
            key, "AmazonSQS.SendMessage", b"{}", at
        )
