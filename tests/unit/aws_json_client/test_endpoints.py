"""Addresses of services."""

import pytest

from aws_json_client import DYNAMODB, SQS
from aws_json_client.endpoints import Address, resolve


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "sqs.eu-central-1.amazonaws.com"),
        ("us-gov-west-1", "sqs.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "sqs.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_without_an_endpoint_the_region_determines_the_address(region: str, host: str) -> None:
    assert resolve(SQS, region, None) == Address(hostname=host, port=443, tls=True)


@pytest.mark.parametrize(
    ("variable", "host"),
    [
        ("AWS_USE_FIPS_ENDPOINT", "sqs-fips.us-east-1.amazonaws.com"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "sqs.us-east-1.api.aws"),
    ],
)
def test_aws_settings_select_the_endpoint_variant(monkeypatch: pytest.MonkeyPatch, variable: str, host: str) -> None:
    monkeypatch.setenv(variable, "true")
    assert resolve(SQS, "us-east-1", None) == Address(hostname=host, port=443, tls=True)
    assert resolve(SQS, "us-east-1", "http://127.0.0.1:4566").hostname == "127.0.0.1"


@pytest.mark.parametrize(
    ("endpoint", "address", "host"),
    [
        ("http://127.0.0.1:4566", Address(hostname="127.0.0.1", port=4566, tls=False), "127.0.0.1:4566"),
        ("https://aws.test", Address(hostname="aws.test", port=443, tls=True), "aws.test"),
        ("http://aws.test:443/", Address(hostname="aws.test", port=443, tls=False), "aws.test:443"),
        ("http://[::1]:8000/", Address(hostname="::1", port=8000, tls=False), "[::1]:8000"),
        ("http://[::1]", Address(hostname="::1", port=80, tls=False), "[::1]"),
    ],
)
def test_a_given_endpoint_is_used_unchanged(endpoint: str, address: Address, host: str) -> None:
    assert resolve(DYNAMODB, "eu-central-1", endpoint) == address
    assert address.host == host


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://aws.test/path",
        "http://aws.test/?a=b",
        "http://me:secret@aws.test/",
        "http://aws.test:port",
        "ftp://aws.test",
        "aws.test",
        "",
    ],
)
def test_an_endpoint_with_more_than_a_host_and_port_is_rejected(endpoint: str) -> None:
    with pytest.raises(ValueError, match="endpoint of dynamodb"):
        resolve(DYNAMODB, "eu-central-1", endpoint)


def test_an_unknown_region_is_rejected_by_name() -> None:
    with pytest.raises(ValueError, match="mars-north-1"):
        resolve(SQS, "mars-north-1", None)
