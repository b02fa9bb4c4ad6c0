"""Where a service is, and with whose credentials it is asked."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiobotocore.credentials import AioRefreshableCredentials
from aiodynamo.errors import NoCredentialsFound
from yarl import URL

from order_shared.aws import session as aws_session
from order_shared.aws.service import DYNAMODB, SQS, endpoint_url
from order_shared.aws.session import BotocoreCredentials
from order_shared.domain.clock import utc_now

if TYPE_CHECKING:
    import aioboto3


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


def lasting(seconds: float, number: int = 1) -> dict[str, str]:
    expiry = utc_now() + timedelta(seconds=seconds)
    return {"access_key": f"id-{number}", "secret_key": "s", "token": "t", "expiry_time": expiry.isoformat()}


class Session:
    """Has credentials that `refresh` renews; those at hand last for `seconds`."""

    def __init__(self, seconds: float, refresh: Callable[[], Awaitable[dict[str, str]]]) -> None:
        self._source = AioRefreshableCredentials.create_from_metadata(
            lasting(seconds), refresh_using=refresh, method="test"
        )

    async def get_credentials(self) -> Any:
        return self._source


def credentials(seconds: float, refresh: Callable[[], Awaitable[dict[str, str]]]) -> BotocoreCredentials:
    return BotocoreCredentials(cast("aioboto3.Session", Session(seconds, refresh)))


async def never() -> dict[str, str]:
    await asyncio.Event().wait()
    raise AssertionError("it never comes")


async def key_id(of: BotocoreCredentials) -> str:
    key = await of.get_key(cast("Any", None))
    assert key is not None
    return key.id


async def test_a_key_that_lasts_is_not_asked_for_again() -> None:
    held = credentials(3600, never)
    assert [await key_id(held) for _ in range(3)] == ["id-1"] * 3


async def test_a_key_that_is_about_to_end_is_renewed() -> None:
    async def renew() -> dict[str, str]:
        return lasting(3600, number=2)

    assert await key_id(credentials(60, renew)) == "id-2"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_session, "REFRESH_TIMEOUT", 0.05)


@pytest.mark.usefixtures("impatient")
async def test_without_a_key_nobody_waits_for_ever() -> None:
    """Many ask at once, and botocore lets one after the other ask."""
    held = credentials(-60, never)
    answers = await asyncio.gather(*(key_id(held) for _ in range(20)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {NoCredentialsFound}


@pytest.mark.usefixtures("impatient")
async def test_a_key_that_still_holds_is_used_while_a_new_one_is_slow_to_come() -> None:
    renewals = 0

    async def renew() -> dict[str, str]:
        nonlocal renewals
        renewals += 1
        return lasting(300) if renewals == 1 else await never()

    held = credentials(-60, renew)
    assert [await key_id(held) for _ in range(3)] == ["id-1"] * 3
    assert renewals == 3
