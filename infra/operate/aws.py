"""AWS account of the caller, with boto3 clients for it."""

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.operate.context import OperateContext
from infra.stacks import PROJECT
from orderctl.exceptions import Failed, Refused
from orderctl.settings import DeploySettings, load_settings


@dataclass(frozen=True, kw_only=True)
class Account:
    id: str
    caller: str
    """ARN of the caller."""
    session: boto3.Session

    @property
    def state_bucket_prefix(self) -> str:
        """Prefix of the names of the account's state buckets, one in each region."""
        return f"{PROJECT}-state-{self.id}"

    def state_bucket(self, region: str) -> str:
        return f"{self.state_bucket_prefix}-{region}"

    def client(self, service: str, region: str) -> Any:
        make: Any = self.session.client  # typed by the name of each service
        return make(service, region_name=region)


def account_of_caller(context: OperateContext, region: str) -> Account:
    """Return the account that the caller's credentials belong to, according to STS.

    Raises:
        Refused: without credentials that AWS accepts, or if `ORDER_ACCOUNT_ID` names another account.
    """
    try:
        session = context.session()
        identity = session.client("sts", region_name=region).get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise Refused(f"AWS accepts no credentials: {error}") from error
    expected = load_settings(DeploySettings, context.environ).account_id
    if expected and expected != identity["Account"]:
        raise Refused(f"the credentials belong to account {identity['Account']}, but ORDER_ACCOUNT_ID is {expected}")
    return Account(id=identity["Account"], caller=identity["Arn"], session=session)


def bucket_exists(s3: Any, account: Account, bucket: str) -> bool:
    """Return whether the account has this bucket.

    Raises:
        Refused: if the bucket belongs to another account, or the caller may not access it.
        Failed: if the call to AWS fails.
    """
    try:
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account.id)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("404", "NoSuchBucket"):
            return False
        if error.response.get("Error", {}).get("Code") in ("403", "AccessDenied"):
            raise Refused(f"the bucket {bucket} belongs to another account, or you may not access it") from error
        raise Failed(f"AWS: {error}") from error
    return True
