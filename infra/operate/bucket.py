"""Creation and settings of a state bucket.

The function of each setting returns the change that is needed, or None if the bucket has the setting.
"""

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from infra.operate.console import Change
from infra.stacks import ACCOUNT, PROJECT

NONCURRENT_DAYS = 90
INCOMPLETE_DAYS = 7
RULE = "state"
STATEMENT = "TlsOnly"

Look = Callable[[Any, str], Change | None]


def create(s3: Any, bucket: str, region: str) -> None:
    where = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(
        Bucket=bucket, **({} if region == "us-east-1" else where)
    )  # S3 does not accept this region by name


def _versioning(s3: Any, bucket: str) -> Change | None:
    if s3.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled":
        return None
    return lambda: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def _encryption(s3: Any, bucket: str) -> Change | None:
    """Return the change that sets encryption with S3's own key, which is free; None if any encryption is set."""
    found = _found("ServerSideEncryptionConfigurationNotFoundError", lambda: s3.get_bucket_encryption(Bucket=bucket))
    if found is not None:
        return None
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    return lambda: s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


def _public_access(s3: Any, bucket: str) -> Change | None:
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    wanted = dict.fromkeys(names, True)
    found = _found("NoSuchPublicAccessBlockConfiguration", lambda: s3.get_public_access_block(Bucket=bucket))
    if found is not None and found["PublicAccessBlockConfiguration"] == wanted:
        return None
    return lambda: s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=wanted)


def _tls_only(s3: Any, bucket: str) -> Change | None:
    """Return the change that denies plain HTTP by a statement of the bucket policy, and keeps the other statements."""
    arn = f"arn:{s3.meta.partition}:s3:::{bucket}"
    wanted = {
        "Sid": STATEMENT,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    found = _found("NoSuchBucketPolicy", lambda: s3.get_bucket_policy(Bucket=bucket))
    policy: dict[str, Any] = json.loads(found["Policy"]) if found else {"Version": "2012-10-17", "Statement": []}
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    if wanted in statements:
        return None
    others = [each for each in statements if each.get("Sid") != STATEMENT]
    changed = json.dumps({**policy, "Statement": [*others, wanted]})
    return lambda: s3.put_bucket_policy(Bucket=bucket, Policy=changed)


def _lifecycle(s3: Any, bucket: str) -> Change | None:
    """Return the change that sets the lifecycle rule for old versions.

    The rule also removes delete markers: each Terraform run writes a lock and deletes it, which leaves one.
    """
    everything = {"Filter": {"Prefix": ""}}  # not compared, because AWS may return it in another form
    wanted = {
        "ID": RULE,
        "Status": "Enabled",
        "NoncurrentVersionExpiration": {"NoncurrentDays": NONCURRENT_DAYS},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": INCOMPLETE_DAYS},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    }
    found = _found("NoSuchLifecycleConfiguration", lambda: s3.get_bucket_lifecycle_configuration(Bucket=bucket))
    rules = found["Rules"] if found else []
    if any(wanted.items() <= rule.items() for rule in rules):
        return None
    changed = {"Rules": [*(each for each in rules if each.get("ID") != RULE), {**wanted, **everything}]}
    return lambda: s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=changed)


def _tags(s3: Any, bucket: str) -> Change | None:
    wanted = {"Project": PROJECT, "Environment": ACCOUNT, "Workspace": "state", "ManagedBy": "infra.operate"}
    found = _found("NoSuchTagSet", lambda: s3.get_bucket_tagging(Bucket=bucket))
    tags = {each["Key"]: each["Value"] for each in found["TagSet"]} if found else {}
    if wanted.items() <= tags.items():
        return None
    changed = [{"Key": key, "Value": value} for key, value in {**tags, **wanted}.items()]
    return lambda: s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": changed})


SETTINGS: dict[str, Look] = {
    "versioning": _versioning,
    "encryption": _encryption,
    "public access blocked": _public_access,
    "TLS only": _tls_only,
    f"old versions expire after {NONCURRENT_DAYS} days": _lifecycle,
    "tags": _tags,
}


def _found(absent: str, call: Callable[[], Any]) -> Any:
    """Return the result of the call; None for the error code `absent`."""
    try:
        return call()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == absent:
            return None
        raise
