"""Where a service is."""

import pytest
from yarl import URL

from order_shared.aws.service import DYNAMODB, SQS, endpoint_url


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "sqs.eu-central-1.amazonaws.com"),
        ("us-gov-west-1", "sqs.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "sqs.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_without_an_endpoint_the_region_says_where_it_is(region: str, host: str) -> None:
    assert endpoint_url(SQS, region, None) == URL(f"https://{host}/")


@pytest.mark.parametrize(
    ("variable", "host"),
    [
        ("AWS_USE_FIPS_ENDPOINT", "sqs-fips.us-east-1.amazonaws.com"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "sqs.us-east-1.api.aws"),
    ],
)
def test_awss_own_settings_choose_the_variant(monkeypatch: pytest.MonkeyPatch, variable: str, host: str) -> None:
    monkeypatch.setenv(variable, "true")
    assert endpoint_url(SQS, "us-east-1", None) == URL(f"https://{host}/")
    assert endpoint_url(SQS, "us-east-1", "http://127.0.0.1:4566") == URL("http://127.0.0.1:4566")


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:4566", "https://aws.test", "http://[::1]:8000/"])
def test_an_endpoint_is_taken_as_it_is(endpoint: str) -> None:
    assert endpoint_url(DYNAMODB, "eu-central-1", endpoint) == URL(endpoint)


@pytest.mark.parametrize(
    "endpoint", ["http://aws.test/path", "http://aws.test/?a=b", "http://me:secret@aws.test/", "aws.test", ""]
)
def test_what_could_not_be_signed_is_no_endpoint(endpoint: str) -> None:
    with pytest.raises(ValueError, match="endpoint of dynamodb"):
        endpoint_url(DYNAMODB, "eu-central-1", endpoint)


def test_a_region_that_nobody_knows_is_told() -> None:
    with pytest.raises(ValueError, match="mars-north-1"):
        endpoint_url(SQS, "mars-north-1", None)
