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
