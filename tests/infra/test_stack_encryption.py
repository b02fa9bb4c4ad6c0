"""Everything that keeps data is encrypted, with keys of ours where it can be; logs have a name and an end."""

import re

from tests.infra.synthesis import Resource, every, none, of_kind

DATA_KEY = re.compile(
    r"\$\{(aws_kms_key\.data_key\.arn|data\.terraform_remote_state\.state_\w+\.outputs\.data_key_arn)\}"
)
LOGS_KEY = re.compile(
    r"\$\{(aws_kms_key\.logs_key\.arn|data\.terraform_remote_state\.state_\w+\.outputs\.logs_key_arn)\}"
)
IMAGES_KEY = re.compile(r"\$\{aws_kms_key\.images_key\.arn\}")


def by(key: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and key.fullmatch(value) is not None


def test_tables() -> None:
    for table in every("aws_dynamodb_table"):
        encryption = table["server_side_encryption"]
        assert encryption["enabled"] is True, str(table)
        assert by(DATA_KEY, encryption["kms_key_arn"]), str(table)


def test_queues() -> None:
    none(str(queue) for queue in every("aws_sqs_queue") if not by(DATA_KEY, queue.get("kms_master_key_id")))


def test_queues_answer_over_tls_only() -> None:
    for queue in every("aws_sqs_queue"):
        policies = [
            policy
            for policy in queue.stack.resources("aws_sqs_queue_policy")
            if policy["queue_url"] == f"${{{queue.address}.url}}"
        ]
        assert len(policies) == 1, str(queue)
        assert '"aws:SecureTransport": "false"' in policies[0]["policy"], str(queue)


def test_the_topic() -> None:
    none(str(topic) for topic in every("aws_sns_topic") if not by(DATA_KEY, topic.get("kms_master_key_id")))


def test_secrets() -> None:
    none(str(secret) for secret in every("aws_secretsmanager_secret") if not by(DATA_KEY, secret.get("kms_key_id")))


def test_no_value_of_a_secret_is_in_a_state() -> None:
    for stack in of_kind("supporting"):
        assert not stack.resources("aws_secretsmanager_secret_version"), str(stack)


def test_images() -> None:
    for repository in every("aws_ecr_repository"):
        (encryption,) = repository["encryption_configuration"]
        assert encryption["encryption_type"] == "KMS", str(repository)
        assert by(IMAGES_KEY, encryption["kms_key"]), str(repository)


def test_volumes_of_instances() -> None:
    for template in every("aws_launch_template"):
        for device in template["block_device_mappings"]:
            assert device["ebs"]["encrypted"] == "true", str(template)


def test_the_bucket() -> None:
    """The load balancer can write only with S3's own keys."""
    for bucket in every("aws_s3_bucket"):
        stack, reference = bucket.stack, f"${{{bucket.address}.id}}"
        encryption = stack.one("aws_s3_bucket_server_side_encryption_configuration")
        public = stack.one("aws_s3_bucket_public_access_block")
        lifecycle = stack.one("aws_s3_bucket_lifecycle_configuration")
        policy = stack.one("aws_s3_bucket_policy")
        assert {each["bucket"] for each in (encryption, public, lifecycle, policy)} == {reference}, str(bucket)
        (rule,) = encryption["rule"]
        assert rule["apply_server_side_encryption_by_default"]["sse_algorithm"] == "AES256", str(bucket)
        closed = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
        assert all(public[name] is True for name in closed), str(bucket)
        assert lifecycle["rule"][0]["expiration"] == [{"days": stack.environment.log_days}], str(bucket)
        assert '"aws:SecureTransport": "false"' in policy["policy"], str(bucket)


def test_keys_turn_over_and_take_long_to_go() -> None:
    none(
        f"{key}: {key.get('enable_key_rotation')}, {key.get('deletion_window_in_days')}"
        for key in every("aws_kms_key")
        if key.get("enable_key_rotation") is not True or key.get("deletion_window_in_days") != 30
    )


def test_log_groups() -> None:
    for group in every("aws_cloudwatch_log_group"):
        assert by(LOGS_KEY, group.get("kms_key_id")), str(group)
        assert group.get("retention_in_days") == group.stack.environment.log_days, str(group)


def test_log_groups_are_named_by_region_and_environment() -> None:
    """WAF takes only groups whose name begins its own way; ECS writes its insights into one name."""
    none(f"{group}: {group['name']}" for group in every("aws_cloudwatch_log_group") if not well_named(group))


def well_named(group: Resource) -> bool:
    region, owner = group.stack.region, group.stack.owner
    if group.name == "web_acl_logs":
        return bool(group["name"] == f"aws-waf-logs-{region}-{owner}")
    if group.name == "container_insights_logs":
        return bool(group["name"] == f"/aws/ecs/containerinsights/{owner}/performance")
    return re.fullmatch(rf"/{region}/{re.escape(owner)}/[a-z-]+", group["name"]) is not None


def test_the_bucket_is_written_before_the_load_balancer_is_made() -> None:
    for balancer in every("aws_lb"):
        assert balancer["access_logs"] == {"bucket": "${aws_s3_bucket.access_logs.id}", "enabled": True}, str(balancer)
        assert "aws_s3_bucket_policy.access_logs_policy" in balancer["depends_on"], str(balancer)
