"""The state bucket: made once, found again, never taken from somebody else."""

import json
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra import environments
from infra.environments import DEV
from infra.operate.aws import Account
from infra.operate.bootstrap import make_ready
from infra.operate.bucket import SETTINGS
from orderctl.exceptions import Failed, Refused
from tests.infra.conftest import BUCKET, HOME, MOTO_ACCOUNT, Desk

STEPS = len(SETTINGS)


@pytest.fixture
def bare(desk: Desk) -> Desk:
    """An account without a state bucket."""
    desk.s3.delete_bucket(Bucket=BUCKET)
    return desk


def settings(s3: Any) -> dict[str, Any]:
    return {
        "versioning": s3.get_bucket_versioning(Bucket=BUCKET)["Status"],
        "encryption": s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"],
        "public": s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"],
        "policy": json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"],
        "lifecycle": s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"],
        "tags": s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"],
    }


def test_an_empty_account_gets_a_bucket_with_everything_set(bare: Desk) -> None:
    result = bare.run("bootstrap", "--env", "dev")
    assert result.exit_code == 0, result.output
    found = settings(bare.s3)
    assert bare.s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == HOME
    assert found["versioning"] == "Enabled"
    assert found["encryption"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert len(found["public"]) == 4
    assert all(found["public"].values())
    (statement,) = found["policy"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Resource"] == [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    (rule,) = found["lifecycle"]
    assert rule["Status"] == "Enabled"
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    assert rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 7
    assert "Days" not in rule["Expiration"]  # the state that holds is never deleted
    assert {"Key": "Project", "Value": "order-platform"} in found["tags"]
    assert MOTO_ACCOUNT in result.stderr
    assert f"s3://{BUCKET}" in result.stderr
    assert (result.stdout.count("unchanged"), result.stdout.count("  set")) == (0, STEPS)


def test_twice_finds_what_it_made_and_changes_nothing(bare: Desk) -> None:
    bare.run("bootstrap", "--env", "dev")
    before = settings(bare.s3)
    again = bare.run("bootstrap", "--env", "dev")
    assert again.exit_code == 0
    assert again.stdout.count("unchanged") == STEPS + 1
    assert settings(bare.s3) == before


def test_a_bucket_that_lacks_something_gets_that_and_keeps_what_others_added(desk: Desk) -> None:
    theirs = {
        "Sid": "Auditors",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{MOTO_ACCOUNT}:root"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
    }
    rule = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 1}}
    desk.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    desk.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": theirs}))
    desk.s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]})
    desk.s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": [{"Key": "team", "Value": "shop"}]})
    kms = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    desk.s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [kms]})
    result = desk.run("bootstrap", "--env", "dev")
    found = settings(desk.s3)
    assert result.stdout.count("unchanged") == 3  # bucket, versioning, encryption
    assert found["encryption"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert [each["Sid"] for each in found["policy"]] == ["Auditors", "TlsOnly"]
    assert [each["ID"] for each in found["lifecycle"]] == ["logs", "state"]
    assert {"Key": "team", "Value": "shop"} in found["tags"]


def test_a_dry_run_only_says(bare: Desk) -> None:
    result = bare.run("bootstrap", "--env", "dev", "--dry-run")
    assert result.exit_code == 0
    assert result.stdout.count("would be") == STEPS + 1
    assert bare.s3.list_buckets()["Buckets"] == []


def test_a_dry_run_leaves_a_bucket_as_it_is(desk: Desk) -> None:
    result = desk.run("bootstrap", "--env", "dev", "--dry-run")
    assert result.stdout.count("would be set") == STEPS
    assert "Status" not in desk.s3.get_bucket_versioning(Bucket=BUCKET)


@pytest.mark.parametrize(("code", "error"), [("403", Refused), ("500", Failed)])
def test_a_bucket_that_is_not_ours_is_never_touched(
    code: str, error: type[Exception], aws_session: boto3.Session
) -> None:
    """moto knows no other account's buckets, so AWS's answer is given to the client here."""
    s3 = aws_session.client("s3", region_name=HOME, aws_access_key_id="none", aws_secret_access_key="none")
    account = Account(id=MOTO_ACCOUNT, caller=f"arn:aws:iam::{MOTO_ACCOUNT}:user/ada", session=aws_session)
    with Stubber(s3) as stub:
        expected = {"Bucket": BUCKET, "ExpectedBucketOwner": MOTO_ACCOUNT}
        stub.add_client_error("head_bucket", code, http_status_code=int(code), expected_params=expected)
        with pytest.raises(error):
            make_ready(s3, account, HOME, dry_run=False)


def test_us_east_1_takes_no_location(bare: Desk, aws_session: boto3.Session) -> None:
    account = Account(id=MOTO_ACCOUNT, caller=f"arn:aws:iam::{MOTO_ACCOUNT}:user/ada", session=aws_session)
    make_ready(account.client("s3", "us-east-1"), account, "us-east-1", dry_run=False)
    assert [each["Name"] for each in bare.s3.list_buckets()["Buckets"]] == [
        f"order-platform-state-{MOTO_ACCOUNT}-us-east-1"
    ]


def test_no_bucket_is_made_if_hcp_terraform_keeps_the_state(bare: Desk) -> None:
    bare.pretend(hcp_organisation="shop")
    result = bare.run("bootstrap", "--env", "dev")
    assert result.exit_code == 0
    assert "no bucket is needed" in result.stdout
    assert bare.s3.list_buckets()["Buckets"] == []


def test_each_region_gets_a_bucket(bare: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(environments.ENVIRONMENTS, "dev", replace(DEV, regions=(HOME, "eu-west-1")))
    result = bare.run("bootstrap", "--env", "dev")
    assert result.exit_code == 0, result.output
    names = [each["Name"] for each in bare.s3.list_buckets()["Buckets"]]
    assert sorted(names) == [BUCKET, BUCKET.replace(HOME, "eu-west-1")]
    assert result.stdout.count("made") == 2


def test_one_region_may_be_named(bare: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(environments.ENVIRONMENTS, "dev", replace(DEV, regions=("eu-west-1", HOME)))
    assert bare.run("bootstrap", "--env", "dev", "--region", HOME).exit_code == 0
    assert [each["Name"] for each in bare.s3.list_buckets()["Buckets"]] == [BUCKET]
    result = bare.run("bootstrap", "--env", "dev", "--region", "us-east-1")
    assert result.exit_code == 2
    assert "dev is not in us-east-1; its regions are eu-west-1" in result.stderr
