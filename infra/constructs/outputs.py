"""Outputs that stacks exchange. Stacks write and read them only through these classes, so names always match."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RegistryOutputs:
    """Outputs of the account's registry stack in a region."""

    repository_urls: Mapping[str, str]
    """URL of the repository of main's images, by service name."""
    repository_arns: Mapping[str, str]
    feature_repository_urls: Mapping[str, str]
    """URL of the repository of the images of feature environments, by service name."""
    feature_repository_arns: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class PlatformOutputs:
    """Outputs that an environment shares with its feature environments."""

    vpc_id: str
    private_subnet_ids: tuple[str, ...]
    gateway_prefix_list_ids: tuple[str, ...]
    """Prefix lists of the gateway endpoints for S3 and DynamoDB, for security groups without internet access."""
    cluster_arn: str
    cluster_name: str
    load_balancer_arn_suffix: str
    load_balancer_security_group_id: str
    https_listener_arn: str
    test_listener_arn: str
    data_key_arn: str
    """Key for tables, queues, secrets and alarms."""
    logs_key_arn: str
    alarm_topic_arn: str


@dataclass(frozen=True, kw_only=True)
class DataOutputs:
    """Outputs of an environment's own data, which it does not share with feature environments."""

    orders_table_arn: str
    inventory_table_arn: str
    idempotency_table_arn: str
    operations_table_arn: str
    events_table_arn: str
    webhooks_table_arn: str
    queue_arn: str
    queue_name: str
    dead_letter_queue_arn: str
    changes_queue_arn: str
    changes_queue_name: str
    changes_dead_letter_queue_arn: str
    cursor_secrets_arn: str
    payment_api_key_arn: str
    webhook_keys_arn: str
    log_group_names: Mapping[str, str]
    """Name of the log group, by service name."""
    log_group_arns: Mapping[str, str]
    processor_rollback_alarm_names: tuple[str, ...]
    """Names of the alarms that roll back a deployment of order-processor."""
    notifier_rollback_alarm_names: tuple[str, ...]
