"""Bucket for the load balancer's access logs."""

from cdktn_provider_aws.s3_bucket import S3Bucket
from cdktn_provider_aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload,
    S3BucketLifecycleConfigurationRuleExpiration,
    S3BucketLifecycleConfigurationRuleFilter,
)
from cdktn_provider_aws.s3_bucket_policy import S3BucketPolicy
from cdktn_provider_aws.s3_bucket_public_access_block import S3BucketPublicAccessBlock
from cdktn_provider_aws.s3_bucket_server_side_encryption_configuration import (
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
)

from infra.constructs.policies import Statement, document, only_over_tls
from infra.constructs.workspace import Workspace
from infra.environments import Environment
from infra.naming import name

BUCKET_PREFIX_LENGTH = 36  # the provider adds a globally unique suffix


class AccessLogs:
    def __init__(self, stack: Workspace, environment: Environment) -> None:
        self.bucket = S3Bucket(
            stack,
            "access_logs",
            bucket_prefix=name(environment.name, "access-logs", limit=BUCKET_PREFIX_LENGTH) + "-",
            force_destroy=not environment.protected,
        )
        S3BucketPublicAccessBlock(
            stack,
            "access_logs_public_access",
            bucket=self.bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
        )
        S3BucketServerSideEncryptionConfigurationA(
            stack,
            "access_logs_encryption",
            bucket=self.bucket.id,
            rule=[
                S3BucketServerSideEncryptionConfigurationRuleA(
                    # The load balancer can write only to a bucket that S3's own keys encrypt.
                    apply_server_side_encryption_by_default=(
                        S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
                            sse_algorithm="AES256"
                        )
                    )
                )
            ],
        )
        S3BucketLifecycleConfiguration(
            stack,
            "access_logs_lifecycle",
            bucket=self.bucket.id,
            rule=[
                S3BucketLifecycleConfigurationRule(
                    id="expire",
                    status="Enabled",
                    filter=[S3BucketLifecycleConfigurationRuleFilter(prefix="")],
                    expiration=[S3BucketLifecycleConfigurationRuleExpiration(days=environment.log_days)],
                    abort_incomplete_multipart_upload=[
                        S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(days_after_initiation=1)
                    ],
                )
            ],
        )
        self.policy = S3BucketPolicy(
            stack,
            "access_logs_policy",
            bucket=self.bucket.id,
            policy=document(
                Statement(
                    # The path contains the account; AWS's example has no condition:
                    # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
                    sid="LoadBalancerWrites",
                    actions=["s3:PutObject"],
                    resources=[f"{self.bucket.arn}/AWSLogs/{stack.account_id}/*"],
                    principals={"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
                ),
                only_over_tls("s3", self.bucket.arn, f"{self.bucket.arn}/*"),
            ),
        )
